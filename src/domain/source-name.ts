/**
 * Names of sources: which are allowed, and which could be taken for another.
 *
 * Whoever reports chooses the name, so a name must show all that it holds. One that mixes scripts, or that looks like
 * another on record, is allowed and marked as suspicious.
 */
import { codePointOf, forbiddenInName } from './hidden-characters.ts';

export const LONGEST_SOURCE = 256;

/** Letters, digits and some signs of ASCII. Most names are such, and this is the cheapest to find out. */
const PLAIN = /^[\w.:/@-]+$/;

/** Why a name is refused; undefined when it is allowed. */
export function faultOfSource(name: string): string | undefined {
  if (name.length > LONGEST_SOURCE && [...name].length > LONGEST_SOURCE) {
    return `source must have at most ${LONGEST_SOURCE} characters`;
  }
  if (PLAIN.test(name)) return undefined;
  if (name === '') return 'source must not be empty';
  const forbidden = forbiddenInName(name);
  if (forbidden !== undefined) return `source must not hold ${codePointOf(forbidden)} (${kindOf(forbidden)})`;
  if (name !== name.trim()) return 'source must not begin or end with a space';
  return name.includes('  ') ? 'source must not hold two spaces in a row' : undefined;
}

const kinds = (): readonly (readonly [RegExp, string])[] => [
  [/\p{Cc}/u, 'a control character'],
  [/\p{Cf}/u, 'a format character'],
  [/\p{Cs}/u, 'half a character'],
  [/\p{Co}/u, 'a private-use character'],
  [/\p{Cn}/u, 'an unassigned character'],
];

const kindOf = (character: string): string =>
  kinds().find(([pattern]) => pattern.test(character))?.[1] ?? 'a blank or invisible character';

/** Scripts that are told apart; the letters of all others count as one. */
const SCRIPTS = [
  'Latin',
  'Greek',
  'Cyrillic',
  'Armenian',
  'Georgian',
  'Hebrew',
  'Arabic',
  'Devanagari',
  'Thai',
  'Cherokee',
  'Coptic',
  'Lisu',
  'Han',
  'Hiragana',
  'Katakana',
  'Hangul',
  'Bopomofo',
];

/** Scripts that are written together (UTS #39, section 5.2, "highly restrictive"). */
const WRITTEN_TOGETHER = [
  ['Latin', 'Han', 'Hiragana', 'Katakana'],
  ['Latin', 'Han', 'Bopomofo'],
  ['Latin', 'Han', 'Hangul'],
];

/** Patterns for letters of all scripts. Made when they are first used: to read them takes a hundredth of a start. */
interface Patterns {
  readonly scripts: readonly { readonly name: string; readonly pattern: RegExp }[];
  readonly letter: RegExp;
  /** Letters that belong to no single script. */
  readonly common: RegExp;
  /** More marks on a letter than any script has. */
  readonly piledMarks: RegExp;
  /** A mark that has no letter, and is drawn over what is before the name. */
  readonly markWithoutLetter: RegExp;
  readonly foreignDigit: RegExp;
}

let made: Patterns | undefined;
const patterns = (): Patterns =>
  (made ??= {
    scripts: SCRIPTS.map((name) => ({ name, pattern: new RegExp(String.raw`\p{Script=${name}}`, 'u') })),
    letter: /\p{L}/gu,
    common: /[\p{Script=Common}\p{Script=Inherited}]/u,
    piledMarks: /\p{M}{5}/u,
    markWithoutLetter: /(?:^| )\p{M}/u,
    foreignDigit: /(?![0-9])\p{Nd}/u,
  });

/**
 * Whether a name is written in scripts that do not belong together, or in variants of characters (full width, bold,
 * ligatures) and marks that make it look like another one.
 */
export function mixesScripts(name: string): boolean {
  if (PLAIN.test(name)) return false;
  const { scripts: known, letter: letters, common, piledMarks, markWithoutLetter, foreignDigit } = patterns();
  if (name.normalize('NFKC') !== name.normalize('NFC') || markWithoutLetter.test(name)) return true;
  if (foreignDigit.test(name) && /[a-z0-9]/i.test(name)) return true;
  const scripts = new Set<string>();
  for (const [letter] of name.matchAll(letters)) {
    if (!common.test(letter)) scripts.add(known.find(({ pattern }) => pattern.test(letter))?.name ?? 'other');
  }
  if (piledMarks.test(name)) return true;
  return scripts.size > 1 && !WRITTEN_TOGETHER.some((together) => [...scripts].every((one) => together.includes(one)));
}

/** Letters and digits that look like a letter of lower-case ASCII (from the confusables of UTS #39). */
const LOOKALIKES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    a: 'аαɑ',
    b: 'вьβƅ',
    c: 'сϲⅽ',
    d: 'ԁɗ',
    e: 'еєҽε℮',
    g: 'ɡց',
    h: 'һнհη',
    j: 'јϳ',
    k: 'кκ',
    l: '1iі|ıιІӏլǀɩ',
    m: 'м',
    n: 'пո',
    o: '0оοσօ',
    p: 'рρ',
    q: 'ԛզ',
    r: 'гᴦ',
    s: 'ѕꜱ5',
    t: 'тτ',
    u: 'υսцʋ',
    v: 'νѵ',
    w: 'ԝωѡա',
    x: 'хχ×',
    y: 'уγүყ',
    z: 'ᴢ',
    '-': '‐‑‒–—−﹣－ー_',
  }).flatMap(([letter, others]) => [...others].map((other) => [other, letter] as const)),
);

/** What a name looks like: names with the same skeleton may be taken for each other. */
export const skeletonOf = (name: string): string =>
  [
    ...name
      .normalize('NFKD')
      .replaceAll(/[\p{M}\p{Default_Ignorable_Code_Point}\s]/gu, '')
      .toLowerCase(),
  ]
    .map((character) => LOOKALIKES.get(character) ?? character)
    .join('')
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w');
