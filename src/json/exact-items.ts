/**
 * Reads the items of a JSON array, or the lines of NDJSON, each by itself and exactly (`exact-json.ts`): what would be
 * lost of one says nothing about the others.
 */
import { ExactJsonError, holdsMore, isPlain, type JsonValue, MAX_DEPTH, parseExact } from './exact-json.ts';
import { endOfString, findParsingLoss } from './parsing-loss.ts';

/** One item: its value, or why it can't be kept. Levels and paths are counted from the item. */
export interface ExactItem {
  /** The item as it was written. */
  readonly text: string;
  readonly value: JsonValue | ExactJsonError;
}

/**
 * The items of a JSON array.
 * @returns undefined when there are more than `most`
 * @throws ExactJsonError for a text that is no JSON array
 */
export function itemsOfArray(text: string, most: number): readonly ExactItem[] | undefined {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    // The native message quotes the text.
    throw new ExactJsonError('invalid JSON');
  }
  if (!Array.isArray(values)) throw new ExactJsonError('not a JSON array');
  if (values.length > most) return undefined;
  let at = text.indexOf('[') + 1;
  return values.map((value: JsonValue) => {
    at = skipSpace(text, at);
    const item = itemAt(text, at, value);
    // Behind an item there is a comma, or the end of the array.
    at = skipSpace(text, at + item.text.length) + 1;
    return item;
  });
}

/**
 * The lines of NDJSON that are not blank: a blank one has only white space of JSON.
 * @returns undefined when there are more than `most`
 */
export function itemsOfLines(text: string, most: number): readonly ExactItem[] | undefined {
  const items: ExactItem[] = [];
  let at = 0;
  while (at < text.length) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(at, end);
    at = end + 1;
    if (skipSpace(line, 0) === line.length) continue;
    if (items.length === most) return undefined;
    items.push(exactLine(line.trim()));
  }
  return items;
}

function exactLine(text: string): ExactItem {
  try {
    return { text, value: parseExact(text) };
  } catch (error) {
    if (error instanceof ExactJsonError) return { text, value: error };
    throw error;
  }
}

/** The item with this value that begins at a place of valid JSON. */
function itemAt(text: string, at: number, value: JsonValue): ExactItem {
  const written = writtenAt(text, at, value);
  if (written !== undefined && !holdsMore(written, MAX_DEPTH) && isPlain(written)) return { text: written, value };
  const item = written ?? text.slice(at, endOfValue(text, at));
  const loss = findParsingLoss(item, MAX_DEPTH);
  return { text: item, value: loss === undefined ? value : new ExactJsonError(loss.message, loss.path) };
}

/** An object as `JSON.stringify` writes it, when that is what stands there: most clients write it so. */
function writtenAt(text: string, at: number, value: JsonValue): string | undefined {
  // No object is the beginning of another; a number may be.
  if (typeof value !== 'object' || value === null) return undefined;
  try {
    const written = JSON.stringify(value);
    return text.startsWith(written, at) ? written : undefined;
  } catch {
    // It is nested too deeply to be written.
    return undefined;
  }
}

/** Where the value ends that begins at `start`, in valid JSON. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        at = endOfString(text, at) - 1;
        break;
      case '[':
      case '{':
        depth++;
        break;
      case ']':
      case '}':
        // The end of the array that holds a number or a word.
        if (depth === 0) return at;
        depth--;
        break;
      case ',':
        if (depth === 0) return at;
        continue;
      case ' ':
      case '\t':
      case '\n':
      case '\r':
        if (depth === 0) return at;
        continue;
      default:
        continue;
    }
    if (depth === 0 && '"]}'.includes(text[at]!)) return at + 1;
  }
  return text.length;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++;
  return at;
}
