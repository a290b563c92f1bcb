/** What all sections of the policy's schema are made of. */
import * as z from 'zod/mini';
import { shown, unknownWord } from './wording.ts';

/**
 * A mapping that takes the given keys and no others, each unknown key being a fault of its own with its own place.
 * An unknown key does not abort: the checks that follow still run.
 */
export const closed = <Shape extends z.core.$ZodLooseShape>(kind: string, shape: Shape) => {
  const allowed = Object.keys(shape);
  return z.catchall(
    z.object(shape, { error: ({ input }) => `must be a mapping of ${allowed.join(', ')}, found ${shown(input)}` }),
    z.custom(() => false, { abort: false, error: ({ path }) => unknownWord(kind, String(path?.at(-1)), allowed) }),
  );
};

export const oneOf = <Word extends string>(kind: string, words: readonly Word[]) =>
  z.enum(words, {
    error: ({ input }) =>
      typeof input === 'string'
        ? unknownWord(kind, input, words)
        : `must be one of ${words.join(', ')}, found ${shown(input)}`,
  });

/**
 * Lets a check run on a mapping that has other faults too, so that one answer holds them all. The members that such a
 * check sees may be of any type.
 */
export const evenIfFaulty = { when: ({ value }: z.core.ParsePayload) => typeof value === 'object' && value !== null };

/** The same for a check on a list. */
export const evenIfItemsAreFaulty = { when: ({ value }: z.core.ParsePayload) => Array.isArray(value) };
