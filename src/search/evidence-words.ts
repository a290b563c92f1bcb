/**
 * What the search index holds of evidence: the words of its values, and each value with the path of keys to it.
 *
 * A path is written with dots. A dot in a key is a dot, too: `a.b` stands for the key `b` in `a` and for the key `a.b`.
 * Every element of an array has the path of the array. A value is compared as text, whatever its type.
 *
 * Whoever reports chooses the evidence, so there is a bound on what of it is indexed. Where that leaves out something, the
 * incident is marked (`isCut`), and answers to a search say that it was not complete.
 */
import type { JsonValue } from '../json/exact-json.ts';
import type { JsonObject } from '../domain/entries.ts';
import { indexedWords } from './search-words.ts';

/** Of the evidence of one report: how many values are indexed, and how many characters of their words. */
const MOST_VALUES = 64;
const MOST_CHARACTERS = 2048;
/** A path and its value, together: a search for more could not be asked, as `q` is shorter. */
export const LONGEST_TERM = 256;

/** A value in evidence that is neither an object nor an array. */
export interface EvidenceValue {
  readonly path: string;
  readonly value: string | number | boolean | null;
}

/** The values in evidence in their order, at most `MOST_VALUES`; and whether there are more. */
export function valuesIn(evidence: JsonObject): { readonly values: readonly EvidenceValue[]; readonly more: boolean } {
  const values: EvidenceValue[] = [];
  /** @returns whether there was room for all of it */
  const take = (value: JsonValue, path: string): boolean => {
    if (typeof value !== 'object' || value === null) {
      if (values.length === MOST_VALUES) return false;
      values.push({ path, value });
      return true;
    }
    if (Array.isArray(value)) {
      for (const item of value as readonly JsonValue[]) if (!take(item, path)) return false;
      return true;
    }
    for (const key of Object.keys(value)) {
      if (!take((value as JsonObject)[key]!, path === '' ? key : `${path}.${key}`)) return false;
    }
    return true;
  };
  return { more: !take(evidence, ''), values };
}

export interface EvidenceWords {
  /** The words of its values, with ASCII between them. */
  readonly words: string;
  /** A mark for each value and its path, with a space before each. */
  readonly marks: string;
  readonly isCut: boolean;
}

/** What the index holds of the evidence of one report. */
export function evidenceWords(evidence: JsonObject): EvidenceWords {
  let count = 0;
  let words = '';
  let marks = '';
  // Like `valuesIn`, for every report: so it makes no objects.
  /** @returns whether there was room for all of it */
  const take = (value: JsonValue, path: string): boolean => {
    if (typeof value === 'object' && value !== null) {
      if (Array.isArray(value)) {
        for (let at = 0; at < value.length; at++) if (!take(value[at] as JsonValue, path)) return false;
        return true;
      }
      for (const key of Object.keys(value)) {
        if (!take((value as JsonObject)[key]!, path === '' ? key : `${path}.${key}`)) return false;
      }
      return true;
    }
    if (count === MOST_VALUES) return false;
    count += 1;
    const shown = typeof value === 'string' ? value : String(value);
    const room = MOST_CHARACTERS - words.length;
    if (shown.length >= room) {
      words += ` ${shown.slice(0, room)}`;
      return false;
    }
    words += ` ${shown}`;
    if (path.length + shown.length <= LONGEST_TERM) marks += ` ${markOfPath(path)}${exactly(shown)}`;
    return true;
  };
  const isCut = !take(evidence, '');
  return { words: indexedWords(words), marks, isCut };
}

/** The mark of a value at a path. */
export const pairMark = (path: string, value: string): string => `${markOfPath(path)}${exactly(value)}`;

/** The same keys come again and again. */
const MOST_PATHS_KEPT = 512;
const marksOfPaths = new Map<string, string>();

function markOfPath(path: string): string {
  const known = marksOfPaths.get(path);
  if (known !== undefined) return known;
  const mark = `ev${exactly(path)}zy`;
  if (marksOfPaths.size === MOST_PATHS_KEPT) marksOfPaths.clear();
  marksOfPaths.set(path, mark);
  return mark;
}

/**
 * A text as one word of the index, which no other text has: the index lower-cases ASCII and separates words at its signs.
 * `z` and two hexadecimal digits stand for those, and for `z` itself.
 */
export const exactly = (text: string): string => text.replace(SIGNS, (sign) => formOfSigns[sign.charCodeAt(0)]!);

const SIGNS = /[^0-9a-y\u0080-\uffff]/g;
const formOfSigns = Array.from({ length: 0x80 }, (_, code) => `z${code.toString(16).padStart(2, '0')}`);
