import { EventEmitter, once } from 'node:events';
import pino from 'pino';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { type Listeners, type Service, startService } from '../../src/compose/service.ts';
import { ServiceClient } from './service-client.ts';
import type { ServiceHome } from './service-home.ts';

interface LocalOptions extends Listeners {
  readonly env?: Readonly<Record<string, string>>;
}

/** Collects what the process log says. */
class Output extends EventEmitter {
  readonly lines: string[] = [];

  write(line: string): void {
    this.lines.push(line);
    this.emit('line');
    if (line.includes('"msg":"recorded"')) this.emit('recorded');
  }
}

/** The whole service inside the process of the tests: real log, database and HTTP, without a process of its own. */
export class LocalService extends ServiceClient {
  readonly #service: Service;
  readonly #output: Output;
  #stopped: Promise<void> | undefined;

  private constructor(service: Service, output: Output) {
    super();
    this.#service = service;
    this.#output = output;
  }

  static async start(home: ServiceHome, { env = {}, ...listeners }: LocalOptions = {}): Promise<LocalService> {
    const output = new Output();
    const logger = pino({ level: 'debug' }, output);
    const config = readConfig({ ...home.env, ...env });
    return new LocalService(await startService(config, systemClock, logger, listeners), output);
  }

  /** What it wrote to the process log, a line each. */
  get output(): readonly string[] {
    return this.#output.lines;
  }

  /** Waits for a line of the process log that holds `text`, also one that is there already. */
  async said(text: string): Promise<string> {
    for (;;) {
      const line = this.output.find((one) => one.includes(text));
      if (line !== undefined) return line;
      await once(this.#output, 'line');
    }
  }

  /** Waits until it is so, which is asked again after each entry of the audit log. */
  async until(isSo: () => Promise<boolean>): Promise<void> {
    for (;;) {
      const recorded = once(this.#output, 'recorded');
      if (await isSo()) return;
      await recorded;
    }
  }

  /** Does what SIGHUP does to the process. */
  reload(): Promise<void> {
    return this.#service.reload();
  }

  /** Does what SIGTERM does to the process; more than once is as once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#service.stop('SIGTERM').finally(() => this.disconnect());
    return this.#stopped;
  }

  protected override get address() {
    const { address } = this.#service;
    return address.kind === 'tcp' ? { port: address.port } : { path: address.path };
  }
}

/** Gives a function that starts services, which are stopped after the test (called inside `describe`). */
export function localServices(): typeof LocalService.start {
  const started: LocalService[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((service) => service.stop()));
  });
  return async (home, options) => {
    const service = await LocalService.start(home, options);
    started.push(service);
    return service;
  };
}
