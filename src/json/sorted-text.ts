/**
 * The sorted compact text of a JSON text: members in the order of their keys, no white space, numbers as they are
 * written. Others sign such a text, and what they sign holds a number like `1.0` or `12345678901234567890` that no
 * double writes back.
 */
import { byCodePoint } from './canonical-form.ts';
import { ExactJsonError } from './exact-json.ts';
import { findParsingLoss } from './parsing-loss.ts';

type Parsed = string | boolean | null | readonly Parsed[] | ParsedObject | WrittenNumber;
type ParsedObject = { readonly [key: string]: Parsed };

/** The text of a number. A class of its own tells it from an object of the text. */
class WrittenNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * Sorts the members of every object by the code points of their keys.
 * @param options `replaced`: texts for members of the outermost object that have another value in the result; `maxDepth`:
 *   how deep objects and arrays may nest; `most`: how many values the text may hold
 * @returns the text with every character as itself, except those that JSON must escape
 * @throws ExactJsonError for invalid JSON, duplicate keys, the key `__proto__`, lone surrogates, deeper nesting, and too
 *   many values; its message contains nothing of the text
 */
export const sortedText = (
  text: string,
  {
    replaced = {},
    maxDepth = 33,
    most = 20_000,
  }: {
    readonly replaced?: Readonly<Record<string, string>>;
    readonly maxDepth?: number;
    readonly most?: number;
  } = {},
): string => {
  // Before it is parsed: a long list of small values takes many times the memory of its text.
  if (holdsMoreValues(text, most)) throw new ExactJsonError('too many values');
  try {
    JSON.parse(text);
  } catch {
    throw new ExactJsonError('invalid JSON');
  }
  const loss = findParsingLoss(text, maxDepth, true);
  if (loss !== undefined) throw new ExactJsonError(loss.message, loss.path);
  const value = parseWritten(text);
  return write(isObject(value) ? { ...value, ...pick(replaced, value) } : value);
};

/** Counts brackets and commas; those in strings count too. */
const holdsMoreValues = (text: string, most: number): boolean => {
  let left = most;
  for (const mark of '{[,') {
    for (let at = text.indexOf(mark); at !== -1; at = text.indexOf(mark, at + 1)) if (--left < 0) return true;
  }
  return false;
};

/** The third argument of a reviver (ECMAScript 2026). */
type Revive = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

const parseWritten = (text: string): Parsed => {
  const revive: Revive = (_key, value, { source }) =>
    typeof value === 'number' ? new WrittenNumber(source ?? '') : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown) as Parsed;
};

const isObject = (value: Parsed): value is ParsedObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof WrittenNumber);

/** Those of the members that the object has. */
const pick = (members: Readonly<Record<string, string>>, object: ParsedObject): ParsedObject =>
  Object.fromEntries(Object.entries(members).filter(([key]) => Object.hasOwn(object, key)));

const write = (value: Parsed): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (value instanceof WrittenNumber) return value.text;
  if (!isObject(value)) return `[${value.map(write).join(',')}]`;
  const members = Object.keys(value)
    .toSorted(byCodePoint)
    .map((key) => `${JSON.stringify(key)}:${write(value[key]!)}`);
  return `{${members.join(',')}}`;
};
