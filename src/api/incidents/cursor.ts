import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { RecorderError } from '../../errors.ts';
import { type Cursor, type Sort, SORTS } from '../../query/list-query.ts';

/**
 * Writes a place in the list as an opaque word, which the client sends back to go on from there. In the usual order it is
 * three numbers, in others a JSON array.
 */
export const writeCursor = (cursor: Cursor): string => {
  const { seq, head, log } = cursor;
  const text =
    cursor.sort === undefined
      ? `${cursor.rank}.${seq}.${head}${log === undefined ? '' : `.${log}`}`
      : JSON.stringify([cursor.sort, cursor.key, seq, head, ...(log === undefined ? [] : [log])]);
  return Buffer.from(text).toString('base64url');
};

/**
 * Reads what `writeCursor` wrote.
 * @param sort the order of the list that the place has to be in
 * @throws RecorderError `invalid_request` for anything else
 */
export const readCursor = (text: string, sort: Sort = 'severity'): Cursor => {
  const bytes = Buffer.from(text, 'base64url');
  const cursor = bytes[0] === BRACKET ? sortedPlace(bytes.toString()) : usualPlace(bytes.toString('latin1'));
  // The same place can be encoded in many ways; only ours is taken.
  if (cursor === undefined || writeCursor(cursor) !== text)
    throw new RecorderError('invalid_request', 'invalid cursor');
  const { sort: own = 'severity' } = cursor;
  if (own === sort) return cursor;
  throw new RecorderError('invalid_request', `the cursor is a place in a list with sort=${own}, not ${sort}`);
};

const BRACKET = '['.charCodeAt(0);

function usualPlace(text: string): Cursor | undefined {
  const [places, log] = splitLog(text);
  const [rank = -1, seq = -1, head = -1] = places.split('.').map(Number);
  const isPlace = SEVERITIES[rank] !== undefined && isCount(seq) && isCount(head) && seq <= head;
  return isPlace ? { rank, seq, head, ...(log !== undefined && { log }) } : undefined;
}

function sortedPlace(text: string): Cursor | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch {
    return undefined;
  }
  const [sort, key, seq, head, log] = parts as readonly unknown[];
  if (!SORTS.includes(sort as Sort) || sort === 'severity') return undefined;
  if (!isCount(seq) || !isCount(head) || seq > head + 1 || (log !== undefined && !isLog(log))) return undefined;
  if (!isKeyOf(sort as Sort, key)) return undefined;
  return { sort: sort as Sort, key, seq, head, ...(log !== undefined && { log }) };
}

/** Whether a list of an order may have this value. */
function isKeyOf(sort: Sort, key: unknown): key is string | number | null {
  const of = sort.replace('-', '');
  if (of === 'class' || of === 'source') return typeof key === 'string';
  return of === 'assignee' ? typeof key === 'string' || key === null : Number.isSafeInteger(key);
}

/** A place among the groups: behind so many, seen from when `head` was the newest incident of that log. */
export interface GroupsCursor {
  readonly skip: number;
  readonly head: number;
  readonly log?: string;
}

export const writeGroupsCursor = ({ skip, head, log }: GroupsCursor): string =>
  Buffer.from(`groups.${skip}.${head}${log === undefined ? '' : `.${log}`}`).toString('base64url');

/** Reads what `writeGroupsCursor` wrote. @throws RecorderError `invalid_request` for anything else */
export const readGroupsCursor = (text: string): GroupsCursor => {
  const place = /^groups\.(\d{1,15})\.(\d{1,15})(?:\.([0-9a-f]{12,64}))?$/;
  const [, skip, head, log] = place.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? [];
  const cursor = { skip: Number(skip), head: Number(head), ...(log !== undefined && { log }) };
  if (skip === undefined || writeGroupsCursor(cursor) !== text) {
    throw new RecorderError('invalid_request', 'invalid cursor');
  }
  return cursor;
};

const splitLog = (text: string): [string, string | undefined] => {
  const [, places, log] = /^(\d+\.\d+\.\d+)\.([0-9a-f]{12,64})$/.exec(text) ?? [];
  return places === undefined ? [text, undefined] : [places, log];
};

const isLog = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{12,64}$/.test(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
