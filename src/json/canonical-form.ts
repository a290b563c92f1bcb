/**
 * Two texts of a JSON value: the canonical form, which the audit chain hashes, and the exact form, which is written.
 *
 * The canonical form is what Python's `json.dumps(value, sort_keys=True, separators=(",", ":"))` writes: the
 * appliance's chain verifier is a Python program and rebuilds the form from each line. Python distinguishes whole
 * numbers from floats and JavaScript does not. The rule here: a safe integer is a whole number, everything else is a
 * float. So the exact form must write each number in such a way that Python reads it as the kind that the canonical
 * form assumes.
 */
import type { JsonValue } from './exact-json.ts';

/** Both texts of a value. */
export interface Spelling {
  /** See `canonicalForm`. */
  readonly canonical: string;
  /** See `writeExact`. */
  readonly exact: string;
  /** Whether the exact form is known to be ASCII: it has as many bytes as characters then. */
  readonly isAscii: boolean;
}

/** Both texts of a value, for less than the two calls cost. Throws like `canonicalForm`. */
export const spell = (value: JsonValue): Spelling => {
  const copy = inOrder(value);
  if (copy === undefined) {
    const exact = writeExact(value);
    return { canonical: canonicalTextOf(value, copy), exact, isAscii: isAscii(exact) };
  }
  const text = JSON.stringify(copy);
  const exact = JSON.stringify(value);
  // The same characters in another order.
  if (isAscii(text)) return { canonical: unlessSurrogates(value, copy, text), exact, isAscii: true };
  return {
    canonical: unlessSurrogates(value, copy, text.replaceAll(BEYOND_ASCII, escapeUnits)),
    exact: onOneLine(exact),
    isAscii: false,
  };
};

/**
 * The canonical form of a value, in ASCII. Leaves out undefined members, like `JSON.stringify`.
 * @throws TypeError for what JSON cannot express: numbers that are not finite, undefined in a list, functions
 */
export const canonicalForm = (value: JsonValue): string => canonicalTextOf(value, inOrder(value));

/**
 * One line of JSON text, with the members in their own order. `JSON.parse` reads back the identical value, and Python
 * makes the canonical form of it. It is the text of `JSON.stringify` except for negative zero, whole numbers between
 * 2^53 and 1e21, and line breaks that JSON allows in a string.
 * @throws TypeError for numbers that are not finite
 */
export const writeExact = (value: JsonValue): string =>
  onOneLine(holdsSpecialNumber(value) ? serialize(value, Object.keys) : JSON.stringify(value));

const canonicalTextOf = (value: JsonValue, copy: JsonValue | undefined): string =>
  copy === undefined
    ? escaped(serialize(value, sortedKeys))
    : unlessSurrogates(value, copy, escaped(JSON.stringify(copy)));

/** The copy's keys are sorted by UTF-16 unit. Without surrogates that is the order of code points. */
const unlessSurrogates = (value: JsonValue, copy: JsonValue, text: string): string =>
  text.includes('\\ud') && hasKeyWithSurrogate(copy) ? escaped(serialize(value, sortedKeys)) : text;

/** The copies of constant values; undefined for those that have none. */
const COPIES = new WeakMap<object, JsonValue>();

/**
 * Keeps the order of a value's members, for all entries that hold it. It must never change.
 * @returns the value
 */
export const inKeptOrder = <Value extends object>(value: Value): Value => {
  if (COPIES.has(value)) return value;
  const copy = inOrder(value as JsonValue);
  if (copy !== undefined) COPIES.set(value, copy);
  return value;
};

/**
 * A copy with sorted members for `JSON.stringify`, which is several times as fast as writing the text piece by piece.
 * Returns undefined when `JSON.stringify` would write another text: for numbers that Python writes differently, for
 * keys that an object does not keep in insertion order, and for what JSON cannot express.
 *
 * Without a compiler (`--jitless`) each call, each step of an iterator and each character that a pattern reads is
 * expensive. Hence the plain loops here and the searches for plain text above.
 */
