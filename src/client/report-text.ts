/**
 * The JSON text of a report, which says exactly what the report says.
 *
 * `JSON.stringify` changes what it can't express: NaN becomes null, -0 becomes 0, a Map becomes {}, half a character
 * becomes an escape that no recorder takes. Here each of these is refused, with its place, before anything is sent or
 * kept on disk. So is what a recorder refuses whatever its version is: a field that is missing or unknown, or has
 * another type. Which classes, severities and sources it takes is left to the recorder.
 */
import { InvalidReport } from './errors.ts';

/** The longest body that a recorder takes, in bytes; a recorder may take less (`MAX_BODY_BYTES`). */
export const LONGEST_REPORT = 256 * 1024;

/** How deep objects and lists may nest: 32 levels of evidence. */
const MAX_DEPTH = 33;
const LONGEST_NAME = 256;

/** Throws for an idempotency key that no header can carry. @throws InvalidReport */
export function requireKey(key: unknown): void {
  if (typeof key === 'string' && /^[\x21-\x7e]{1,255}$/.test(key)) return;
  throw new InvalidReport('the key of a report is 1 to 255 visible ASCII characters');
}

/**
 * Checks a report and writes it as JSON.
 * @throws InvalidReport with the place of what is wrong
 */
export function reportText(report: unknown): string {
  if (!isObject(report)) throw new InvalidReport('a report is an object');
  for (const field of Object.keys(report)) {
    if (FIELDS[field] === undefined && report[field] !== undefined) {
      throw new InvalidReport(`unknown field ${JSON.stringify(field.slice(0, 64))}`);
    }
  }
  for (const [field, fault] of Object.entries(FIELDS)) {
    const found = fault?.(report[field]);
    if (found !== undefined) throw new InvalidReport(`${field} ${found}`);
  }
  return textOf(report, '', '', 0) ?? '';
}

/** What is wrong with the value of each field; undefined when nothing is. */
const FIELDS: Readonly<Record<string, ((value: unknown) => string | undefined) | undefined>> = {
  class: (value) => (isFilled(value) ? undefined : 'must be a string that is not blank'),
  source: (value) => {
    if (!isFilled(value)) return 'must be a string that is not blank';
    return isLonger(value, LONGEST_NAME) ? `must have at most ${LONGEST_NAME} characters` : undefined;
  },
  description: (value) => (isFilled(value) ? undefined : 'must be a string that is not blank'),
  severity: (value) => (isAbsent(value) || typeof value === 'string' ? undefined : 'must be a string'),
  evidence: (given) => {
    const value = hasToJson(given) ? given.toJSON('evidence') : given;
    return isAbsent(value) || isObject(value) ? undefined : 'must be an object';
  },
  dedup_key: (value) => {
    if (isAbsent(value)) return undefined;
    const fits = typeof value === 'string' && !isLonger(value, LONGEST_NAME);
    return fits ? undefined : `must be a string of 1 to ${LONGEST_NAME} characters`;
  },
};

const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null;
const isFilled = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';
const isLonger = (text: string, most: number): boolean => text.length > most && [...text].length > most;
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The text of a value; undefined for what is left out of an object. */
function textOf(given: unknown, name: string, path: string, depth: number): string | undefined {
  const value = hasToJson(given) ? given.toJSON(name) : given;
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new InvalidReport(`${path} holds half a character (a lone surrogate)`);
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new InvalidReport(`${path} is ${value}, which JSON can't express`);
      return Object.is(value, -0) ? '-0' : String(value);
    case 'boolean':
      return String(value);
    case 'undefined':
      return undefined;
    case 'object':
      break;
    default:
      throw new InvalidReport(`${path} is a ${typeof value}, which JSON can't express`);
  }
  if (value === null) return 'null';
  if (depth === MAX_DEPTH) throw new InvalidReport(`${path} is nested too deeply`);
  if (Array.isArray(value)) return `[${itemsOf(value, path, depth + 1).join(',')}]`;
  const kind = Object.prototype.toString.call(value);
  if (kind !== '[object Object]') throw new InvalidReport(`${path} is ${kind}, which JSON can't express`);
  return `{${membersOf(value, path, depth + 1).join(',')}}`;
}

const itemsOf = (items: readonly unknown[], path: string, depth: number): readonly string[] =>
  Array.from(items, (item, at) => {
    const text = textOf(item, String(at), `${path}[${at}]`, depth);
    if (text === undefined) throw new InvalidReport(`${path}[${at}] is undefined, which JSON can't express`);
    return text;
  });

const membersOf = (object: object, path: string, depth: number): readonly string[] =>
  Object.entries(object).flatMap(([key, member]) => {
    const text = textOf(member, key, pathTo(path, key), depth);
    if (text === undefined) return [];
    if (!key.isWellFormed()) throw new InvalidReport(`a key in ${path} holds half a character (a lone surrogate)`);
    if (key === '__proto__') throw new InvalidReport(`${path} has the key __proto__, which is not allowed`);
    return [`${JSON.stringify(key)}:${text}`];
  });

const pathTo = (path: string, key: string): string => {
  const shown = key.slice(0, 64);
  if (!/^[A-Za-z_$][\w$]*$/.test(shown)) return `${path}[${JSON.stringify(shown)}]`;
  return path === '' ? shown : `${path}.${shown}`;
};

const hasToJson = (value: unknown): value is { toJSON(name: string): unknown } =>
  typeof value === 'object' && value !== null && 'toJSON' in value && typeof value.toJSON === 'function';
