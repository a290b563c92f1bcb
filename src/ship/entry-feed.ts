/**
 * The lines of the local log as they arrive, gathered into batches.
 *
 * Lines wait here while a batch is on its way to the fleet, so that the next one is as large as it may be. When more
 * than `MOST_WAITING` bytes wait, nothing more is read from the recorder: memory stays bounded however far the fleet is
 * behind. The lines are not parsed: their number is counted from the first one.
 */
import type { Readable } from 'node:stream';
import { SECOND } from '../clock.ts';

/** In bytes. The longest entry is a report of 256 KiB whose characters are all written as escapes. */
const LONGEST_LINE = 4 * 1024 * 1024;
/** How many bytes of lines may wait. */
const MOST_WAITING = 1536 * 1024;
/** How long a batch that is not full waits for more lines, in milliseconds. */
const LINGER = 50;
/** The recorder sends an empty line every 15 s. When three are missing nobody is there any more. */
const LONGEST_SILENCE = 45 * SECOND;

const NEWLINE = 0x0a;

/** Lines that follow each other. */
export interface Batch {
  /** The sequence number of the first. */
  readonly from: number;
  /** The sequence number of the last. */
  readonly last: number;
  readonly lines: readonly Buffer[];
  readonly bytes: number;
}

export interface BatchLimits {
  readonly lines: number;
  /** A longer line is a batch of its own. */
  readonly bytes: number;
}

export class EntryFeed {
  readonly #source: Readable;
  /** The sequence number of the next line to be taken. */
  #next: number;
  /** Whole lines, each with its newline. */
  #lines: Buffer[] = [];
  #bytes = 0;
  /** The beginning of a line whose end has not come. */
  #part: Buffer[] = [];
  #partBytes = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #silence: NodeJS.Timeout;

  /**
   * @param source the body of the recorder's answer
   * @param from the sequence number of its first line
   */
  constructor(source: Readable, from: number) {
    this.#source = source;
    this.#next = from;
    this.#silence = setTimeout(() => {
      // While enough lines wait, nothing is read.
      if (source.isPaused()) this.#silence.refresh();
      else this.#fail(new Error('the recorder is silent'));
    }, LONGEST_SILENCE);
    source.on('data', (chunk: Buffer) => this.#add(chunk));
    source.once('end', () => this.#end());
    source.once('error', (error) => this.#fail(error));
    source.once('close', () => this.#fail(new Error('the recorder has ended the answer')));
  }

  /** The sequence number of the last line that has arrived; that before the first when there was none. */
  get arrived(): number {
    return this.#next + this.#lines.length - 1;
  }

  /**
   * Takes the next lines: at least one, and as many as wait and fit. A batch that is not full waits a moment for more.
   * @param within resolves with `idle` when no line comes in this time, in milliseconds
   * @returns undefined at the end of the log
   * @throws the error of the connection, when no line waits any more
   */
  async take(limits: BatchLimits, within: number, signal: AbortSignal): Promise<Batch | 'idle' | undefined> {
    if (!this.#isFull(limits) && !this.#isOver) {
      if (this.#lines.length === 0) await this.#change(within, signal);
      if (this.#lines.length === 0 && !this.#isOver) return 'idle';
      const until = performance.now() + LINGER;
      while (!this.#isFull(limits) && !this.#isOver && performance.now() < until)
        await this.#change(until - performance.now(), signal);
    }
    if (this.#lines.length > 0) return this.#cut(limits);
    if (this.#failure !== undefined) throw this.#failure;
    return undefined;
  }

  /** Stops reading. */
  close(): void {
    clearTimeout(this.#silence);
    this.#ended = true;
    this.#source.destroy();
  }

  get #isOver(): boolean {
    return this.#ended || this.#failure !== undefined;
  }

  #isFull({ lines, bytes }: BatchLimits): boolean {
    return this.#lines.length >= lines || this.#bytes >= bytes;
  }

  #cut(limits: BatchLimits): Batch {
    let count = 0;
    let bytes = 0;
    for (const line of this.#lines) {
      if (count === limits.lines || (count > 0 && bytes + line.length > limits.bytes)) break;
      bytes += line.length;
      count += 1;
    }
    const from = this.#next;
    const lines = this.#lines.slice(0, count);
    this.#lines = this.#lines.slice(count);
    this.#bytes -= bytes;
    this.#next += count;
    if (this.#bytes < MOST_WAITING && this.#source.isPaused()) {
      this.#silence.refresh();
      this.#source.resume();
    }
    return { from, last: from + count - 1, lines, bytes };
  }

  #add(chunk: Buffer): void {
    this.#silence.refresh();
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, at)) {
      this.#addLine(chunk.subarray(at, end + 1));
      at = end + 1;
    }
    if (at < chunk.length) {
      this.#part.push(chunk.subarray(at));
      this.#partBytes += chunk.length - at;
      if (this.#partBytes > LONGEST_LINE)
        this.#fail(new Error(`a line of the log is longer than ${LONGEST_LINE} bytes`));
    }
    if (this.#bytes >= MOST_WAITING) this.#source.pause();
    if (this.#lines.length > 0) this.#notify();
  }

  #addLine(end: Buffer): void {
    const line = this.#part.length === 0 ? end : Buffer.concat([...this.#part, end]);
    this.#part = [];
    this.#partBytes = 0;
    // An empty line is the recorder's sign of life.
    if (line.length === 1) return;
    this.#lines.push(line);
    this.#bytes += line.length;
  }

  #end(): void {
    if (this.#partBytes > 0) this.#fail(new Error('the recorder’s answer ends within a line'));
    this.#ended = true;
    clearTimeout(this.#silence);
    this.#notify();
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#failure = error;
    clearTimeout(this.#silence);
    this.#source.destroy();
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Waits until something has come, for `within` milliseconds at most. */
  async #change(within: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let abort = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, within);
        abort = () => reject(signal.reason as Error);
        signal.addEventListener('abort', abort, { once: true });
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      this.#wake = undefined;
    }
  }
}
