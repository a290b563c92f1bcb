/**
 * The text of a JSON value that the audit chain is computed over, and the text that is written.
 *
 * The canonical form is what Python's `json.dumps(value, sort_keys=True, separators=(",", ":"))` gives, because the
 * appliance's chain verifier is written in Python and rebuilds it from each line. Python tells whole numbers from floats
 * and JavaScript does not; the rule here is that a safe integer is a whole number and everything else is a float. A line
 * must therefore be written so that Python reads each number as the kind that the canonical form takes it for.
 */
import type { JsonValue } from './exact-json.ts';

/** The two texts of one value. */
export interface Spelling {
  /** As `canonicalForm` gives it. */
  readonly canonical: string;
  /** As `writeExact` gives it. */
  readonly exact: string;
}

/** Both texts of a value, for less than each by itself. Throws like `canonicalForm`. */
export const spell = (value: JsonValue): Spelling => {
  const copy = inOrder(value);
  return {
    canonical: canonicalTextOf(value, copy),
    exact: copy === undefined ? writeExact(value) : onOneLine(JSON.stringify(value)),
  };
};

/**
 * The canonical form of a value, all of it ASCII. Members that are undefined are left out, as `JSON.stringify` does.
 *
 * Throws TypeError for what JSON has no word for: numbers that are not finite, undefined in a list, functions.
 */
export const canonicalForm = (value: JsonValue): string => canonicalTextOf(value, inOrder(value));

/**
 * One line of JSON text with the members in their own order, which `JSON.parse` reads back as the identical value and of
 * which Python makes the canonical form. That is `JSON.stringify` but for negative zero, whole numbers between 2^53 and
 * 1e21, and line breaks that JSON lets stand in a string.
 *
 * Throws TypeError for numbers that are not finite.
 */
export const writeExact = (value: JsonValue): string =>
  onOneLine(holdsSpecialNumber(value) ? serialize(value, Object.keys) : JSON.stringify(value));

const canonicalTextOf = (value: JsonValue, copy: JsonValue | undefined): string => {
  if (copy === undefined) return escaped(serialize(value, sortedKeys));
  const text = escaped(JSON.stringify(copy));
  // Keys of a copy are sorted by UTF-16 unit; where none holds a surrogate that is the order of code points.
  return text.includes('\\ud') && hasKeyWithSurrogate(copy) ? escaped(serialize(value, sortedKeys)) : text;
};

/**
 * A copy with the members in order, for `JSON.stringify`, which is several times as fast as writing the text piece by
 * piece; undefined where it would write something else: numbers that Python spells otherwise, keys that an object does
 * not keep in the order in which they come, and what JSON has no word for.
 *
 * Where there is no compiler each call, each step of an iterator and each character that a pattern looks at is dear: so
 * plain loops here, and searches for plain text above.
 */
const inOrder = (value: JsonValue): JsonValue | undefined => {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return isSpeltAlike(value) ? value : undefined;
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null) return null;
  return Array.isArray(value) ? itemsInOrder(value as readonly JsonValue[]) : membersInOrder(value as JsonObject);
};

const itemsInOrder = (items: readonly JsonValue[]): JsonValue | undefined => {
  const copy: JsonValue[] = [];
  for (let at = 0; at < items.length; at++) {
    const ordered = inOrder(items[at]!);
    if (ordered === undefined) return undefined;
    copy.push(ordered);
  }
  return copy;
};

const membersInOrder = (object: JsonObject): JsonValue | undefined => {
  const copy: Record<string, JsonValue> = {};
  const keys = Object.keys(object).toSorted();
  if (mayHoldIndex(keys)) return undefined;
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at]!;
    if (key === '__proto__') return undefined;
    const member = object[key];
    if (member === undefined) continue;
    const ordered = typeof member === 'string' ? member : inOrder(member);
    if (ordered === undefined) return undefined;
    copy[key] = ordered;
  }
  return copy;
};

/** Whether one of some sorted keys may be an index: those come before all other keys of an object, by their number. */
const mayHoldIndex = (keys: readonly string[]): boolean => keys.length > 0 && keys[0]! < ':' && keys.some(isIndexLike);

const isIndexLike = (key: string): boolean => /^\d/.test(key);

/** Whether Python and JavaScript write a number alike. */
const isSpeltAlike = (value: number): boolean => {
  if (Number.isInteger(value)) return isPlainInteger(value);
  const magnitude = Math.abs(value);
  return magnitude >= 1e-4 && magnitude < 1e16;
};

