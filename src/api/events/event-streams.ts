/**
 * All readers of the event stream.
 *
 * What becomes durable is handed on a moment after the answers to those who reported it, at most every so often and to
 * all readers in one go: so a report costs the same whether anybody follows the log or not.
 */
import type { ServerResponse } from 'node:http';
import { bulkhead } from 'cockatiel';
import type { StoredEntry } from '../../audit/entry.ts';
import { type EntryLine, linesOf } from '../../audit/entry-line.ts';
import { LogCursor } from '../../audit/log-cursor.ts';
import type { AuditLog } from '../../audit/log.ts';
import { type Clock, SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import { admitting, type EventFilter } from './event-filter.ts';
import { EventStream, frameOf } from './event-stream.ts';

const MAX_STREAMS = 64;
/** How many read a page of the log at the same time: who wants little of a long log must not keep others waiting. */
const MOST_READING = 2;
/** The least time between two deliveries, in milliseconds. */
const DELIVER_EVERY = 100;
const BEAT_EVERY = 15 * SECOND;

export interface EventStreamsParts {
  readonly log: Pick<AuditLog, 'status' | 'sealed' | 'fileOf'>;
  readonly kindOf: Parameters<typeof admitting>[1];
  readonly clock: Clock;
  readonly logger: { warn(fields: object, message: string): void };
  /** How often readers are told that the service is still there, in milliseconds. */
  readonly beatEvery?: number;
}

export class EventStreams {
  readonly #parts: EventStreamsParts;
  readonly #streams = new Set<EventStream>();
  readonly #reading = bulkhead(MOST_READING, Infinity);
  #pending: EntryLine[] = [];
  #delivered = -Infinity;
  #delivery: NodeJS.Timeout | undefined;
  #beat: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: EventStreamsParts) {
    this.#parts = parts;
  }

  /** How many there are now. */
  get readers(): number {
    return this.#streams.size;
  }

  /** Takes entries that are on disk; `written` are their lines. Cheap when nobody reads. */
  publish(entries: readonly StoredEntry[], written: Buffer): void {
    if (this.#streams.size === 0) return;
    this.#pending.push(...linesOf(entries, written));
    if (this.#delivery !== undefined) return;
    const wait = this.#delivered + DELIVER_EVERY - this.#parts.clock.monotonic();
    this.#delivery = setTimeout(() => this.#deliver(), Math.max(0, wait)).unref();
  }

  /**
   * Answers with the entries behind `after` and all that follow, until the reader leaves, is cut off, or `close`.
   * @param after a `seq`; when it is not given, only what comes from now on is sent
   * @throws RecorderError `overloaded`, `stopping`; `invalid_request` when the log has not got to `after` yet; `gone`
   *   with `first_seq` when what follows was archived. Nothing has been sent then
   */
  async open(response: ServerResponse, filter: EventFilter, after?: number): Promise<void> {
    const { log, kindOf } = this.#parts;
    const last_seq = log.status.entries;
    if (after !== undefined && after > last_seq) {
      const message = `the log ends with entry ${last_seq}, there is nothing after ${after} yet`;
      throw new RecorderError('invalid_request', message, { fields: { last_seq } });
    }
    const cursor = new LogCursor(log, after ?? last_seq);
    const start = cursor.position;
    const next = (): ReturnType<LogCursor['next']> => this.#reading.execute(() => cursor.next());
    const first = await next();
    if (this.#closed) throw new RecorderError('stopping', 'the service is stopping');
    if (this.#streams.size >= MAX_STREAMS) {
      throw new RecorderError('overloaded', `${MAX_STREAMS} event streams are open; try again later`);
    }
    if (response.destroyed) return;
    const stream = new EventStream(response, start, admitting(filter, kindOf));
    this.#streams.add(stream);
    this.#beat ??= setInterval(() => this.#beatAll(), this.#parts.beatEvery ?? BEAT_EVERY).unref();
    response.once('close', () => this.#streams.delete(stream));
    stream.catchUp(first, next, cursor).catch((error: unknown) => this.#giveUp(stream, error));
  }

  /** Ends all streams; further ones are refused. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#delivery);
    clearInterval(this.#beat);
    for (const stream of this.#streams) stream.end();
  }

  #deliver(): void {
    this.#delivery = undefined;
    this.#delivered = this.#parts.clock.monotonic();
    const frames = this.#pending.map(frameOf);
    this.#pending = [];
    for (const stream of this.#streams) {
      try {
        stream.take(frames);
      } catch (error) {
        this.#giveUp(stream, error);
      }
    }
  }

  /** What the reader was sent until here is in order. When it comes back it can resume, or is told what is wrong. */
  #giveUp(stream: EventStream, error: unknown): void {
    this.#parts.logger.warn({ err: error, position: stream.position }, 'an event stream is cut off');
    stream.end();
  }

  #beatAll(): void {
    for (const stream of this.#streams) stream.beat();
    if (this.#streams.size > 0) return;
    clearInterval(this.#beat);
    this.#beat = undefined;
  }
}
