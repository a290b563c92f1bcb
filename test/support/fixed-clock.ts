import type { Clock } from '../../src/clock.ts';

/** A clock that stands still unless it is set. */
export class FixedClock implements Clock {
  milliseconds: number;

  constructor(time = '2026-11-22T07:12:00.123Z') {
    this.milliseconds = Date.parse(time);
  }

  now(): number {
    return this.milliseconds;
  }

  monotonic(): number {
    return this.milliseconds;
  }
}
