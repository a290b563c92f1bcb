/**
 * The entries that a webhook did not take while it took others: each is tried again by itself, and the feed goes on.
 *
 * An entry is tried for a day: the pauses between its attempts may add up to that. Then it is skipped, which the log
 * records. It is not skipped while the receiver is away: only after an answer, or when others were taken meanwhile.
 */
import { fullJitter } from '../backoff.ts';
import type { EntryLine } from '../audit/entry-line.ts';
import type { ReadableLog } from '../audit/log.ts';
import { type Clock, DAY, MINUTE, timestamp } from '../clock.ts';
import type { ParkedEntry } from '../domain/entries.ts';
import { briefly } from './http-target.ts';
import { lineOf } from './later-entries.ts';
import type { WebhookReceiver } from './webhook-receiver.ts';

/** How many are parked at most: what the log repeats of them stays small. */
const MOST = 50;
const PATIENCE = DAY;
const FIRST_PAUSE = 1 * MINUTE;
const LONGEST_PAUSE = 15 * MINUTE;

export interface ParkedEntriesParts {
  readonly log: ReadableLog;
  readonly clock: Clock;
  readonly receiver: Pick<WebhookReceiver, 'send' | 'wants' | 'hasTakenSince'>;
  /** Whether the receiver takes what the feed sends now. While it does not, no parked entry is tried. */
  readonly isUp: () => boolean;
  /** Records that an entry is not sent any more. */
  readonly skip: (entry: ParkedEntry, error: string) => Promise<void>;
  /** Records the list. */
  readonly record: () => Promise<void>;
}

/** A parked entry, with what a restart may forget. */
interface Parked extends ParkedEntry {
  /** When it is tried again, and when it was tried last, by the monotonic clock. */
  due: number;
  readonly triedAt: number;
}

export class ParkedEntries {
  readonly #parts: ParkedEntriesParts;
  readonly #parked = new Map<number, Parked>();
  #working: Promise<void> | undefined;
  #lastError: string | undefined;

  /** @param known those on record, which are due at once */
  constructor(known: readonly ParkedEntry[], parts: ParkedEntriesParts) {
    this.#parts = parts;
    for (const entry of known) this.#put(entry, -Infinity);
  }

  get size(): number {
    return this.#parked.size;
  }

  has(seq: number): boolean {
    return this.#parked.has(seq);
  }

  /** What the receiver said to the attempt that was made last; undefined when nothing is parked. */
  get lastError(): string | undefined {
    return this.#parked.size === 0 ? undefined : this.#lastError;
  }

  /** As the log records them, oldest first. */
  get list(): readonly ParkedEntry[] {
    return [...this.#parked.values()]
      .map(({ seq, event, since, attempts, waited_ms }) => ({ seq, event, since, attempts, waited_ms }))
      .toSorted((one, other) => one.seq - other.seq);
  }

  /** Parks an entry. Where there are too many, those that have been parked longest are skipped. */
  async add({ seq, event }: EntryLine, error: string | undefined): Promise<void> {
    const oldest = [...this.#parked.values()].toSorted((one, other) => (one.since < other.since ? -1 : 1));
    // More than one, when an operator has asked for many to be sent again.
    for (const one of oldest.slice(0, Math.max(0, oldest.length - MOST + 1))) {
      if (this.#parked.get(one.seq) === one) await this.#skip(one, `${MOST} others were parked after it`);
    }
    this.#lastError = error;
    const { clock } = this.#parts;
    const since = timestamp(clock.now());
    this.#put(
      { seq, event, since, attempts: 0, waited_ms: 0 },
      clock.monotonic() + fullJitter(0, FIRST_PAUSE, FIRST_PAUSE),
    );
  }

  /**
   * Tries an entry for another day, beginning now.
   * @param record records that; when it rejects, all stays as it was
   */
  async again(entry: Pick<ParkedEntry, 'seq' | 'event'>, record: () => Promise<void>): Promise<void> {
    const before = this.#parked.get(entry.seq);
    const { clock } = this.#parts;
    this.#put({ ...entry, since: timestamp(clock.now()), attempts: 0, waited_ms: 0 }, -Infinity);
    try {
      await record();
    } catch (error) {
      this.#parked.delete(entry.seq);
      if (before !== undefined) this.#parked.set(before.seq, before);
      throw error;
    }
  }

  /** Makes all of them due now. */
  hurry(): void {
    for (const entry of this.#parked.values()) entry.due = -Infinity;
  }

  /** Tries those that are due, one after the other. Cheap when none is. */
  look(): void {
    if (this.#working !== undefined || this.#parked.size === 0 || !this.#parts.isUp()) return;
    this.#working = this.#tryDue()
      .catch(() => {
        // Stopping, or the log can't be read or written now: the next look tries again.
      })
      .finally(() => {
        this.#working = undefined;
      });
  }

  /** Waits for the attempt that is being made. */
  async settle(): Promise<void> {
    await this.#working;
  }

  async #tryDue(): Promise<void> {
    const { clock, isUp } = this.#parts;
    for (const { seq } of this.list) {
      const entry = this.#parked.get(seq);
      if (entry === undefined || entry.due > clock.monotonic()) continue;
      if (!isUp()) return;
      await this.#try(entry);
    }
  }

  async #try(entry: Parked): Promise<void> {
    const { log, receiver, clock, record } = this.#parts;
    const line = await lineOf(log, entry.seq);
    if (line === undefined) return this.#skip(entry, 'it has left the log for the archive');
    const result = receiver.wants(line) ? await receiver.send(line) : undefined;
    // An operator may have asked for it meanwhile: then it has another day.
    if (this.#parked.get(entry.seq) !== entry) return;
    if (result === undefined || result.kind === 'done') {
      this.#parked.delete(entry.seq);
      return record();
    }
    this.#lastError = result.error;
    const retryAfter = result.kind === 'missed' ? (result.retryAfter ?? 0) : 0;
    const pause = Math.max(fullJitter(entry.attempts, FIRST_PAUSE, LONGEST_PAUSE), retryAfter);
    const tried = { ...entry, attempts: entry.attempts + 1, triedAt: clock.monotonic() };
    const isUp = hasAnswered(result.error) || receiver.hasTakenSince(entry.triedAt);
    if (isUp && entry.waited_ms + pause > PATIENCE) return this.#skip(tried, briefly(result.error));
    this.#parked.set(entry.seq, {
      ...tried,
      waited_ms: Math.min(entry.waited_ms + pause, PATIENCE),
      due: tried.triedAt + pause,
    });
  }

  async #skip(entry: Parked, error: string): Promise<void> {
    this.#parked.delete(entry.seq);
    try {
      await this.#parts.skip(entry, error);
    } catch (reason) {
      this.#parked.set(entry.seq, entry);
      throw reason;
    }
  }

  #put(entry: ParkedEntry, due: number): void {
    this.#parked.set(entry.seq, { ...entry, due, triedAt: this.#parts.clock.monotonic() });
  }
}

const hasAnswered = (error: string): boolean => /^answered \d{3}/.test(error);
