/**
 * Slows down whoever keeps failing, such as somebody who guesses one-time secrets. What succeeds costs nothing, so many
 * machines behind one address are enrolled at once.
 */
import { SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';

/** Names that are kept; the oldest, which have failed longest ago, are forgotten first. */
const MOST_KEPT = 10_000;

export interface FailureLimitOptions {
  /** How many failures may come at once. */
  readonly most: number;
  /** After how many milliseconds one of them is forgotten. */
  readonly forgetAfter: number;
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number;
}

export class FailureLimit {
  readonly #options: FailureLimitOptions;
  /** When the last failure of each would be forgotten. */
  readonly #until = new Map<string, number>();

  constructor(options: FailureLimitOptions) {
    this.#options = options;
  }

  /** @throws RecorderError `quota_exceeded` with `retry_after` in seconds, for a name that has failed too often */
  require(name: string): void {
    const { most, forgetAfter, now } = this.#options;
    const wait = (this.#until.get(name) ?? 0) - now() - (most - 1) * forgetAfter;
    if (wait <= 0) return;
    const fields = { retry_after: Math.ceil(wait / SECOND) };
    throw new RecorderError('quota_exceeded', 'too many of these have failed; try again later', { fields });
  }

  failed(name: string): void {
    const { most, forgetAfter, now } = this.#options;
    const time = now();
    const until = Math.max(time, this.#until.get(name) ?? 0) + forgetAfter;
    this.#until.delete(name);
    this.#until.set(name, Math.min(until, time + most * forgetAfter));
    if (this.#until.size > MOST_KEPT) this.#until.delete(this.#until.keys().next().value!);
  }
}
