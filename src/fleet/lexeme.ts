/** The longest word or mark that the search index of the fleet holds, in characters: PostgreSQL takes 2,046 bytes. */
export const LONGEST_LEXEME = 512;

/** A word or mark as the search index of the fleet holds it, and as searches ask for it. */
export const lexemeOf = (text: string): string => text.toLowerCase().slice(0, LONGEST_LEXEME);
