/**
 * What a person searches for: words, and terms that name where something is.
 *
 * `evidence.process.name:bash` is a value at a path in evidence (`=` does as well as `:`), `source:`, `class:`, `id:`,
 * `by:` and `assignee:` what they say. Values with spaces, and keys with spaces, `:`, `=` or quotes, are put in double
 * quotes; in them, `\"` is a quote and `\\` a backslash. Something that only looks like a term (`evidence.ip` without a
 * value) is words.
 */
import { CLASSES, type IncidentClass } from '../../machines/vocabulary.ts';
import { RecorderError } from '../errors.ts';
import { ExactJsonError, parseExact } from '../json/exact-json.ts';
import { readWords, type SearchWord } from './search-words.ts';

/** A term: all incidents that it finds have exactly this value. */
export type SearchTerm =
  | { readonly of: 'evidence'; readonly path: string; readonly values: readonly string[] }
  | { readonly of: 'class'; readonly value: IncidentClass }
  | { readonly of: 'id'; readonly value: string }
  | { readonly of: 'source' | 'by' | 'assignee'; readonly value: string };

export interface SearchTerms {
  readonly words: readonly SearchWord[];
  readonly terms: readonly SearchTerm[];
}

/** Each is one more list of incidents to compare. */
const MOST_TERMS = 8;

const BEGINNING = /(?<=^|\s)(?:(evidence)\.|(source|class|id|by|assignee):)/g;
const BARE_KEY = /[^\s:="]+/y;
const BARE_VALUE = /[^\s"]\S*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/suy;

/**
 * Reads what a person searches for.
 * @throws RecorderError `invalid_request` when a term is malformed, or there are too many, or like `readWords`
 */
export function readSearch(text: string): SearchTerms {
  const terms: SearchTerm[] = [];
  let rest = '';
  let at = 0;
  for (const match of text.matchAll(BEGINNING)) {
    if (match.index < at) continue;
    const start = match.index + match[0].length;
    const found = match[1] === undefined ? simpleTerm(text, start, match[2]!) : evidenceTerm(text, start);
    if (found === undefined) continue;
    rest += `${text.slice(at, match.index)} `;
    at = found.end;
    terms.push(found.term);
  }
  rest += text.slice(at);
  if (terms.length > MOST_TERMS) throw refused(`at most ${MOST_TERMS} terms like source:… or evidence.…:…`);
  if (terms.length > 0 && rest.trim() === '') return { words: [], terms };
  return { words: readWords(rest), terms };
}

const refused = (message: string): RecorderError => new RecorderError('invalid_request', `q: ${message}`);

interface Read<Value> {
  readonly value: Value;
  /** Where the text goes on. */
  readonly end: number;
}

function evidenceTerm(text: string, start: number): { term: SearchTerm; end: number } | undefined {
  let path = '';
  let at = start;
  for (let key = keyAt(text, at); key !== undefined; key = keyAt(text, at)) {
    path += key.value;
    at = key.end;
  }
  if (text[at] !== ':' && text[at] !== '=') return undefined;
  if (path === '' || path.endsWith('.'))
    throw refused('evidence. needs a path of keys, as in evidence.process.name:bash');
  const { value, end, isQuoted } = valueAt(text, at + 1, `evidence.${path}`);
  const number = isQuoted ? undefined : numberOf(value);
  const values = number === undefined || number === value ? [value] : [value, number];
  return { term: { of: 'evidence', path, values }, end };
}

/** A part of a path; a quoted one may follow a dot. */
function keyAt(text: string, at: number): Read<string> | undefined {
  if (text[at] === '"') return quotedAt(text, at);
  BARE_KEY.lastIndex = at;
  const [bare] = BARE_KEY.exec(text) ?? [];
  return bare === undefined ? undefined : { value: bare, end: at + bare.length };
}

function simpleTerm(text: string, start: number, of: string): { term: SearchTerm; end: number } {
  const { value, end } = valueAt(text, start, of);
  if (of === 'class') {
    const value_ = CLASSES.find((one) => one === value);
    if (value_ === undefined) throw refused(`class: must be one of ${CLASSES.join(', ')}`);
    return { term: { of, value: value_ }, end };
  }
  return { term: { of: of as 'source' | 'id', value }, end };
}

function valueAt(text: string, at: number, name: string): Read<string> & { readonly isQuoted: boolean } {
  if (text[at] === '"') {
    const quoted = quotedAt(text, at);
    if (/\S/.test(text[quoted.end] ?? ' ')) throw refused(`a space must follow the value of ${name}`);
    return { ...quoted, isQuoted: true };
  }
  BARE_VALUE.lastIndex = at;
  const [value] = BARE_VALUE.exec(text) ?? [];
  if (value === undefined) throw refused(`${name}: needs a value right behind it, in quotes if it has spaces`);
  return { value, end: at + value.length, isQuoted: false };
}

function quotedAt(text: string, at: number): Read<string> {
  QUOTED.lastIndex = at;
  const match = QUOTED.exec(text);
  if (match === null) throw refused('a quotation mark is not closed');
  return { value: match[1]!.replaceAll(/\\(["\\])/g, '$1'), end: at + match[0].length };
}

/** How a number is written in the index, whatever way it is written here; undefined for what is none. */
function numberOf(text: string): string | undefined {
  if (!/^-?\d/.test(text)) return undefined;
  try {
    const value = parseExact(text);
    return typeof value === 'number' ? String(value) : undefined;
  } catch (error) {
    if (!(error instanceof ExactJsonError)) throw error;
    return undefined;
  }
}
