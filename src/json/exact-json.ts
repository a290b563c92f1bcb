/**
 * Reading JSON without altering it.
 *
 * `JSON.parse` quietly changes what it reads: of two equal keys the first is lost, and a number that a double can't
 * hold becomes its neighbour, infinity or zero. `parseExact` gives what `JSON.parse` gives or refuses the text, naming
 * the path of what would have been lost. So what is stored and sent back is what was sent.
 */
import { findParsingLoss } from './parsing-loss.ts';

/** Anything that JSON can say. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Text that can't be kept exactly. The message says what is wrong and never holds any of the text. */
export class ExactJsonError extends Error {
  override readonly name = 'ExactJsonError';
  /** Where it is, like `evidence.gpu[3].temp` or `evidence["a b"]`; empty for the root. */
  readonly path: string;

  constructor(message: string, path = '') {
    super(message);
    this.path = path;
  }
}

/**
 * Parses JSON text into the value that `JSON.parse` gives.
 *
 * `maxDepth` is how deep objects and arrays may nest, the outermost being level 1; by default a request body with 32
 * levels of evidence in it.
 *
 * Throws ExactJsonError when the text is not JSON (`invalid JSON`), and, naming the path, for a key that occurs twice in
 * one object, the key `__proto__`, deeper nesting, a lone surrogate, and a number whose value differs from the shortest
 * decimal of the double that it becomes.
 */
export const parseExact = (text: string, { maxDepth = 33 }: { readonly maxDepth?: number } = {}): JsonValue => {
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
 * Whether it shows at a glance that nothing of a text is lost, as it is just what `JSON.stringify` makes of the value:
 * that writes each key once and each number as its shortest decimal. What it would not show is looked for as text. There
 * are no more levels than brackets; many of them it could not write.
 */
const isWrittenLossless = (value: JsonValue, text: string, maxDepth: number): boolean =>
  timesIn(text, '{') + timesIn(text, '[') <= maxDepth &&
  JSON.stringify(value) === text &&
  !text.includes('__proto__') &&
  !text.includes('\\ud');

const timesIn = (text: string, character: string): number => text.split(character).length - 1;
