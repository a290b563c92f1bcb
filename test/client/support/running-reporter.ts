import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** A running `reporter.ts`. */
export class RunningReporter {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** The lines of its output. */
  readonly said: string[] = [];
  errors = '';
  readonly #exited: Promise<unknown>;

  constructor(url: string, tokenPath: string, spool: string) {
    const args = [join(import.meta.dirname, 'reporter.ts'), url, tokenPath, spool];
    this.process = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#exited = once(this.process, 'close');
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    // A test may write to a reporter that was killed.
    this.process.stdin.on('error', () => {});
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.said.push(line);
      this.process.emit('said');
    });
  }

  report(number: number): void {
    this.process.stdin.write(`${number}\n`);
  }

  /** Waits for a line of output. */
  async says(isIt: (line: string) => boolean): Promise<string> {
    const ended = this.#exited.then(() => Promise.reject(new Error(`the reporter has ended: ${this.errors}`)));
    ended.catch(() => {});
    for (;;) {
      const line = this.said.find(isIt);
      if (line !== undefined) return line;
      await Promise.race([once(this.process, 'said'), ended]);
    }
  }

  /** The numbers of the reports that it confirmed. */
  get taken(): readonly number[] {
    return this.said.filter((line) => /^\d/.test(line)).map(Number.parseFloat);
  }

  /** Ends its input and waits until it has ended; returns its exit code. */
  async finish(): Promise<number | null> {
    this.process.stdin.end();
    await this.#exited;
    return this.process.exitCode;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.#exited;
  }
}