/** Whether there is a number in the value that `JSON.stringify` would get wrong, or refuse. */
const holdsSpecialNumber = (value: JsonValue): boolean => {
  if (typeof value === 'number') return isSpecialNumber(value);
  if (typeof value !== 'object' || value === null) return false;
  const members: readonly (JsonValue | undefined)[] = Array.isArray(value) ? value : Object.values(value as JsonObject);
  for (let at = 0; at < members.length; at++) {
    const member = members[at];
    if (typeof member !== 'string' && member !== undefined && holdsSpecialNumber(member)) return true;
  }
  return false;
};

/** From 1e21 on JavaScript writes whole numbers as Python does. */
const isSpecialNumber = (value: number): boolean =>
  Number.isInteger(value) ? !isPlainInteger(value) && Math.abs(value) < 1e21 : !Number.isFinite(value);

/** Escapes what ends a line for some readers, such as Python's `splitlines`. */
const onOneLine = (text: string): string =>
  text.includes('\u0085') || text.includes('\u2028') || text.includes('\u2029')
    ? text.replaceAll(/[\u0085\u2028\u2029]/g, escapeUnits)
    : text;

type JsonObject = { readonly [key: string]: JsonValue };

/** JSON text of a value with numbers as Python writes them, and the members that `keysOf` names, in its order. */
const serialize = (value: JsonValue, keysOf: (object: JsonObject) => readonly string[]): string => {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return serializeNumber(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      throw new TypeError(`JSON has no ${typeof value}`);
  }
  if (value === null) return 'null';
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value as readonly JsonValue[]) text += (text && ',') + serialize(item, keysOf);
    return `[${text}]`;
  }
  const object = value as JsonObject;
  for (const key of keysOf(object)) {
    const member = object[key];
    if (member !== undefined) text += `${text && ','}${JSON.stringify(key)}:${serialize(member, keysOf)}`;
  }
  return `{${text}}`;
};

const serializeNumber = (value: number): string => {
  if (isPlainInteger(value)) return String(value);
  if (Number.isFinite(value)) return pythonFloat(value);
  throw new TypeError(`JSON has no ${value}`);
};

const isPlainInteger = (value: number): boolean => Number.isSafeInteger(value) && !Object.is(value, -0);

/**
 * A float as Python's `repr` writes it: the shortest digits, as in JavaScript, but with an exponent of at least two
 * digits from 1e16 up and below 1e-4, and `.0` after a whole number (CPython, `float_repr_style` 'short').
 */
const pythonFloat = (value: number): string => {
  if (Object.is(value, -0)) return '-0.0';
  const magnitude = Math.abs(value);
  if (magnitude >= 1e16 || magnitude < 1e-4) return value.toExponential().replace(/([+-])(\d)$/, '$10$2');
  return Number.isInteger(value) ? `${value}.0` : String(value);
};

/** Python sorts by code point, JavaScript by UTF-16 unit: they differ once a key holds a surrogate. */
const sortedKeys = (object: JsonObject): readonly string[] => {
  const keys = Object.keys(object);
  return keys.some(holdsSurrogate) ? keys.toSorted(byCodePoint) : keys.toSorted();
};

const SURROGATE = /[\ud800-\udfff]/;
const holdsSurrogate = (key: string): boolean => SURROGATE.test(key);

const hasKeyWithSurrogate = (value: JsonValue): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.entries(value as JsonObject).some(([key, member]) => holdsSurrogate(key) || hasKeyWithSurrogate(member));

const byCodePoint = (left: string, right: string): number => {
  for (let index = 0; ;) {
    const one = left.codePointAt(index) ?? -1;
    const other = right.codePointAt(index) ?? -1;
    if (one !== other || one === -1) return one - other;
    index += one > 0xffff ? 2 : 1;
  }
};

const escaped = (text: string): string => (isAscii(text) ? text : text.replaceAll(BEYOND_ASCII, escapeUnits));

/** Python escapes the last control character, too. */
const BEYOND_ASCII = /[\u007f-\uffff]+/g;

const isAscii = (text: string): boolean =>
  // A browser has no Buffer, and time for the pattern.
  typeof Buffer === 'undefined'
    ? !/[\u007f-\uffff]/.test(text)
    : Buffer.byteLength(text) === text.length && !text.includes('\u007f');

const escapeUnits = (units: string): string => {
  let text = '';
  for (let at = 0; at < units.length; at++) text += `\\u${units.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return text;
};
