/** What the schemas of the policy and of the access file are made of. Everything unknown is refused by name. */
import { isAbsolute } from 'node:path';
import * as z from 'zod/mini';
import { shown, unknownWord } from './fault-messages.ts';

/**
 * A mapping with the given keys and no others. Each unknown key is a fault of its own, with its own place, and does not
 * stop the checks that follow.
 * @param kind what a key names, for messages
 */
export const closed = <Shape extends z.core.$ZodLooseShape>(kind: string, shape: Shape) => {
  const allowed = Object.keys(shape);
  return z.catchall(
    z.object(shape, { error: ({ input }) => `must be a mapping of ${allowed.join(', ')}, found ${shown(input)}` }),
    z.custom(() => false, { abort: false, error: ({ path }) => unknownWord(kind, String(path?.at(-1)), allowed) }),
  );
};

/**
 * One of some words.
 * @param kind what a word names, for messages
 */
export const oneOf = <Word extends string>(kind: string, words: readonly Word[]) =>
  z.enum(words, {
    error: ({ input }) =>
      typeof input === 'string'
        ? unknownWord(kind, input, words)
        : `must be one of ${words.join(', ')}, found ${shown(input)}`,
  });

/** The path of a file from the root. */
export const absolutePath = z.string({ error: ({ input }) => `must be an absolute path, found ${shown(input)}` }).check(
  z.refine((text) => isAbsolute(text) && !text.includes('\0'), {
    error: ({ input }) => `must be an absolute path, found ${shown(input)}`,
  }),
);

/**
 * Runs a check also on a mapping that has other faults, so that one answer lists all of them. The check must expect
 * members of any type.
 */
export const evenIfFaulty = { when: ({ value }: z.core.ParsePayload) => typeof value === 'object' && value !== null };

/** The same for a check on a list. */
export const evenIfItemsAreFaulty = { when: ({ value }: z.core.ParsePayload) => Array.isArray(value) };
