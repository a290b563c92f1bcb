/**
 * Standard output and standard error, written without ever waiting for whoever reads them.
 *
 * A write to a pipe that is full, or to a terminal that is stopped, waits until it is read; in a thread of Node's pool
 * it also keeps the process from ending. So the descriptor is made non-blocking, and what it does not take is kept for
 * the next attempt.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Why the last attempt failed: `EAGAIN` while the reader takes nothing, `EPIPE` when it is gone, `ENOSPC`, … */
export type StreamFault = string;

/** In milliseconds, between two attempts while the process ends. */
const PAUSE = 10;

export class StandardStream {
  readonly #name: 1 | 2;
  #file: number | undefined;
  #waiting: Buffer = Buffer.alloc(0);
  #fault: StreamFault | undefined;
  #written = 0;

  /** @param name the descriptor: 1 is standard output, 2 standard error */
  constructor(name: 1 | 2) {
    this.#name = name;
  }

  /** How many bytes wait for the next attempt. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** How many bytes were taken so far. */
  get written(): number {
    return this.#written;
  }

  /** Why something waits, or was lost; undefined after a write that succeeded. */
  get fault(): StreamFault | undefined {
    return this.#fault;
  }

  /**
   * Writes what waits and then `text`, as far as there is room at once. The rest waits; when the reader is gone it is
   * lost.
   * @returns whether nothing waits and nothing was lost
   */
  write(text = ''): boolean {
    if (text !== '') this.#waiting = Buffer.concat([this.#waiting, Buffer.from(text)]);
    try {
      this.#file ??= withoutWaiting(this.#name);
      while (this.#waiting.length > 0) {
        const taken = writeSync(this.#file, this.#waiting);
        this.#written += taken;
        this.#waiting = this.#waiting.subarray(taken);
      }
      this.#fault = undefined;
    } catch (error) {
      this.#fault = (error as NodeJS.ErrnoException).code ?? String(error);
      if (this.#fault === 'EPIPE') this.#waiting = Buffer.alloc(0);
    }
    return this.#fault === undefined;
  }

  /**
   * Writes like `write`, and tries again for a while when the reader takes nothing. Only for a process that ends:
   * nothing else runs meanwhile.
   * @param within in milliseconds
   */
  writeWithin(within: number, text = ''): void {
    const cell = new Int32Array(new SharedArrayBuffer(4));
    const deadline = performance.now() + within;
    for (let done = this.write(text); !done && this.#fault === 'EAGAIN'; done = this.write()) {
      if (performance.now() >= deadline) return;
      Atomics.wait(cell, 0, 0, PAUSE);
    }
  }
}

/** A descriptor for the stream that does not wait. */
function withoutWaiting(name: 1 | 2): number {
  const status = fstatSync(name);
  // Imported, the module would be loaded at start.
  if (status.isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(name)) {
    try {
      const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
      return openSync(`/proc/self/fd/${name}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    } catch {
      return name;
    }
  }
  if (status.isFIFO() || status.isSocket()) {
    // Node makes pipes and sockets non-blocking when it opens them as a stream, and no other function of it does. The
    // stream itself is not used.
    try {
      void (name === 1 ? process.stdout : process.stderr);
    } catch {
      // A kind of socket that it can't open as a stream.
    }
  }
  return name;
}
