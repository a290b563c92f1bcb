/**
 * Reads JSON without changing it.
 *
 * `JSON.parse` silently changes what it reads: of two equal keys it drops the first, and a number that a double can't
 * hold becomes its neighbour, infinity or zero. `parseExact` returns what `JSON.parse` returns, or refuses the text and
 * names the path of what would be lost. So what is stored and sent back is what was sent.
 */
import { findParsingLoss } from './parsing-loss.ts';

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Text that can't be kept exactly. The message says what is wrong and never contains any of the text. */
export class ExactJsonError extends Error {
  override readonly name = 'ExactJsonError';
  /** Where the fault is, like `evidence.gpu[3].temp` or `evidence["a b"]`; empty for the root. */
  readonly path: string;

  constructor(message: string, path = '') {
    super(message);
    this.path = path;
  }
}

/** How deep what is sent may nest: a request body with 32 levels of evidence. */
export const MAX_DEPTH = 33;

/**
 * Parses JSON text into the value that `JSON.parse` returns.
 * @param options `maxDepth`: how deep objects and arrays may nest; the outermost is level 1. The default allows a
 *   request body with 32 levels of evidence.
 * @throws ExactJsonError `invalid JSON`; or, with the path, for a key that occurs twice in one object, the key
 *   `__proto__`, deeper nesting, a lone surrogate, and a number whose value differs from the shortest decimal of the
 *   double that it becomes
 */
export const parseExact = (text: string, { maxDepth = MAX_DEPTH }: { readonly maxDepth?: number } = {}): JsonValue => {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    // The native message quotes the text.
    throw new ExactJsonError('invalid JSON');
  }
  if (isWrittenLossless(value, text, maxDepth)) return value;
  const loss = findParsingLoss(text, maxDepth);
  if (loss !== undefined) throw new ExactJsonError(loss.message, loss.path);
  return value;
};

/**
 * A quick check that nothing of a text is lost: `JSON.stringify` writes the same text, with each key once and each
 * number as its shortest decimal. What that does not prove is searched for as text. The depth comes first, because
 * `JSON.stringify` cannot write very many levels: there are no more than brackets, and few texts hold many.
 */
const isWrittenLossless = (value: JsonValue, text: string, maxDepth: number): boolean =>
  (!holdsMore(text, maxDepth) || !isDeeper(value, maxDepth)) && JSON.stringify(value) === text && isPlain(text);

/** Whether a text that `JSON.stringify` writes in the same way loses nothing for certain. */
export const isPlain = (text: string): boolean => !text.includes('__proto__') && !text.includes('\\ud');

/** Whether objects and arrays nest in more than so many levels. */
export const isDeeper = (value: JsonValue, most: number): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  if (most === 0) return true;
  const members: readonly JsonValue[] = Array.isArray(value) ? value : Object.values(value);
  for (let at = 0; at < members.length; at++) {
    const member = members[at]!;
    if (typeof member === 'object' && isDeeper(member, most - 1)) return true;
  }
  return false;
};

/** Whether a text holds more than so many brackets. */
export const holdsMore = (text: string, most: number): boolean => {
  let left = most;
  for (let at = text.indexOf('{'); at !== -1; at = text.indexOf('{', at + 1)) if (--left < 0) return true;
  for (let at = text.indexOf('['); at !== -1; at = text.indexOf('[', at + 1)) if (--left < 0) return true;
  return false;
};
