/**
 * A limit on the bytes that leave in a second: a bucket that fills at the rate, and holds one second's worth. Whoever
 * takes more than is there waits until it is paid back.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { type Clock, SECOND } from '../clock.ts';

export class BandwidthLimit {
  /** Bytes in a second. */
  readonly rate: number;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #left: number;
  #at: number;

  constructor(rate: number, clock: Pick<Clock, 'monotonic'>) {
    this.rate = rate;
    this.#clock = clock;
    this.#left = rate;
    this.#at = clock.monotonic();
  }

  /** Takes `bytes`; resolves when they may be sent. Rejects when `signal` is aborted. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    this.#left = Math.min(this.rate, this.#left + ((now - this.#at) / SECOND) * this.rate);
    this.#at = now;
    this.#left -= bytes;
    if (this.#left < 0) await wait((-this.#left / this.rate) * SECOND, undefined, { signal });
  }
}
