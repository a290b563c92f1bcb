/** Stretches of an index, and what is made of several: their numbers merged, or those that they have in common. */

/** How many numbers are fetched at a time, and how many times before a stretch is tired. */
export const FETCH = 64;
const FETCHES = 500;

export interface IndexScanOptions {
  /** How many numbers it fetches at a time. */
  readonly size: number;
  /** How many times it fetches on before it is tired. */
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

/** All numbers of some stretches, in falling order. */
export function* merged(stretches: readonly IndexScan[]): Generator<number, undefined> {
  for (let next = foremost(stretches); next !== undefined; next = foremost(stretches)) {
    yield next.head;
    next.drop();
  }
}

/**
 * The numbers of some stretches that another has as well, in falling order; each skips what the other has not. Returns
 * the number from which on it has not looked, when one of them became tired.
 */
export function* common(stretches: readonly IndexScan[], other: IndexScan): Generator<number, number | undefined> {
  for (let next = foremost(stretches); next !== undefined && other.head !== -1; next = foremost(stretches)) {
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

/** The stretch whose next number is the highest; undefined when all are at their end. */
function foremost(stretches: readonly IndexScan[]): IndexScan | undefined {
  let next: IndexScan | undefined;
  for (const stretch of stretches) if (stretch.head > (next?.head ?? -1)) next = stretch;
  return next;
}
