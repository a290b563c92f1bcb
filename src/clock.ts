/**
 * Time as an argument: nothing below `src/compose` asks the system for the time.
 *
 * Wall-clock time is data. It is written into entries and shown to people, and it may jump. Waiting and measuring use
 * `monotonic`, which does not jump.
 *
 * Needs Node only: the client ships with this file.
 */

/** Units of time, in milliseconds. */
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since an arbitrary moment; never goes back. */
  monotonic(): number;
  /** The same, with the time that the machine was asleep; `monotonic` may leave that out. */
  sinceBoot?(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  // `performance` would load a module at start.
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
  sinceBoot: () => process.getBuiltinModule('node:os').uptime() * SECOND,
};

/** RFC 3339 in UTC with milliseconds, e.g. `2026-11-22T07:12:00.123Z`. */
export const timestamp = (milliseconds: number): string => {
  if (milliseconds !== spelt.milliseconds) spelt = { milliseconds, text: new Date(milliseconds).toISOString() };
  return spelt.text;
};

/** The latest one: several are asked for in the same millisecond. */
let spelt = { milliseconds: 0, text: '1970-01-01T00:00:00.000Z' };
