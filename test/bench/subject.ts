/** A server that is measured, as a process of its own in one of the settings. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { get } from 'node:http';
import { MINUTE } from '../../src/clock.ts';
import { processorTimeOf } from './processor-time.ts';
import { Box, envOf, flagsOf, type Setting } from './setting.ts';

const POLL_INTERVAL = 4;

export interface SubjectOptions {
  readonly setting: Setting;
  /** A program and its arguments that run node, e.g. one that counts instructions. */
  readonly under?: readonly string[];
  /** The script and its arguments. */
  readonly command: (port: number) => readonly string[];
  readonly env?: (port: number) => Readonly<Record<string, string>>;
  /** Where its output goes; as files, since that is what a journal costs. */
  readonly output: string;
  /** Milliseconds that it may take to start. */
  readonly patience?: number;
}

export class Subject {
  readonly port: number;
  /** Milliseconds from the start of the process to its first 200 for `/health`. */
  readonly startTime: number;
  readonly #process: ChildProcess;
  readonly #box: Box | undefined;

  private constructor(port: number, startTime: number, process: ChildProcess, box: Box | undefined) {
    this.port = port;
    this.startTime = startTime;
    this.#process = process;
    this.#box = box;
  }

  /** Starts it and waits until it answers `/health` with 200. */
  static async start({
    setting,
    under = [],
    command,
    env,
    output,
    patience = MINUTE,
  }: SubjectOptions): Promise<Subject> {
    const port = await freePort();
    const box = setting === 'box' ? Box.make(`bench-${process.pid}-${port}`) : undefined;
    const node = [process.execPath, ...flagsOf(setting), ...command(port)];
    const [program = '', ...args] = [...(box?.entrance ?? []), ...under, ...node];
    const file = openSync(output, 'a');
    const began = performance.now();
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH, ...envOf(setting), ...env?.(port) },
      stdio: ['ignore', file, file],
    });
    closeSync(file);
    while (!(await isUp(port))) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() - began > patience) {
        child.kill('SIGKILL');
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
        box?.remove();
        throw new Error(`${args.join(' ')} did not start (${child.exitCode ?? child.signalCode}): ${lastOf(output)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
    return new Subject(port, performance.now() - began, child, box);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The most memory that it has had resident so far, in MiB. */
  get peakMemory(): number {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#process.pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes) / 1024;
  }

  /** The time that processors have spent on it so far, over all its threads, in milliseconds. */
  get processorTime(): number {
    return processorTimeOf(this.pid);
  }

  /** Ends it and waits until it has ended, also when it has ended before. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await ended;
    this.#box?.remove();
  }
}

const lastOf = (path: string): string => readFileSync(path, 'utf8').slice(-1000);

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const isUp = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = get({ port, host: '127.0.0.1', path: '/health', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('error', () => resolve(false));
  });
