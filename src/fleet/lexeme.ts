/** The lexemes of the fleet's search index: a word, or a mark, with a letter before it that says what it is of. */

/** PostgreSQL takes words of at most 2,046 bytes. */
export const LONGEST_LEXEME = 512;

/** Of the incident itself, of people and notes, of its evidence; marks. Letters, as the index does not hold weights. */
export const KIND = { words: 'a', people: 'b', evidence: 'c', marks: 'd' } as const;

/** A word or mark as the search index of the fleet holds it, and as searches ask for it. */
export const lexemeOf = (kind: (typeof KIND)[keyof typeof KIND], text: string): string =>
  kind + text.toLowerCase().slice(0, LONGEST_LEXEME);
