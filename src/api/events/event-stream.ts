/**
 * One reader of the event stream (Server-Sent Events, WHATWG HTML, section 9.2), from the first byte to the last.
 *
 * States:
 * - catching up: the reader gets what is in the log already, a page at a time, as fast as it reads.
 * - live: at the end of the log; the reader gets each entry when it is durable. What it does not read waits. When too
 *   much waits, the reader is cut off; it can reconnect and resume.
 * - closed.
 *
 * The position is the last entry up to which the reader was sent everything that its filter passes. So nothing is lost
 * or repeated between the two states, nor when the reader resumes: the position is sent at the beginning, with every
 * event and in each heartbeat.
 */
import type { ServerResponse } from 'node:http';
import type { EntryLine } from '../../audit/entry-line.ts';
import type { LogCursor } from '../../audit/log-cursor.ts';
import { writePosition } from '../../audit/log-position.ts';
import { SECOND } from '../../clock.ts';
import { type Reader, shownLine } from '../../domain/withheld.ts';
import { RecorderError } from '../../errors.ts';
import type { EntryFilter } from './event-filter.ts';

/** How many bytes may wait for a reader. */
const MAX_WAITING = 1024 * 1024;
/** After how many milliseconds a reader that was cut off reconnects. */
const RETRY = 2 * SECOND;

/** An entry and its event as bytes, which readers share. */
export interface EventFrame {
  readonly line: EntryLine;
  /** The place behind it. */
  readonly id: string;
  /** What a reader gets of it. */
  readonly bytes: (reader: Reader) => Buffer;
}

/** @param identity of the log */
export const frameOf = (line: EntryLine, identity: string | undefined): EventFrame => {
  const made = new Map<string, Buffer>();
  const id = writePosition(identity, line.seq, line.entry().entry_hash);
  return {
    line,
    id,
    bytes: (reader) => {
      const kind = `${reader.words} ${reader.evidence}`;
      const known = made.get(kind);
      if (known !== undefined) return known;
      const bytes = eventOf(id, line, shownLine(line.bytes, reader));
      made.set(kind, bytes);
      return bytes;
    },
  };
};

const eventOf = (id: string, { event }: EntryLine, data: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`id: ${id}\nevent: ${event}\ndata: `), data, END]);

const END = Buffer.from('\n\n');

export class EventStream {
  readonly #response: ServerResponse;
  readonly #filter: EntryFilter;
  readonly #reader: Reader;
  readonly #identity: string | undefined;
  #position: number;
  /** The position as the reader is sent it. */
  #id: string;
  #live = false;
  #ended = false;
  /** How many bytes were written, and how many of them the reader had taken at the last heartbeat. */
  #written = 0;
  #takenBefore = -1;
  /** Continues to catch up when the reader has read what waits, or is gone. */
  #resume: () => void = () => {};

  /**
   * Begins the response to a reader that has seen everything up to an entry.
   * @param identity of the log
   * @param entry the `seq` and the hash of that entry
   * @param reader what the reader gets of what not everybody gets
   */
  constructor(
    response: ServerResponse,
    identity: string | undefined,
    entry: { readonly seq: number; readonly hash: string },
    filter: EntryFilter,
    reader: Reader,
  ) {
    this.#response = response;
    this.#filter = filter;
    this.#reader = reader;
    this.#identity = identity;
    this.#position = entry.seq;
    this.#id = writePosition(identity, entry.seq, entry.hash);
    response.on('drain', () => this.#resume()).once('close', () => this.#resume());
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`retry: ${RETRY}\nid: ${this.#id}\n\n`);
  }

  get position(): number {
    return this.#position;
  }

  /**
   * Sends what is in the log already: the lines `first`, then those that `next` gives. Resolves when the reader is live
   * or gone.
   *
   * @param next the next lines of `cursor`
   * @throws what `next` throws
   */
  async catchUp(first: readonly EntryLine[], next: LogCursor['next'], cursor: Pick<LogCursor, 'atEnd'>): Promise<void> {
    for (let lines = first; !this.#response.closed && !this.#ended; lines = await next()) {
      this.#send(lines.map((line) => frameOf(line, this.#identity)));
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
   * Sends durable entries to a live reader.
   * @throws RecorderError `overloaded` when too much waits for the reader
   */
  take(frames: readonly EventFrame[]): void {
    if (!this.#live || this.#ended) return;
    this.#send(frames.filter(({ line }) => line.seq > this.#position));
    if (this.#waiting > MAX_WAITING)
      throw new RecorderError('overloaded', `${this.#waiting} bytes wait for its reader`);
  }

  /** Sends a heartbeat, unless something waits for the reader. */
  beat(): void {
    if (this.#waiting === 0 && !this.#ended) this.#response.write(`:\nid: ${this.#id}\n\n`);
  }

  /** Whether something waits for the reader that has taken nothing since the last call. */
  isStalled(): boolean {
    const taken = this.#written - this.#waiting;
    const stalled = this.#waiting > 0 && taken <= this.#takenBefore;
    this.#takenBefore = taken;
    return stalled;
  }

  /** Ends the response; a reader for which something waits is cut off. */
  end(): void {
    this.#ended = true;
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
      for (const { line, id, bytes } of frames) {
        if (this.#filter(line)) {
          const event = bytes(this.#reader);
          this.#response.write(event);
          this.#written += event.length;
        }
        this.#position = line.seq;
        this.#id = id;
      }
    } finally {
      this.#response.uncork();
    }
  }
}
