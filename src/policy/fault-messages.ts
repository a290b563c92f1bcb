/** Texts for the faults of a policy, as an operator reads them. */

/** A value from the file, as a message shows it: on one line, and cut when it is long. */
export const shown = (value: unknown): string => {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  if (typeof value === 'string') return `the text ${quoted(value)}`;
  return value === null ? 'nothing' : String(value);
};

/**
 * The place of a value in the file's structure, such as `rules.tool_call_burst.actions[0]`.
 * @param whole the words for the whole file
 */
export const placeOf = (path: readonly PropertyKey[], whole = 'the policy'): string =>
  path.map(stepInto).join('').replace(/^\./, '') || whole;

const stepInto = (step: PropertyKey): string => {
  if (typeof step === 'number') return `[${step}]`;
  const name = String(step);
  return /^\w{1,60}$/.test(name) ? `.${name}` : `[${quoted(name)}]`;
};

/** Says that a word is not allowed, which words are, and which of them was probably meant. */
export const unknownWord = (kind: string, word: string, allowed: readonly string[]): string => {
  const meant = nearest(word, allowed);
  const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  return `unknown ${kind} ${quoted(word)}${hint}; allowed: ${allowed.join(', ')}`;
};

/** A word from the file in quotation marks: on one line, and cut when it is long. */
export const quoted = (word: string): string => JSON.stringify(word.length > 60 ? `${word.slice(0, 60)}…` : word);

/** The allowed word with the fewest letters to change; undefined when those are too many for a typing error. */
const nearest = (word: string, allowed: readonly string[]): string | undefined =>
  allowed
    .filter((candidate) => Math.abs(candidate.length - word.length) <= 3)
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.min(3, candidate.length / 2))
    .toSorted((one, other) => one.distance - other.distance)[0]?.candidate;

/** The number of insertions, deletions and replacements between two words (Levenshtein), computed row by row. */
const editDistance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [line, letter] of [...from].entries()) {
    const next = [line + 1];
    for (let column = 1; column <= to.length; column += 1) {
      const replace = row[column - 1]! + (letter === to[column - 1] ? 0 : 1);
      next.push(Math.min(replace, row[column]! + 1, next[column - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
};
