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

/** Numbers in falling order. */
export interface Scan {
  /** The number that is next, or -1 at the end. */
  readonly head: number;
  /** Whether it has looked for so long that the page should end. */
  readonly budgetSpent: boolean;
  /** Goes on to the first number that is not above `to`. */
  skipTo(to: number): void;
  /** Goes on behind the number that is next. */
  drop(): void;
}

/** Numbers in falling order, fetched a few at a time. */
export class IndexScan implements Scan {
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

/** Numbers that are known, in falling order. */
export class KnownNumbers implements Scan {
  readonly #numbers: readonly number[];
  #at = 0;
  readonly budgetSpent = false;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  get head(): number {
    return this.#numbers[this.#at] ?? -1;
  }

  skipTo(to: number): void {
    while (this.head > to) this.#at += 1;
  }

  drop(): void {
    this.#at += 1;
  }
}

/** The numbers that several scans have in common. Where one has spent its budget, the head may be one that others lack. */
export class Intersection implements Scan {
  readonly #scans: readonly Scan[];

  /** @param scans at least one */
  constructor(scans: readonly Scan[]) {
    this.#scans = scans;
    this.#meet();
  }

  get head(): number {
    return Math.min(...this.#scans.map(({ head }) => head));
  }

  get budgetSpent(): boolean {
    return this.#scans.some(({ budgetSpent }) => budgetSpent);
  }

  skipTo(to: number): void {
    for (const scan of this.#scans) scan.skipTo(to);
    this.#meet();
  }

  drop(): void {
    this.skipTo(this.head - 1);
  }

  #meet(): void {
    for (let to = this.head; to !== -1 && !this.budgetSpent; to = this.head) {
      if (this.#scans.every(({ head }) => head === to)) return;
      for (const scan of this.#scans) scan.skipTo(to);
    }
  }
}

/** The numbers that any of several scans has. */
export class Union implements Scan {
  readonly #scans: readonly Scan[];

  constructor(scans: readonly Scan[]) {
    this.#scans = scans;
  }

  get head(): number {
    return Math.max(-1, ...this.#scans.map(({ head }) => head));
  }

  get budgetSpent(): boolean {
    return this.#scans.some(({ budgetSpent }) => budgetSpent);
  }

  skipTo(to: number): void {
    for (const scan of this.#scans) scan.skipTo(to);
  }

  drop(): void {
    this.skipTo(this.head - 1);
  }
}

/** All numbers of some scans, in falling order. */
export function* merged(scans: readonly Scan[]): Generator<number, undefined> {
  const queue = new Foremost(scans);
  for (let next = queue.first; next !== undefined; next = queue.first) {
    yield next.head;
    next.drop();
    queue.sink();
  }
}

/**
 * The numbers of some scans that another has as well, in falling order; each skips what the other has not. Returns
 * the number from which on it has not looked, when one of them has spent its budget.
 */
export function* common(scans: readonly Scan[], other: Scan): Generator<number, number | undefined> {
  const queue = new Foremost(scans);
  for (let next = queue.first; next !== undefined && other.head !== -1; next = queue.first) {
    const number = next.head;
    if (next.budgetSpent || other.budgetSpent) return Math.min(number, other.head);
    if (number < other.head) {
      other.skipTo(number);
      continue;
    }
    if (number === other.head) {
      yield number;
      next.drop();
    } else next.skipTo(other.head);
    queue.sink();
  }
  return undefined;
}

/** Scans in the order of their next numbers; those at their end are left out. */
class Foremost {
  /** The highest number first. */
  readonly #scans: Scan[];

  constructor(scans: readonly Scan[]) {
    this.#scans = scans.filter(({ head }) => head !== -1).toSorted((one, other) => other.head - one.head);
  }

  /** The scan whose next number is the highest; undefined when all are at their end. */
  get first(): Scan | undefined {
    return this.#scans[0];
  }

  /** Puts the first to its place again when it has gone on. There may be hundreds: their order is not made again. */
  sink(): void {
    const scan = this.#scans[0]!;
    const { head } = scan;
    let low = 1;
    let high = this.#scans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#scans[middle]!.head > head) low = middle + 1;
      else high = middle;
    }
    if (head === -1) this.#scans.shift();
    else if (low > 1) {
      this.#scans.copyWithin(0, 1, low);
      this.#scans[low - 1] = scan;
    }
  }
}
