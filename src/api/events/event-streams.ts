/**
 * All readers of the event stream.
 *
 * Durable entries go out to all readers together, at most every 100 ms, a moment after the responses to their reporters.
 * So a report costs the same whether anybody follows the log or not.
 */
import type { ServerResponse } from 'node:http';
import { bulkhead } from 'cockatiel';
import { type EntryLine, linesOf } from '../../audit/entry-line.ts';
import { LogCursor } from '../../audit/log-cursor.ts';
import { goneTo, isInLog, isOfEntry, type LogPosition } from '../../audit/log-position.ts';
import type { ReadableLog } from '../../audit/log.ts';
import { type Clock, SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import type { Peer } from '../server/peer.ts';
import { entryFilter, type EventFilter } from './event-filter.ts';
import type { Reader } from '../../domain/withheld.ts';
import { EventStream, frameOf } from './event-stream.ts';
import type { StoredEntry } from '../../domain/entries.ts';

const MAX_STREAMS = 64;
/** As many more for readers on connections that showed the service token: strangers can't take them. */
const MORE_FOR_TRUSTED = 16;
/** How many readers read a page of the log at the same time: long reads must not keep the others waiting. */
const MAX_READING = 2;
/** The least time between two deliveries, in milliseconds … */
const DELIVER_EVERY = 100;
/** … and as a multiple of the time that the last one took: reports come before their readers. */
const DELIVER_SHARE = 5;
const BEAT_EVERY = 15 * SECOND;

/** A reader of which nothing is known. */
const ANYBODY: Peer = { trusted: false, turn: () => Promise.resolve() };
const NOTHING_MORE: Entitlement = { reader: { words: false, evidence: false }, isEntitled: () => true };

/** What the reader of a stream gets of what not everybody gets. */
export interface Entitlement {
  readonly reader: Reader;
  /** Whether they may still have it: their token may have lost a role, or be no token any more. */
  readonly isEntitled: () => boolean;
}

export interface EventStreamsDependencies {
  readonly log: ReadableLog;
  /** The identity of the log, when it is known. */
  readonly logId?: () => string | undefined;
  readonly kindOf: Parameters<typeof entryFilter>[1];
  readonly clock: Clock;
  readonly logger: { warn(fields: object, message: string): void };
  /** Milliseconds between two heartbeats to each reader. */
  readonly beatEvery?: number;
}

export class EventStreams {
  readonly #dependencies: EventStreamsDependencies;
  readonly #streams = new Map<EventStream, Entitlement>();
  /** Each stream waits for one page at most. */
  readonly #reading = bulkhead(MAX_READING, MAX_STREAMS + MORE_FOR_TRUSTED);
  readonly #strangersReading = bulkhead(MAX_READING, MAX_STREAMS);
  /** Streams that are about to open. */
  #opening = 0;
  /** How many strangers have a stream, or wait for one. */
  #strangers = 0;
  #pending: EntryLine[] = [];
  /** When the next delivery may be. */
  #deliverFrom = -Infinity;
  #delivery: NodeJS.Timeout | undefined;
  #beat: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(dependencies: EventStreamsDependencies) {
    this.#dependencies = dependencies;
  }

  /** How many there are now. */
  get readers(): number {
    return this.#streams.size;
  }

  /** Sends durable entries to all readers soon. `written` are their lines. Cheap when nobody reads. */
  publish(entries: readonly StoredEntry[], written: Buffer): void {
    if (this.#streams.size === 0) return;
    this.#pending.push(...linesOf(entries, written));
    if (this.#delivery !== undefined) return;
    const wait = this.#deliverFrom - this.#dependencies.clock.monotonic();
    this.#delivery = setTimeout(() => this.#deliver(), Math.max(0, wait)).unref();
  }

  /**
   * Responds with the entries after `after` and all that follow, until the reader leaves, is cut off, or `close`. When it
   * throws, nothing was sent.
   *
   * @param after where the reader is; without it only new entries are sent
   * @param peer who reads
   * @param entitlement what the reader gets of what not everybody gets
   * @throws RecorderError `overloaded`, `stopping`; `invalid_request` when the log does not reach a bare `after` yet;
   *   `gone` with `first_seq` when what follows is archived, and for a place that is not in this log
   */
  async open(
    response: ServerResponse,
    filter: EventFilter,
    after?: LogPosition,
    peer: Peer = ANYBODY,
    entitlement = NOTHING_MORE,
  ): Promise<void> {
    const { log, kindOf, logId } = this.#dependencies;
    const identity = logId?.();
    const last_seq = log.status.entries;
    if (after !== undefined && !isInLog(after, identity)) {
      throw goneTo('this is another log than the one that was read', log, identity);
    }
    if (after !== undefined && after.seq > last_seq) {
      const message = `the log ends with entry ${last_seq}, there is nothing after ${after.seq} yet`;
      if (after.log !== undefined) throw goneTo(message, log, identity);
      throw new RecorderError('invalid_request', message, { fields: { last_seq } });
    }
    const cursor = new LogCursor(log, after?.seq ?? last_seq);
    const start = cursor.position;
    // It would never be seen to close.
    if (response.closed) return;
    const { trusted } = peer;
    const taken = trusted ? this.#streams.size + this.#opening : this.#strangers;
    const places = trusted ? MAX_STREAMS + MORE_FOR_TRUSTED : MAX_STREAMS;
    if (taken >= places) throw new RecorderError('overloaded', `${places} event streams are open; try again later`);
    const turn = (): Promise<void> => peer.turn();
    const reading = trusted ? this.#reading : this.#strangersReading;
    const next = (): ReturnType<LogCursor['next']> => reading.execute(() => cursor.next(turn));
    this.#opening++;
    if (!trusted) {
      this.#strangers++;
      response.once('close', () => this.#strangers--);
    }
    let first: Awaited<ReturnType<typeof next>>;
    let hash: string;
    try {
      do first = await next();
      // Entries that were written meanwhile.
      while (first.length === 0 && !cursor.atEnd);
      hash = first[0]?.entry().prev_hash ?? log.status.last_hash;
    } finally {
      this.#opening--;
    }
    if (this.#closed) throw new RecorderError('stopping', 'the service is stopping');
    if (response.destroyed) return;
    if (after !== undefined && !isOfEntry(after, identity, hash)) {
      throw goneTo(
        `entry ${after.seq} is not the one that was read: an older copy of the log was put back`,
        log,
        identity,
      );
    }
    const entry = { seq: start, hash };
    const stream = new EventStream(response, identity, entry, entryFilter(filter, kindOf), entitlement.reader);
    this.#streams.set(stream, entitlement);
    this.#beat ??= setInterval(() => this.#beatAll(), this.#dependencies.beatEvery ?? BEAT_EVERY).unref();
    response.once('close', () => this.#streams.delete(stream));
    stream.catchUp(first, next, cursor).catch((error: unknown) => this.#giveUp(stream, error));
  }

  /** Ends all streams, and refuses new ones. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#delivery);
    clearInterval(this.#beat);
    for (const stream of this.#streams.keys()) stream.end();
  }

  /** Ends the streams whose readers may not have what they get any more. To be called when tokens or roles change. */
  recheck(): void {
    for (const [stream, { isEntitled }] of this.#streams) if (!isEntitled()) stream.end();
  }

  #deliver(): void {
    this.#delivery = undefined;
    const { clock } = this.#dependencies;
    const began = clock.monotonic();
    const identity = this.#dependencies.logId?.();
    const frames = this.#pending.map((line) => frameOf(line, identity));
    this.#pending = [];
    // A token whose file was replaced is nobody's any more, without a reload.
    this.recheck();
    for (const stream of this.#streams.keys()) {
      try {
        stream.take(frames);
      } catch (error) {
        this.#giveUp(stream, error);
      }
    }
    this.#deliverFrom = began + Math.max(DELIVER_EVERY, DELIVER_SHARE * (clock.monotonic() - began));
  }

  /** What was sent so far is in order. When the reader reconnects it resumes, or gets the error as a response. */
  #giveUp(stream: EventStream, error: unknown): void {
    this.#dependencies.logger.warn({ err: error, position: stream.position }, 'an event stream is cut off');
    stream.end();
  }

  #beatAll(): void {
    this.recheck();
    for (const stream of this.#streams.keys()) {
      if (stream.isStalled()) this.#giveUp(stream, new RecorderError('overloaded', 'its reader does not read'));
      else stream.beat();
    }
    if (this.#streams.size > 0) return;
    clearInterval(this.#beat);
    this.#beat = undefined;
  }
}
