import type { Clock } from '../../src/clock.ts';

/** A clock that stands still unless it is set. */
export class FixedClock implements Clock {
  milliseconds: number;
  /** How far the wall clock is off; time as such does not jump with it. */
  off = 0;

  constructor(time = '2026-11-22T07:12:00.123Z') {
    this.milliseconds = Date.parse(time);
  }

  now(): number {
    return this.milliseconds + this.off;
  }

  monotonic(): number {
    return this.milliseconds;
  }
}
