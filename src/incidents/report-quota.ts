/** How many bytes of reports each source has sent since midnight (UTC). What came before a start is taken from the log. */
import { type Clock, DAY, SECOND } from '../clock.ts';
import type { CurrentReads } from '../projections/current-reads.ts';

/** How many sources are counted; those that were counted first are forgotten first. */
const MOST_COUNTED = 10_000;

export interface Excess {
  /** After how many seconds the source may report again. */
  readonly retryAfter: number;
  /** Whether it is the first report of the day that is too much. */
  readonly isFirst: boolean;
}

export class ReportQuota {
  readonly #clock: Clock;
  #day = -1;
  #isFirstDay = true;
  readonly #bytes = new Map<string, number>();
  readonly #exceeded = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a report. @returns undefined unless it is too much, which is not counted then */
  count(source: string, bytes: number, perDay: number, current: Pick<CurrentReads, 'bytesSince'>): Excess | undefined {
    const now = this.#clock.now();
    this.#begin(Math.floor(now / DAY), current);
    const sum = (this.#bytes.get(source) ?? 0) + bytes;
    if (sum <= perDay) {
      const [oldest] = this.#bytes.keys();
      if (this.#bytes.size >= MOST_COUNTED && oldest !== undefined) this.#bytes.delete(oldest);
      this.#bytes.set(source, sum);
      return undefined;
    }
    const isFirst = !this.#exceeded.has(source);
    if (this.#exceeded.size < MOST_COUNTED) this.#exceeded.add(source);
    return { retryAfter: Math.ceil((DAY - (now % DAY)) / SECOND), isFirst };
  }

  /** Whether a source would report too much for the first time today with so many bytes more. */
  mayExceed(source: string, bytes: number, perDay: number, current: Pick<CurrentReads, 'bytesSince'>): boolean {
    this.#begin(Math.floor(this.#clock.now() / DAY), current);
    return !this.#exceeded.has(source) && (this.#bytes.get(source) ?? 0) + bytes > perDay;
  }

  #begin(day: number, current: Pick<CurrentReads, 'bytesSince'>): void {
    if (day === this.#day) return;
    const before = this.#isFirstDay ? current.bytesSince(day * DAY) : [];
    this.#day = day;
    this.#isFirstDay = false;
    this.#bytes.clear();
    this.#exceeded.clear();
    for (const [source, bytes] of before) this.#bytes.set(source, bytes);
  }
}
