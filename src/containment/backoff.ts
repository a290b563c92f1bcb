import { fullJitterGenerator } from 'cockatiel';
import { SECOND } from '../clock.ts';

const OPTIONS = {
  generator: fullJitterGenerator,
  initialDelay: 0.5 * SECOND,
  maxDelay: 60 * SECOND,
  maxAttempts: Infinity,
  exponent: 2,
};

/**
 * The pause after so many attempts that came to nothing, in milliseconds: half a second, doubling up to a minute, with
 * full jitter, and no less than the service asks for (`Retry-After`).
 */
export const pauseAfter = (misses: number, retryAfter = 0): number =>
  Math.max(OPTIONS.generator(misses, OPTIONS)[0], retryAfter);
