/**
 * How long ago entries of the log were written. The wall clock may jump, and then a directive that nobody confirms
 * would be overdue at once, or never: so the time that an entry says counts as far as the monotonic clock allows.
 *
 * Marks say how far the log reached at which moment: an entry was written between the mark before it and the one after
 * it. Older marks lie farther apart, so that their number has a bound. What was in the log before the start is as old
 * as its time says, seen from the start.
 */
import type { Clock } from '../clock.ts';

/** The most marks that are kept; then every second one of the older half is dropped. */
const MOST_MARKS = 256;

/** When an entry was written: its place in the log, and what it says of the time, in milliseconds since the epoch. */
export interface Written {
  readonly askedSeq: number;
  readonly askedAt: number;
}

interface Mark {
  /** `seq` of the last entry of the log. */
  readonly seq: number;
  /** By the monotonic clock. */
  readonly at: number;
}

export class EntryAges {
  readonly #clock: Clock;
  readonly #start: Mark & { readonly wall: number };
  #marks: Mark[] = [];

  /** @param lastSeq `seq` of the last entry that was written before the start */
  constructor(clock: Clock, lastSeq: number) {
    this.#clock = clock;
    this.#start = { seq: lastSeq, at: clock.monotonic(), wall: clock.now() };
  }

  /** Marks how far the log reaches now. To be called every second or so. */
  note(lastSeq: number): void {
    if (lastSeq <= (this.#marks.at(-1)?.seq ?? this.#start.seq)) return;
    this.#marks.push({ seq: lastSeq, at: this.#clock.monotonic() });
    if (this.#marks.length > MOST_MARKS) {
      this.#marks = this.#marks.filter((_, index) => index % 2 === 0 || index > MOST_MARKS / 2);
    }
  }

  /** How many milliseconds ago an entry was written. */
  of({ askedSeq, askedAt }: Written): number {
    const start = this.#start;
    const now = this.#clock.monotonic();
    if (askedSeq <= start.seq) return Math.max(0, start.wall - askedAt) + now - start.at;
    const after = this.#marks.findIndex(({ seq }) => seq >= askedSeq);
    const before = (after === -1 ? this.#marks.at(-1) : this.#marks[after - 1]) ?? start;
    const least = after === -1 ? 0 : now - this.#marks[after]!.at;
    return Math.min(Math.max(this.#clock.now() - askedAt, least), now - before.at);
  }
}
