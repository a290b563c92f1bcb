/**
 * Pauses between attempts: doubling up to a limit, each at random between nothing and that, so that many who wait for
 * the same thing do not come back all at once ("full jitter").
 */
import { setTimeout as wait } from 'node:timers/promises';

export class Backoff {
  readonly #first: number;
  readonly #longest: number;
  #next: number;

  /** Both in milliseconds: the limit of the first pause, and of all. */
  constructor(first: number, longest: number) {
    this.#first = first;
    this.#longest = longest;
    this.#next = first;
  }

  /** How long to wait before the next attempt, in milliseconds, and at least so long. */
  next(least = 0): number {
    const pause = Math.max(least, Math.random() * this.#next);
    this.#next = Math.min(this.#longest, this.#next * 2);
    return pause;
  }

  /** Begins anew: an attempt has succeeded. */
  reset(): void {
    this.#next = this.#first;
  }

  /** Waits for the next attempt. Rejects when `signal` is aborted. */
  async pause(signal?: AbortSignal, least?: number): Promise<void> {
    await wait(this.next(least), undefined, { signal });
  }
}
