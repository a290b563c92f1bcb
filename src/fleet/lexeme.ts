import { createHash } from 'node:crypto';

/** PostgreSQL takes words of at most 2,046 bytes; a search is for at most 256 characters. */
const LONGEST = 300;

/**
 * A word or mark as the search index of the fleet holds it: one that is too long is cut, and the rest is hashed, so that it
 * is found by its beginning, and as a whole.
 */
export const lexeme = (text: string): string =>
  text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}~${createHash('sha256').update(text).digest('hex')}`;
