import * as z from 'zod/mini';
import { CLASSES, SEVERITIES } from '../../../machines/vocabulary.ts';
import { faultOfSource } from '../../domain/source-name.ts';
import { filled, isTimestamp, ofList, ofText, textOf } from '../request/fields.ts';
import { whenUsed } from '../../when-used.ts';

export const SILENCE_REQUIRED = 'until and reason are required';
export const END_SILENCE_REQUIRED = 'id required';

/** The most sources that one silence names. */
const MOST_SILENCED_SOURCES = 16;
const LONGEST_REASON = 1024;
/** An entry about the archive repeats it with the silence. */
const LONGEST_END_REASON = 512;

const notATime = (name: string): string => `${name} must be an RFC 3339 time like 2026-11-22T07:12:00Z`;

const timeOf = (name: string) => z.string(notATime(name)).check(z.refine(isTimestamp, notATime(name)));

/** A list of values, each given once or more; nothing stands for all of them. */
const listOf = <Item extends z.ZodMiniType>(name: string, item: Item, most: number) =>
  z.exactOptional(
    z
      .array(item, `${name} must be a list`)
      .check(z.maxLength(most, { ...ofList, error: `${name} must have at most ${most} values` })),
  );

const source = whenUsed(() =>
  z.string('source must be a list of names').check(
    z.refine((name) => name.trim() !== '' && faultOfSource(name) === undefined, {
      error: ({ input }) => (String(input).trim() === '' ? 'source must not be blank' : faultOfSource(String(input))),
    }),
  ),
);

const reason = `reason must be a string of at most ${LONGEST_REASON} characters`;

/** The body of a new silence. */
export const silenceSchema = whenUsed(() =>
  z.strictObject({
    class: listOf('class', z.enum(CLASSES, 'invalid class'), CLASSES.length),
    source: listOf('source', source, MOST_SILENCED_SOURCES),
    severity: listOf('severity', z.enum(SEVERITIES, 'invalid severity'), SEVERITIES.length),
    q: z.exactOptional(textOf('q', 256)),
    from: z.exactOptional(timeOf('from')),
    until: z
      .string({ error: ({ input }) => (input === undefined ? SILENCE_REQUIRED : notATime('until')) })
      .check(z.refine(isTimestamp, notATime('until'))),
    reason: filled(SILENCE_REQUIRED).check(z.maxLength(LONGEST_REASON, { ...ofText, error: reason })),
    by: z.exactOptional(textOf('by', 256)),
  }),
);

/** The body of the command that ends a silence. */
export const endSilenceSchema = whenUsed(() =>
  z.strictObject({
    id: filled(END_SILENCE_REQUIRED),
    reason: z.exactOptional(textOf('reason', LONGEST_END_REASON)),
    by: z.exactOptional(textOf('by', 256)),
  }),
);
