/**
 * One reader of the event stream (Server-Sent Events, WHATWG HTML, section 9.2), from the first byte to the last.
 *
 * States:
 * - catching up: it is sent what is in the log already, a page at a time, as fast as it reads.
 * - live: at the end of the log; it is handed what becomes durable. What it does not read waits, and when too much does
 *   it is cut off: it can come back and resume.
 * - closed.
 *
 * Its position is the entry up to which it has been sent everything that it is to see, so nothing is left out or sent
 * twice where one state passes into the other, nor when it resumes: the position is told with every event, at the
 * beginning, and in each comment.
 */
import type { ServerResponse } from 'node:http';
import type { EntryLine } from '../../audit/entry-line.ts';
import type { LogCursor } from '../../audit/log-cursor.ts';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import type { Admits } from './event-filter.ts';

/** What may wait for a reader, in bytes. */
const MAX_WAITING = 1024 * 1024;
/** When a reader that was cut off shall try again. */
const RETRY = 2 * SECOND;

/** An entry with the bytes that tell of it, which all readers share. */
export interface EventFrame {
  readonly line: EntryLine;
  readonly bytes: Buffer;
}

export const frameOf = (line: EntryLine): EventFrame => ({
  line,
  bytes: Buffer.concat([Buffer.from(`id: ${line.seq}\nevent: ${line.event}\ndata: `), line.bytes, END]),
});

const END = Buffer.from('\n\n');

export class EventStream {
  readonly #response: ServerResponse;
  readonly #admits: Admits;
  #position: number;
  #live = false;
  /** Goes on with catching up when the reader has read what waits, or has gone. */
  #resume: () => void = () => {};

  /** Begins the answer to a reader that has seen everything up to the entry `position`. */
  constructor(response: ServerResponse, position: number, admits: Admits) {
    this.#response = response;
    this.#admits = admits;
    this.#position = position;
    response.on('drain', () => this.#resume()).once('close', () => this.#resume());
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`retry: ${RETRY}\nid: ${position}\n\n`);
  }

  get position(): number {
    return this.#position;
  }

  /**
   * Sends what is in the log already, the lines `first` and those that `next` gives of `cursor` behind them; resolves when
   * the reader is live or has gone.
   * @throws what `next` throws
   */
  async catchUp(first: readonly EntryLine[], next: LogCursor['next'], cursor: Pick<LogCursor, 'atEnd'>): Promise<void> {
    for (let lines = first; !this.#response.closed; lines = await next()) {
      this.#send(lines.map(frameOf));
      if (cursor.atEnd) {
        this.#live = true;
        return;
      }
      if (!this.#response.writableNeedDrain) continue;
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
      });
    }
  }

  /**
   * Takes entries that have become durable.
   * @throws RecorderError `overloaded` when too much waits for the reader
   */
  take(frames: readonly EventFrame[]): void {
    if (!this.#live) return;
    this.#send(frames.filter(({ line }) => line.seq > this.#position));
    if (this.#waiting > MAX_WAITING)
      throw new RecorderError('overloaded', `${this.#waiting} bytes wait for its reader`);
  }

  /** Tells the reader that the service is still there, unless it has something left to read. */
  beat(): void {
    if (this.#waiting === 0) this.#response.write(`:\nid: ${this.#position}\n\n`);
  }

  /** Ends the answer; a reader for which something waits is cut off. */
  end(): void {
    if (this.#waiting === 0) this.#response.end();
    else this.#response.destroy();
  }

  /** How many bytes wait for the reader. */
  get #waiting(): number {
    return this.#response.writableLength;
  }

  #send(frames: readonly EventFrame[]): void {
    this.#response.cork();
    try {
      for (const { line, bytes } of frames) {
        if (this.#admits(line)) this.#response.write(bytes);
        this.#position = line.seq;
      }
    } finally {
      this.#response.uncork();
    }
  }
}