const inOrder = (value: JsonValue): JsonValue | undefined => {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return isWrittenAlike(value) ? value : undefined;
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null) return null;
  return (
    COPIES.get(value) ??
    (Array.isArray(value) ? itemsInOrder(value as readonly JsonValue[]) : membersInOrder(value as JsonObject))
  );
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

/** Whether a key may be an index: an object lists those before all other keys, by number. `keys` are sorted. */
const mayHoldIndex = (keys: readonly string[]): boolean => keys.length > 0 && keys[0]! < ':' && keys.some(isIndexLike);

const isIndexLike = (key: string): boolean => /^\d/.test(key);

/** Whether Python and JavaScript write a number alike. */
const isWrittenAlike = (value: number): boolean => {
  if (Number.isInteger(value)) return isPlainInteger(value);
  const magnitude = Math.abs(value);
  return magnitude >= 1e-4 && magnitude < 1e16;
};

/** Whether the value holds a number that `JSON.stringify` writes differently or not at all. */
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

/** From 1e21 on, JavaScript writes whole numbers like Python. */
const isSpecialNumber = (value: number): boolean =>
  Number.isInteger(value) ? !isPlainInteger(value) && Math.abs(value) < 1e21 : !Number.isFinite(value);

/** Escapes the characters that end a line for some readers, such as Python's `splitlines`. */
const onOneLine = (text: string): string =>
  text.includes('\u0085') || text.includes('\u2028') || text.includes('\u2029')
    ? text.replaceAll(/[\u0085\u2028\u2029]/g, escapeUnits)
    : text;

type JsonObject = { readonly [key: string]: JsonValue };

/**
 * JSON text of a value, with numbers as Python writes them and with the members that `keysOf` returns, in that order.
 */
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
 * A float as Python's `repr` writes it: the shortest digits, like JavaScript, but from 1e16 up and below 1e-4 with an
 * exponent of at least two digits, and with `.0` after a whole number (CPython, `float_repr_style` 'short').
 */
const pythonFloat = (value: number): string => {
  if (Object.is(value, -0)) return '-0.0';
  const magnitude = Math.abs(value);
  if (magnitude >= 1e16 || magnitude < 1e-4) return withTwoDigits(value.toExponential());
  return Number.isInteger(value) ? `${value}.0` : String(value);
};

/** Makes `1e-7` into `1e-07`. */
const withTwoDigits = (text: string): string => {
  const last = text.length - 1;
  return text[last - 1]! >= '0' ? text : `${text.slice(0, last)}0${text[last]}`;
};

/** Python sorts by code point, JavaScript by UTF-16 unit. The orders differ only when a key holds a surrogate. */
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

/** Compares by code point, as Python and Go sort. */
export const byCodePoint = (left: string, right: string): number => {
  for (let index = 0; ;) {
    const one = left.codePointAt(index) ?? -1;
    const other = right.codePointAt(index) ?? -1;
    if (one !== other || one === -1) return one - other;
    index += one > 0xffff ? 2 : 1;
  }
};

/** The text in ASCII: every other character as `\uXXXX`, and U+007F too. */
export const escaped = (text: string): string => (isAscii(text) ? text : text.replaceAll(BEYOND_ASCII, escapeUnits));

/** Python also escapes U+007F, the last control character. */
const BEYOND_ASCII = /[\u007f-\uffff]+/g;

const isAscii = (text: string): boolean =>
  // A browser has no Buffer, but it has a compiler for the pattern.
  typeof Buffer === 'undefined'
    ? !/[\u007f-\uffff]/.test(text)
    : Buffer.byteLength(text) === text.length && !text.includes('\u007f');

const escapeUnits = (units: string): string => {
  let text = '';
  for (let at = 0; at < units.length; at++) text += `\\u${units.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return text;
};
