/** Debian's Alertmanager on the loopback, as a process of its own that has no peers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { quietPort } from '../../support/quiet-port.ts';

export interface HeldAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
  readonly generatorURL?: string;
}

const RUNNING = new Set<ChildProcess>();
process.once('exit', () => RUNNING.forEach((child) => child.kill('SIGKILL')));

export class Alertmanager {
  readonly origin: string;
  readonly #process: ChildProcess;
  said = '';

  private constructor(directory: string, port: number, resolveTimeout: string) {
    const config = join(directory, 'alertmanager.yml');
    const data = join(directory, 'alertmanager');
    mkdirSync(data, { recursive: true });
    writeFileSync(
      config,
      `global: { resolve_timeout: ${resolveTimeout} }\nroute: { receiver: none }\nreceivers: [{ name: none }]\n`,
    );
    this.origin = `http://127.0.0.1:${port}`;
    this.#process = spawn(
      'prometheus-alertmanager',
      [
        `--config.file=${config}`,
        `--storage.path=${data}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--cluster.listen-address=',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    RUNNING.add(this.#process);
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
  }

  /** @param resolveTimeout after which an alert without an end is over; its default is five minutes */
  static async start(directory: string, resolveTimeout = '5m'): Promise<Alertmanager> {
    const alertmanager = new Alertmanager(directory, await quietPort(), resolveTimeout);
    for (let tries = 0; tries < 1000; tries++) {
      if (await alertmanager.#isReady()) return alertmanager;
      await setTimeout(50);
    }
    await alertmanager.end();
    throw new Error(`Alertmanager does not get ready: ${alertmanager.said}`);
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.origin}/-/ready`)).ok;
    } catch {
      return false;
    }
  }

  /** The alerts that it holds as active. */
  async alerts(): Promise<readonly HeldAlert[]> {
    return (await (await fetch(`${this.origin}/api/v2/alerts?active=true`)).json()) as readonly HeldAlert[];
  }

  /** Waits until the alerts that it holds are like that. */
  async holds(isSo: (alerts: readonly HeldAlert[]) => boolean): Promise<readonly HeldAlert[]> {
    for (let tries = 0; tries < 2000; tries++) {
      const alerts = await this.alerts();
      if (isSo(alerts)) return alerts;
      await setTimeout(25);
    }
    throw new Error(`it holds ${JSON.stringify(await this.alerts())}`);
  }

  async end(): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await ended;
    RUNNING.delete(this.#process);
  }
}
