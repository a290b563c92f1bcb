/**
 * Time, as an argument. Nothing below the composition root asks the system for the time by itself.
 *
 * Wall-clock time is data: it is written into entries and shown to people, and may jump. What must not jump (waiting,
 * measuring) uses `monotonic`.
 */

/** Units of time, in milliseconds. */
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. */
  now(): number;
  /** Milliseconds from an arbitrary origin, never going back. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  // `performance` would load a module at start.
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
};

/** RFC 3339 in UTC with milliseconds, e.g. `2026-11-22T07:12:00.123Z`. */
export const timestamp = (milliseconds: number): string => new Date(milliseconds).toISOString();
