import { fullJitter } from '../backoff.ts';
import { MINUTE, SECOND } from '../clock.ts';

const FIRST = 0.5 * SECOND;
const LONGEST = 1 * MINUTE;

/**
 * The pause before the next attempt, in milliseconds: up to half a second after the first failed attempt, doubling up
 * to a minute, with full jitter, and at least as long as the service asks for (`Retry-After`).
 * @param misses how many attempts failed before this one
 * @param retryAfter in milliseconds
 */
export const pauseAfter = (misses: number, retryAfter = 0): number =>
  Math.max(fullJitter(misses, FIRST, LONGEST), retryAfter);
