import * as z from 'zod/mini';
import { MOST_HOURS } from '../../query/activity-counts.ts';
import { COMPARED_BY } from '../../query/comparison-reading.ts';
import { isTimestamp, once } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

const isHours = (text: string): boolean => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= MOST_HOURS;

/** The parameters of what happened in the last hours. */
export const hoursSchema = whenUsed(() =>
  z.strictObject({
    hours: once('hours', isHours, `hours must be a whole number from 1 to ${MOST_HOURS}`),
  }),
);

const notATime = (name: string): string =>
  `${name} must be an RFC 3339 time like 2026-11-22T07:12:00Z (in a query, + is written %2B)`;

/** The parameters of a comparison with the range before. */
export const comparisonSchema = whenUsed(() =>
  z.strictObject({
    since: once('since', isTimestamp, notATime('since')),
    until: once('until', isTimestamp, notATime('until')),
    by: z.exactOptional(
      z
        .array(z.enum(COMPARED_BY, `by must be one of ${COMPARED_BY.join(', ')}`))
        .check(z.maxLength(1, 'by may be given only once')),
    ),
  }),
);
