import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { verifyLog } from '../../src/audit/verify.ts';
import { chainHash } from '../../src/audit/chain-hash.ts';

export const ROOT = resolve(import.meta.dirname, '../..');
export const TOKEN = 'a-token-for-tests-0123456789';
const KEY = '0123456789abcdef0123456789abcdef';

/** What has not ended yet: Mocha leaves the remaining hooks out when one fails, and no service is to outlive the tests. */
const RUNNING = new Set<ChildProcess>();
process.once('exit', () => RUNNING.forEach((child) => child.kill('SIGKILL')));

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  readonly json: any;
}

export interface RequestOptions {
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What node runs, before the service's own arguments; the sources by default. */
  readonly command?: readonly string[];
  /** A program and its arguments that run node, e.g. a tracer. */
  readonly under?: readonly string[];
}

/** The files of a service in a directory of its own. */
export class ServiceHome {
  readonly directory: string;
  readonly log: string;
  readonly token: string;
  readonly key: string;

  constructor(directory: string) {
    this.directory = directory;
    this.log = join(directory, 'audit.jsonl');
    this.token = join(directory, 'service-token');
    this.key = join(directory, 'audit-hmac-key');
    if (!existsSync(this.token)) writeFileSync(this.token, `${TOKEN}\n`, { mode: 0o600 });
    if (!existsSync(this.key)) writeFileSync(this.key, `${KEY}\n`, { mode: 0o600 });
  }

  get env(): Record<string, string> {
    return {
      BIND_ADDR: '127.0.0.1:0',
      CONTAINMENT_POLICY_PATH: join(ROOT, 'policy/incident-containment.yaml'),
      AUDIT_LOG_PATH: this.log,
      SERVICE_TOKEN_PATH: this.token,
      AUDIT_HMAC_KEY_PATH: this.key,
    };
  }

  verify() {
    return verifyLog(this.log, chainHash(Buffer.from(KEY)));
  }
}

/** The service as a process of its own. */
export class RunningService {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** Everything that it wrote to standard output, a line each. */
  readonly output: string[] = [];
  errors = '';
  readonly #exited: Promise<{ code: number | null; signal: string | null }>;
  readonly #agent = new Agent({ keepAlive: true });
  #port: number | undefined;
  #socket: string | undefined;

  private constructor(
    home: ServiceHome,
    { env = {}, command = [join(ROOT, 'src/main.ts')], under = [] }: StartOptions,
  ) {
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

  /** Starts the service and waits until it listens; throws with what it said when it ends instead. */
  static async start(home: ServiceHome, options: StartOptions = {}): Promise<RunningService> {
    const service = new RunningService(home, options);
    const lines = createInterface({ input: service.process.stdout });
    const listening = new Promise<void>((fulfil) => {
      lines.on('line', (line) => {
        service.output.push(line);
        if (!line.includes('"msg":"listening"')) return;
        const { address } = JSON.parse(line) as { address: { port?: number; path?: string } };
        service.#port = address.port;
        service.#socket = address.path;
        fulfil();
      });
    });
    const ended = service.#exited.then(({ code, signal }) => {
      throw new Error(`the service ended (${code ?? signal}): ${service.errors}${service.output.slice(-5).join('\n')}`);
    });
    await Promise.race([listening, ended]);
    ended.catch(() => {});
    return service;
  }

  /** Runs the service until it ends by itself. */
  static async run(home: ServiceHome, options: StartOptions = {}): Promise<{ code: number | null; errors: string }> {
    const service = new RunningService(home, options);
    service.process.stdout.resume();
    const { code } = await service.#exited;
    return { code, errors: service.errors };
  }

  get port(): number {
    return this.#port!;
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

  async send(
    method: string,
    path: string,
    { token = TOKEN, headers = {}, body }: RequestOptions = {},
  ): Promise<Answer> {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const sent = request({
      ...(this.#socket === undefined ? { host: '127.0.0.1', port: this.#port } : { socketPath: this.#socket }),
      agent: this.#agent,
      method,
      path,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        ...headers,
      },
    });
    sent.end(text);
    const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const received = Buffer.concat(chunks).toString('utf8');
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: received,
      json: response.headers['content-type']?.startsWith('application/json') ? JSON.parse(received) : undefined,
    };
  }

  get(path: string): Promise<Answer> {
    return this.send('GET', path, { token: null });
  }

  post(path: string, body?: unknown, options: RequestOptions = {}): Promise<Answer> {
    return this.send('POST', path, { ...options, body });
  }

  report(
    fields: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const body = { class: 'prompt_injection', source: 'tool-firewall', description: 'a test report', ...fields };
    return this.post('/api/v1/incidents/report', body, { headers });
  }

  /** Sends a signal and waits until the process has ended. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string | null> {
    this.#agent.destroy();
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
