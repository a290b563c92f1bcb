/**
 * The pieces that the schemas of requests are made of.
 *
 * A schema has two readers: the validation of requests, and the description of the API. Strings are taken as they are;
 * blank means nothing but white space. A parameter is the list of all values that were given for it.
 */
import * as z from 'zod/mini';
import { CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { whenUsed } from '../../when-used.ts';
import { parseTimestamp } from './timestamp.ts';

const isBlank = (value: unknown): boolean => typeof value !== 'string' || value.trim() === '';

/** A string that is not blank. */
export const filled = (missing: string) => z.string(missing).check(z.refine((text) => !isBlank(text), missing));

/** Optional fields whose empty text is a fault: to leave them out means more than it seems. */
const NEVER_EMPTY = new WeakSet<object>();

/** A field that may be left out or be null, but must not be blank. */
export const filledOrAbsent = (message: string) => {
  const schema = z.exactOptional(filled(message));
  NEVER_EMPTY.add(schema);
  return schema;
};

/** Whether null, or empty text, counts as left out for a member with this schema. */
export const countsAsLeftOut = (value: unknown, schema: unknown): boolean =>
  (value === null || value === '') &&
  schema instanceof z.ZodMiniExactOptional &&
  (value === null || !NEVER_EMPTY.has(schema));

/** For checks of length, which zod would also run on an object that has a member of that name. */
export const ofText = { when: ({ value }: z.core.ParsePayload) => typeof value === 'string' };
export const ofList = { when: ({ value }: z.core.ParsePayload) => Array.isArray(value) };

/** A string of at most so many characters. */
export const textOf = (name: string, longest: number) => {
  const error = `${name} must be a string of at most ${longest} characters`;
  return z.string(error).check(z.maxLength(longest, { ...ofText, error }));
};

/** The longest name of a person, and the longest note, in characters. */
export const LONGEST_NAME = 256;
export const LONGEST_NOTE = 4096;

/** Who gives a command, and why. New fields at each call: the description of the API is kept by field. */
export const signature = () => ({
  by: z.exactOptional(textOf('by', LONGEST_NAME)),
  note: z.exactOptional(textOf('note', LONGEST_NOTE)),
});

/** One of a closed set of words. */
export const oneOf = <Word extends string>(required: string, words: readonly Word[], message: string) =>
  z.enum(words, { error: ({ input }) => (isBlank(input) ? required : message) });

/** A parameter that may be left out, or given several times. */
export const anyOf = <T extends z.ZodMiniType>(item: T) => z.exactOptional(z.array(item));

/** A parameter that may be left out, or given once. */
export const once = (name: string, isValid: (text: string) => boolean, message: string) =>
  z.exactOptional(
    z.array(z.string().check(z.refine(isValid, message))).check(z.maxLength(1, `${name} may be given only once`)),
  );

/** Which incidents a list or a stream is to show. */
export const filtersOfKinds = () => ({
  class: anyOf(z.enum(CLASSES, 'invalid class')),
  state: anyOf(z.enum(STATES, 'invalid state')),
  severity: anyOf(z.enum(SEVERITIES, 'invalid severity')),
});

export const ID_REQUIRED = 'id parameter required';

/** The parameter that names one incident. */
export const oneId = whenUsed(() =>
  z.array(filled(ID_REQUIRED), ID_REQUIRED).check(z.length(1, 'id may be given only once')),
);

/** The parameters of a question about one incident. */
export const idSchema = whenUsed(() => z.strictObject({ id: oneId }));

/** Where no parameters are taken. */
export const nothingSchema = whenUsed(() => z.strictObject({}));

/** Whether a text is a whole number that a double holds exactly. */
export const isCount = (text: string): boolean => /^\d{1,15}$/.test(text);

export const isTimestamp = (text: string): boolean => parseTimestamp(text) !== undefined;
