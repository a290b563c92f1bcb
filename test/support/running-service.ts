import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { SERVICE } from './programs.ts';
import { ServiceClient } from './service-client.ts';
import type { ServiceHome } from './service-home.ts';

// With a service a test needs these as well.
export { ROOT } from './programs.ts';
export { type Answer, TOKEN } from './service-client.ts';
export { ServiceHome } from './service-home.ts';

/** Services that have not ended. Mocha skips the remaining hooks when one fails, and no service may outlive the tests. */
const RUNNING = new Set<ChildProcess>();
process.once('exit', () => RUNNING.forEach((child) => child.kill('SIGKILL')));

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What node runs, before the service's own arguments; `SERVICE` by default. */
  readonly command?: readonly string[];
  /** A program and its arguments that run node, e.g. a tracer. */
  readonly under?: readonly string[];
  /** Resolve when it listens, although it still reads its log. */
  readonly whileReading?: boolean;
}

/** The service as a process of its own. */
export class RunningService extends ServiceClient {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** Everything that it wrote to standard output, a line each. */
  readonly output: string[] = [];
  errors = '';
  readonly #exited: Promise<{ code: number | null; signal: string | null }>;
  #address: { readonly port?: number; readonly path?: string } = {};

  private constructor(home: ServiceHome, { env = {}, command = [SERVICE], under = [] }: StartOptions) {
    super();
    const [program = '', ...args] = [...under, process.execPath, ...command];
    this.process = spawn(program, args, {
      env: { PATH: process.env.PATH, NODE_V8_COVERAGE: process.env.NODE_V8_COVERAGE, ...home.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    RUNNING.add(this.process);
    this.#exited = new Promise((fulfil) => {
      this.process.once('close', (code, signal) => {
        RUNNING.delete(this.process);
        fulfil({ code, signal });
      });
    });
  }

  /** Starts the service and waits until it listens and has read its log; throws with what it said when it ends instead. */
  static async start(home: ServiceHome, options: StartOptions = {}): Promise<RunningService> {
    const service = new RunningService(home, options);
    const lines = createInterface({ input: service.process.stdout });
    const listening = new Promise<void>((fulfil) => {
      lines.on('line', (line) => {
        service.output.push(line);
        if (!line.includes('"msg":"listening"')) return;
        service.#address = (JSON.parse(line) as { address: { port?: number; path?: string } }).address;
        fulfil();
      });
    });
    const ended = service.#exited.then(({ code, signal }) => {
      throw new Error(`the service ended (${code ?? signal}): ${service.errors}${service.output.slice(-5).join('\n')}`);
    });
    await Promise.race([listening, ended]);
    ended.catch(() => {});
    const isReading = service.output.some((line) => line.includes('"reading":true'));
    if (isReading && !options.whileReading) await service.said('"msg":"the log is read"');
    return service;
  }

  /** Runs the service until it ends by itself. */
  static async run(home: ServiceHome, options: StartOptions = {}): Promise<{ code: number | null; errors: string }> {
    const service = new RunningService(home, options);
    service.process.stdout.resume();
    const { code } = await service.#exited;
    return { code, errors: service.errors };
  }

  protected override get address() {
    return this.#address;
  }

  /** Resolves when the process has ended, with its exit code or the signal that ended it. */
  get ended(): Promise<number | string | null> {
    return this.#exited.then(({ code, signal }) => code ?? signal);
  }

  /** Waits for a line of output that holds `text`, also one that is there already. */
  async said(text: string): Promise<string> {
    for (;;) {
      const line = this.output.find((one) => one.includes(text));
      if (line !== undefined) return line;
      await Promise.race([
        once(this.process.stdout, 'data'),
        this.#exited.then(({ code }) => Promise.reject(new Error(`ended (${code}) without saying ${text}`))),
      ]);
      await new Promise(setImmediate);
    }
  }

  /** Sends a signal and waits until the process has ended. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string | null> {
    this.disconnect();
    this.process.kill(signal);
    return this.ended;
  }
}

/** Gives a function that starts services, which are ended after the test (called inside `describe`). */
export function runningServices(): (home: ServiceHome, options?: StartOptions) => Promise<RunningService> {
  const started: RunningService[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((service) => service.end('SIGKILL')));
  });
  return async (home, options) => {
    const service = await RunningService.start(home, options);
    started.push(service);
    return service;
  };
}
