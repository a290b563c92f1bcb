/** Jumps of the clock among the entries of an incident, for people. */
import type { ClockJump } from './entries.ts';

/** The jumps that were found behind one entry and up to another, oldest first. */
export const jumpsBetween = (jumps: readonly ClockJump[], after: number, to: number): readonly ClockJump[] =>
  jumps.filter(({ seq }) => seq > after && seq <= to);

/** Whether an entry was written about when the clock jumped: nobody knows by which of both times. */
export const isTimeUncertain = (jumps: readonly ClockJump[], seq: number): boolean =>
  jumps.some(({ after_seq, seq: found }) => seq > after_seq && seq < found);

/** What happened, as in `the clock went back by 86400 s; before, it said 2026-11-22T07:12:00.123Z`. */
export const jumpInWords = ({ by_ms, since, found }: Pick<ClockJump, 'by_ms' | 'since' | 'found'>): string => {
  const seconds = Math.round(Math.abs(by_ms) / 100) / 10;
  const how = by_ms < 0 ? 'back' : 'forward';
  return `the clock went ${how} by ${seconds} s; ${found === 'start' ? 'at the last entry' : 'before'}, it said ${since}`;
};
