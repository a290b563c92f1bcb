import * as z from 'zod/mini';
import { isTimestamp } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const BEFORE_REQUIRED = 'before required: an RFC 3339 time like 2026-11-22T07:12:00Z';

/** The body of the command that archives old segments of the log. */
export const archiveSchema = whenUsed(() =>
  z.strictObject({
    before: z.string(BEFORE_REQUIRED).check(z.refine(isTimestamp, BEFORE_REQUIRED)),
  }),
);
