/** Scans of an index, and how several combine: all their numbers merged, or those that they have in common. */

/** How many numbers are fetched at a time, and how many times before the budget of a scan is spent. */
export const FETCH = 64;
const FETCHES = 500;

export interface IndexScanOptions {
  /** How many numbers it fetches at a time. */
  readonly size: number;
  /** How many times it fetches before its budget is spent. */
  readonly fetches: number;
}

/** Numbers in falling order, fetched a few at a time. */
export class IndexScan {
  readonly #fetch: (to: number) => readonly number[];
  readonly #size: number;
  #fetched: readonly number[];
  #at = 0;
  #fetchesLeft: number;

  /** @param fetch gives the highest numbers that are not above `to`, `size` of them or all */
  constructor(to: number, fetch: (to: number) => readonly number[], options: Partial<IndexScanOptions> = {}) {
    const { size = FETCH, fetches = FETCHES } = options;
    this.#fetch = fetch;
    this.#size = size;
    this.#fetched = fetch(to);
    this.#fetchesLeft = fetches;
  }

  /** The number that is next, or -1 at the end. */
  get head(): number {
    return this.#fetched[this.#at] ?? -1;
  }

  get budgetSpent(): boolean {
    return this.#fetchesLeft < 0;
  }

  /** Goes on to the first number that is not above `to`. */
  skipTo(to: number): void {
    while (this.head > to) this.#at += 1;
    if (this.#at < this.#fetched.length || this.#fetched.length < this.#size) return;
    this.#fetched = this.#fetch(to);
    this.#fetchesLeft -= 1;
    this.#at = 0;
  }

  drop(): void {
    this.skipTo(this.head - 1);
  }
}

/** All numbers of some scans, in falling order. */
export function* merged(scans: readonly IndexScan[]): Generator<number, undefined> {
  for (let next = foremost(scans); next !== undefined; next = foremost(scans)) {
    yield next.head;
    next.drop();
  }
}

/**
 * The numbers that some scans have in common with another, in falling order; each skips what the other has not. When the
 * budget of one is spent, it returns the first number that it has not looked at.
 */
export function* common(scans: readonly IndexScan[], other: IndexScan): Generator<number, number | undefined> {
  for (let next = foremost(scans); next !== undefined && other.head !== -1; next = foremost(scans)) {
    const number = next.head;
    if (next.budgetSpent || other.budgetSpent) return number;
    if (number === other.head) {
      yield number;
      next.drop();
    } else if (number > other.head) next.skipTo(other.head);
    else other.skipTo(number);
  }
  return undefined;
}

/** The scan whose next number is the highest; undefined when all are at their end. */
function foremost(scans: readonly IndexScan[]): IndexScan | undefined {
  let next: IndexScan | undefined;
  for (const stretch of scans) if (stretch.head > (next?.head ?? -1)) next = stretch;
  return next;
}
