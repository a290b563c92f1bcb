import { fullJitter } from '../backoff.ts';
import { MINUTE, SECOND } from '../clock.ts';

const FIRST = 0.5 * SECOND;
const LONGEST = 1 * MINUTE;

/**
 * The longest pause that a service may ask for (`Retry-After`), in milliseconds: a proxy's page may say an hour or
 * more.
 */
export const LONGEST_RETRY_AFTER = 5 * MINUTE;

/**
 * The pause before the next attempt, in milliseconds: up to half a second after the first failed attempt, doubling up
 * to a minute, with full jitter, and at least as long as the service asks for (`Retry-After`).
 * @param misses how many attempts failed before this one
 * @param retryAfter in milliseconds
 */
export const pauseAfter = (misses: number, retryAfter = 0): number =>
  Math.max(fullJitter(misses, FIRST, LONGEST), retryAfter);
