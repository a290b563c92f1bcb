/**
 * Pauses between attempts. Each is random, between zero and a limit that doubles with every attempt up to a maximum, so
 * that many who wait for the same thing do not all come back at once ("full jitter").
 *
 * Needs Node only: the client ships with this file.
 */
import { setTimeout as wait } from 'node:timers/promises';

/**
 * A random pause in whole milliseconds.
 * @param misses how many attempts have failed in a row
 * @param first the limit of the first pause, in milliseconds
 * @param longest the limit of every pause, in milliseconds
 */
export const fullJitter = (misses: number, first: number, longest: number): number =>
  Math.floor(Math.random() * Math.min(longest, first * 2 ** misses));

/** The pauses of one series of attempts. */
export class Backoff {
  readonly #first: number;
  readonly #longest: number;
  #misses = 0;

  /** Both in milliseconds: the limit of the first pause, and of every pause. */
  constructor(first: number, longest: number) {
    this.#first = first;
    this.#longest = longest;
  }

  /** The pause before the next attempt, at least `least`, in milliseconds. */
  next(least = 0): number {
    const pause = Math.max(least, fullJitter(this.#misses, this.#first, this.#longest));
    this.#misses += 1;
    return pause;
  }

  /** Starts again with the first pause: an attempt has succeeded. */
  reset(): void {
    this.#misses = 0;
  }

  /** Waits for the next attempt, at least `least` milliseconds. Rejects when `signal` is aborted. */
  async pause(signal?: AbortSignal, least?: number): Promise<void> {
    await wait(this.next(least), undefined, { signal });
  }
}
