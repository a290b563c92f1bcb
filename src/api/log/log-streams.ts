/**
 * Those who read the raw lines of the log: a few, since each may be far behind.
 *
 * A reader that follows gets new lines soon after they are durable, and an empty line from time to time while there are
 * none. Nothing waits in memory for a slow reader but what was read last; one that takes nothing for too long is cut off.
 */
import type { ServerResponse } from 'node:http';
import { withArchive } from '../../audit/archived-log.ts';
import { firstSeqOf } from '../../audit/log-position.ts';
import type { ReadableLog } from '../../audit/log.ts';
import { RawLineReader } from '../../audit/raw-lines.ts';
import { type Clock, SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';

/**
 * Each may take most of what the disk gives. Those who ship the log have as many places of their own: no other reader
 * keeps them out.
 */
const MOST_READERS = 2;
/** The least time between two reads at the end of the log, in milliseconds: reports come before their readers. */
const READ_EVERY = 100;
const BEAT_EVERY = 15 * SECOND;
/** How long a reader may take to read what was read for it last, some 256 KiB. */
const PATIENCE = 60 * SECOND;
const HEARTBEAT = '\n';

export interface LogStreamsDependencies {
  readonly log: ReadableLog;
  /** The identity of the log, when it is known. */
  readonly logId: () => string | undefined;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly logger: { warn(fields: object, message: string): void };
  /** Milliseconds between two empty lines. */
  readonly beatEvery?: number;
  /** How long a reader may leave unread what was read for it last, in milliseconds. */
  readonly patience?: number;
}

/** What a reader asks for. */
export interface WantedLines {
  /** The `seq` of the first entry. */
  readonly from: number;
  /** How many entries at most; all when not given. */
  readonly limit?: number;
  /** Whether to go on with what is written later. */
  readonly follow: boolean;
  /** Whether to begin in archived segments, where they are still there. */
  readonly archived?: boolean;
}

export interface LogReaderRights {
  /** Whether they ship the log. */
  readonly isShipper: boolean;
  /** Awaited before each read. */
  readonly turn: () => Promise<void>;
  /** Whether they may still read: their token may have lost its role. */
  readonly isEntitled: () => boolean;
}

export class LogStreams {
  readonly #dependencies: LogStreamsDependencies;
  readonly #readers = new Set<Reader>();
  #closed = false;

  constructor(dependencies: LogStreamsDependencies) {
    this.#dependencies = dependencies;
  }

  /** Entries are durable. Cheap when nobody reads. */
  publish(): void {
    for (const reader of this.#readers) reader.wake();
  }

  /** What of the log is here, as headers. */
  headers(log = this.#dependencies.log): Readonly<Record<string, string>> {
    const { logId } = this.#dependencies;
    const id = logId();
    return {
      ...(id === undefined ? {} : { 'Log-Id': id }),
      'Log-Entries': String(log.status.entries),
      'Log-First': String(firstSeqOf(log)),
    };
  }

  /**
   * The log that is read from an entry on.
   * @param from the `seq` of an entry
   * @throws RecorderError `out_of_range` when the log does not reach the one before, `gone` when it is archived
   */
  async from({ from, archived }: Pick<WantedLines, 'from' | 'archived'>): Promise<ReadableLog> {
    const { log, logId } = this.#dependencies;
    const whole = archived === true && from < firstSeqOf(log) ? await withArchive(log) : log;
    requireIn(whole, from, logId());
    return whole;
  }

  /**
   * Responds with lines of the log, until the reader leaves, has all, is cut off, or `close`. Resolves when the response
   * has begun. When it throws, nothing was sent.
   * @throws RecorderError like `from`; `overloaded` when others read, or when the log can't be read; `stopping`;
   *   `damaged_log`
   */
  async open(response: ServerResponse, wanted: WantedLines, rights: LogReaderRights): Promise<void> {
    const log = await this.from(wanted);
    if (this.#closed) throw new RecorderError('stopping', 'the service is stopping');
    const others = [...this.#readers].filter((reader) => reader.isShipper === rights.isShipper);
    if (others.length >= MOST_READERS) {
      throw new RecorderError('overloaded', `${MOST_READERS} others read the log; try again later`);
    }
    // It would never be seen to close.
    if (response.closed) return;
    const reader = new Reader(response, wanted, rights, { ...this.#dependencies, log });
    this.#readers.add(reader);
    response.once('close', () => this.#readers.delete(reader));
    try {
      await reader.begin(this.headers(log));
    } catch (error) {
      this.#readers.delete(reader);
      throw error;
    }
    reader.run().catch((error: unknown) => {
      if (response.closed) return;
      this.#dependencies.logger.warn({ err: error, due: reader.due }, 'a reader of the log is cut off');
      // What was sent so far is in order; an end would say that it is all.
      response.destroy();
    });
  }

  /** Ends the responses, and refuses new ones. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers) reader.stop();
  }
}

function requireIn(log: ReadableLog, from: number, id: string | undefined): void {
  const [first_seq, last_seq] = [firstSeqOf(log), log.status.entries];
  const fields = { first_seq, last_seq, log_id: id ?? null };
  if (from > last_seq + 1) {
    throw new RecorderError('out_of_range', `the log ends with entry ${last_seq}, and ${from} is not the next`, {
      fields,
    });
  }
  if (from < first_seq) {
    throw new RecorderError('gone', `entry ${from} is archived: the log here begins with ${first_seq}`, { fields });
  }
}

class Reader {
  readonly #response: ServerResponse;
  readonly #lines: RawLineReader;
  readonly #rights: LogReaderRights;
  readonly #follow: boolean;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #beatEvery: number;
  readonly #patience: number;
  #left: number;
  /** Read before the response began, so that a fault is an answer. */
  #first: Buffer | undefined;
  #stopped = false;
  /** Whether entries were written since the last read. */
  #isNews = false;
  /** Ends the wait that is under way. */
  #resume: () => void = () => {};

  constructor(
    response: ServerResponse,
    { from, limit = Infinity, follow }: WantedLines,
    rights: LogReaderRights,
    { log, clock, beatEvery = BEAT_EVERY, patience = PATIENCE }: LogStreamsDependencies,
  ) {
    this.#response = response;
    this.#lines = new RawLineReader(log, from);
    this.#rights = rights;
    this.#follow = follow;
    this.#left = limit;
    this.#clock = clock;
    this.#beatEvery = beatEvery;
    this.#patience = patience;
    response.on('drain', () => this.#resume()).once('close', () => this.#resume());
  }

  get isShipper(): boolean {
    return this.#rights.isShipper;
  }

  /** The `seq` of the entry that is sent next. */
  get due(): number {
    return this.#lines.due;
  }

  wake(): void {
    this.#isNews = true;
    this.#resume();
  }

  stop(): void {
    this.#stopped = true;
    this.#resume();
  }

  async begin(headers: Readonly<Record<string, string>>): Promise<void> {
    await this.#rights.turn();
    this.#first = await this.#next();
    if (!this.#response.closed) this.#response.writeHead(200, { 'Content-Type': 'application/x-ndjson', ...headers });
    // Whoever waits for the first line should know that they may.
    if (this.#first === undefined) this.#response.flushHeaders();
  }

  /** Sends all that is wanted, until the reader leaves or is to stop. */
  async run(): Promise<void> {
    let bytes = this.#first;
    this.#first = undefined;
    while (this.#isOpen && (bytes !== undefined || this.#isToFollow)) {
      if (bytes === undefined) await this.#news();
      else if (!this.#response.write(bytes)) await this.#drained();
      await this.#rights.turn();
      bytes = await this.#next();
    }
    // An end would say that it is all.
    if (!this.#isOpen && (!this.#follow || this.#response.writableNeedDrain)) this.#response.destroy();
    else this.#response.end();
  }

  /** Whether to wait for entries that are not written yet. */
  get #isToFollow(): boolean {
    return this.#follow && this.#left > 0;
  }

  get #isOpen(): boolean {
    return !this.#stopped && !this.#response.closed && this.#rights.isEntitled();
  }

  /** The next lines; undefined when there are none, or no more are wanted. */
  async #next(): Promise<Buffer | undefined> {
    if (this.#lines.atEnd || this.#left === 0) return undefined;
    const { bytes, hashes } = await this.#lines.next(this.#left);
    this.#left -= hashes.length;
    return bytes;
  }

  /** Waits until the reader has taken what was written. @throws RecorderError `overloaded` when that takes too long */
  async #drained(): Promise<void> {
    const isOver = await this.#wait(this.#patience, () => !this.#response.writableNeedDrain);
    if (isOver) throw new RecorderError('overloaded', 'its reader does not read');
  }

  /** Waits for entries that are not sent yet, and sends heartbeats meanwhile. */
  async #news(): Promise<void> {
    const began = this.#clock.monotonic();
    for (this.#isNews = false; this.#lines.atEnd && this.#isOpen; this.#isNews = false) {
      const isOver = await this.#wait(this.#beatEvery, () => this.#isNews);
      if (isOver && !this.#response.write(HEARTBEAT)) await this.#drained();
    }
    const rest = READ_EVERY - (this.#clock.monotonic() - began);
    if (rest > 0 && this.#isOpen) await this.#wait(rest, () => false);
  }

  /**
   * Waits until something happens that `isDone` takes for enough, or the reader has left or is to stop.
   * @returns whether the time is over first
   */
  async #wait(ms: number, isDone: () => boolean): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(true), ms).unref();
    this.#resume = () => {
      if (isDone() || this.#stopped || this.#response.closed) resolve(false);
    };
    this.#resume();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#resume = () => {};
    }
  }
}
