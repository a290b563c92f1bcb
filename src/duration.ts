/** Durations as people write them: a whole number and a unit, like `500ms`, `5s`, `2h` or `7d`. */
import { DAY, HOUR, MINUTE, SECOND } from './clock.ts';

const MILLISECONDS = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY };
export type DurationUnit = keyof typeof MILLISECONDS;

/** A regular expression, as text, for durations in these units. Its one group is the unit. */
export const durationPattern = (units: readonly DurationUnit[]): string => `^[0-9]{1,9}(${units.join('|')})$`;

/** Reads a duration in one of these units. Returns milliseconds; undefined for any other text. */
export function parseDuration(text: string, units: readonly DurationUnit[]): number | undefined {
  const [, unit] = new RegExp(durationPattern(units)).exec(text) ?? [];
  return unit === undefined ? undefined : Number.parseInt(text, 10) * MILLISECONDS[unit as DurationUnit];
}
