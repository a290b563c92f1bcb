/**
 * How a text is split into the words of the search index, and a search into words of the same kind.
 *
 * Words are runs of letters, digits and the signs on them. Case, accents, vowel points, ligatures and widths do not
 * count. In scripts that put no spaces between words (Chinese, Japanese, Thai, …), and in Korean, where endings are
 * part of the word, each pair of letters that follow each other is a word, and so is the last letter: so any part of a
 * text is found by the pairs in it, and a single letter by the words that begin with it.
 *
 * The index (SQLite's `ascii` tokenizer) lower-cases ASCII and separates words at all other ASCII characters.
 * Everything else is done here, so that a search never splits a word where the index did not.
 */
import { RecorderError } from '../errors.ts';

/** A searched word, whole or as a prefix. */
export interface SearchWord {
  readonly text: string;
  readonly isBeginning: boolean;
}

/** Shorter prefixes match too much. */
const SHORTEST_BEGINNING = 3;
const MOST_WORDS = 16;
/** Each gathers all its matches before the first is given: sixteen take 50 ms among 20,000 incidents. */
const MOST_BEGINNINGS = 4;
/** More pairs of one run of letters make a search slower, and hardly more exact. */
const MOST_PAIRS = 16;

/** Many times as fast as an expression. */
const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length;

/** Patterns for letters of all scripts. Made when they are first used: to read them takes a hundredth of a start. */
interface Patterns {
  readonly words: RegExp;
  readonly searched: RegExp;
  /** Runs of letters that are written without spaces between words, or of others. */
  readonly runs: RegExp;
  readonly isUnspaced: RegExp;
  /**
   * What may be left out in writing: accents, the points of Hebrew and Arabic, the Arabic stretcher, and characters
   * without a form of their own that join or separate letters.
   */
  readonly optional: RegExp;
}

const LETTERS = '[\\p{L}\\p{N}\\p{M}]+';
const UNSPACED =
  '\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Bopo}\\p{scx=Hang}\\p{scx=Thai}\\p{scx=Lao}\\p{scx=Khmr}\\p{scx=Mymr}';

let made: Patterns | undefined;
const patterns = (): Patterns =>
  (made ??= {
    words: new RegExp(LETTERS, 'gu'),
    searched: new RegExp(`(${LETTERS})(\\*?)`, 'gu'),
    runs: new RegExp(`[${UNSPACED}]+|[^${UNSPACED}]+`, 'gu'),
    isUnspaced: new RegExp(`^[${UNSPACED}]`, 'u'),
    optional: new RegExp(
      '[\\u0300-\\u036f\\u0483-\\u0487\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe00-\\ufe0f\\ufe20-\\ufe2f' +
        '\\u0591-\\u05bd\\u05bf\\u05c1\\u05c2\\u05c4\\u05c5\\u05c7\\u0610-\\u061a\\u0640\\u064b-\\u065f\\u0670' +
        '\\u06d6-\\u06dc\\u06df-\\u06e8\\u06ea-\\u06ed\\u0711\\u0730-\\u074a\\u00ad\\u200b-\\u200f\\u2060\\ufeff]',
      'g',
    ),
  });

/**
 * The words of a text for the index, with ASCII between them. The index splits ASCII itself: only what stands around
 * other letters is split here, because patterns for letters of all scripts are slow without a compiler.
 */
export function indexedWords(text: string): string {
  if (isAscii(text)) return text;
  let words = '';
  let taken = 0;
  BEYOND_ASCII.lastIndex = 0;
  for (let found = BEYOND_ASCII.exec(text); found !== null; found = BEYOND_ASCII.exec(text)) {
    let begin = found.index;
    while (begin > taken && isOfWord(text.charCodeAt(begin - 1))) begin--;
    let end = found.index + 1;
    while (end < text.length && isOfWord(text.charCodeAt(end))) end++;
    words += `${text.slice(taken, begin)} ${wordsOfRun(text.slice(begin, end))} `;
    taken = end;
    BEYOND_ASCII.lastIndex = end;
  }
  return words + text.slice(taken);
}

const BEYOND_ASCII = /[\u0080-\uffff]/g;

/** The same words come again and again, and to fold one takes as long as to index ten. */
const MOST_RUNS_KEPT = 512;
const LONGEST_RUN_KEPT = 32;
const knownRuns = new Map<string, string>();

/** The words of a text without ASCII signs. */
function wordsOfRun(text: string): string {
  if (text.length > LONGEST_RUN_KEPT) return wordsIn(text);
  const known = knownRuns.get(text);
  if (known !== undefined) return known;
  // A part of a string keeps all of it in memory: here, a whole report.
  const copy = Buffer.from(text, 'utf16le').toString('utf16le');
  const words = wordsIn(copy);
  if (knownRuns.size === MOST_RUNS_KEPT) knownRuns.clear();
  knownRuns.set(copy, words);
  return words;
}

/** Whether a character is a letter or a digit of ASCII, or beyond ASCII. */
const isOfWord = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || code >= 0x80 || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39);

const wordsIn = (text: string): string =>
  (folded(text).match(patterns().words) ?? []).flatMap(partsOf).flatMap(indexed).join(' ');

/**
 * Reads what a person searches for: words that all have to occur; `agent*` is a prefix. Everything but letters and
 * digits separates words: an id is three words.
 * @throws RecorderError `invalid_request` when there is no word, too many, or too short a beginning
 */
export function readWords(text: string): readonly SearchWord[] {
  const found = [...(isAscii(text) ? text : folded(text)).matchAll(patterns().searched)];
  if (found.length === 0 || found.length > MOST_WORDS) {
    throw new RecorderError('invalid_request', `q must hold 1 to ${MOST_WORDS} words of letters or digits`);
  }
  const words = found.flatMap(([, word = '', star]) => {
    const parts = partsOf(word);
    return parts.flatMap((part, index) => searched(part, star === '*' && index === parts.length - 1));
  });
  if (words.filter(({ isBeginning }) => isBeginning).length > MOST_BEGINNINGS) {
    throw new RecorderError('invalid_request', `q: at most ${MOST_BEGINNINGS} words may end in *`);
  }
  return words;
}

function searched(part: string, isBeginning: boolean): readonly SearchWord[] {
  if (patterns().isUnspaced.test(part)) {
    const letters = [...part];
    if (letters.length === 1) return [{ text: part, isBeginning: true }];
    return pairsOf(letters)
      .slice(0, MOST_PAIRS)
      .map((text) => ({ text, isBeginning: false }));
  }
  if (isBeginning && part.length < SHORTEST_BEGINNING) {
    throw new RecorderError('invalid_request', `q: there must be ${SHORTEST_BEGINNING} characters before a *`);
  }
  return [{ text: part, isBeginning }];
}

const indexed = (part: string): readonly string[] => {
  if (!patterns().isUnspaced.test(part)) return [part];
  const letters = [...part];
  return [...pairsOf(letters), letters.at(-1)!];
};

const pairsOf = (letters: readonly string[]): readonly string[] =>
  letters.slice(1).map((letter, index) => `${letters[index]!}${letter}`);

/** The parts of a word that are in one kind of script. */
const partsOf = (word: string): readonly string[] => word.match(patterns().runs) ?? [];

/** The text without what does not count. */
const folded = (text: string): string =>
  text
    .normalize('NFKD')
    // `ß` and `SS`, and the small forms of one letter, become the same.
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKD')
    .replace(patterns().optional, '')
    .replaceAll('ς', 'σ')
    .normalize('NFC');
