/**
 * What is kept of histories between batches, so that a batch reads little from the database. It is a cache only: the row
 * of the log says whether it is still right.
 */
import type { HistoryFold } from './history-fold.ts';

/** In characters, over all histories. A thousand machines that report now and then fit. */
const MOST_WEIGHT = 48 * 1024 * 1024;

export class FoldCache {
  readonly #folds = new Map<string, { readonly fold: HistoryFold; readonly weight: number }>();
  #weight = 0;

  /** Takes a fold out: whoever has changed it puts it back once that is committed. */
  take(machine: string, log: string): HistoryFold | undefined {
    const key = keyOf(machine, log);
    const known = this.#folds.get(key);
    if (known === undefined) return undefined;
    this.#folds.delete(key);
    this.#weight -= known.weight;
    return known.fold;
  }

  put(machine: string, log: string, fold: HistoryFold): void {
    const key = keyOf(machine, log);
    this.take(machine, log);
    this.#folds.set(key, { fold, weight: fold.weight });
    this.#weight += fold.weight;
    for (const [oldest, { weight }] of this.#folds) {
      if (this.#weight <= MOST_WEIGHT || oldest === key) return;
      this.#folds.delete(oldest);
      this.#weight -= weight;
    }
  }
}

/** No name of a machine has a space. */
const keyOf = (machine: string, log: string): string => `${machine} ${log}`;
