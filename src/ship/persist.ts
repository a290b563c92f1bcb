/** Attempts that are repeated until they succeed. */
import { Backoff } from '../backoff.ts';
import { MINUTE, SECOND } from '../clock.ts';
import { FleetRefused } from './errors.ts';

/** The limit of the first pause, and of every pause, in milliseconds. Each pause is random below it. */
const FIRST_PAUSE = SECOND / 2;
const LONGEST_PAUSE = MINUTE;

/** How long the fleet asks to wait, in milliseconds. */
export const waitAskedBy = (error: unknown): number => (error instanceof FleetRefused ? error.retryAfter : 0);

export const shipperBackoff = (): Backoff => new Backoff(FIRST_PAUSE, LONGEST_PAUSE);

/**
 * Repeats an attempt until it succeeds or `signal` is aborted, with random pauses that grow.
 * @param failed hears of each failure; when it throws, nothing is tried again
 * @throws the reason of `signal`, or what `failed` throws
 */
export async function persist<Result>(
  attempt: () => Promise<Result>,
  failed: (error: unknown) => void,
  signal: AbortSignal,
): Promise<Result> {
  const backoff = shipperBackoff();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      failed(error);
      await backoff.pause(signal, waitAskedBy(error));
    }
  }
}
