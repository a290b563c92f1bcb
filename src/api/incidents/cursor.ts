import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { RecorderError } from '../../errors.ts';
import type { Cursor } from '../../projections/incident-list.ts';

/** Writes a place in the list as an opaque word, which the client sends back to go on from there. */
export const writeCursor = ({ rank, seq, head, log }: Cursor): string =>
  Buffer.from(`${rank}.${seq}.${head}${log === undefined ? '' : `.${log}`}`).toString('base64url');

/** Reads what `writeCursor` wrote. @throws RecorderError `invalid_request` for anything else */
export const readCursor = (text: string): Cursor => {
  const [places, log] = splitLog(Buffer.from(text, 'base64url').toString('latin1'));
  const [rank = -1, seq = -1, head = -1] = places.split('.').map(Number);
  const cursor = { rank, seq, head, ...(log !== undefined && { log }) };
  const isPlace = SEVERITIES[rank] !== undefined && isCount(seq) && isCount(head) && seq <= head;
  // The same place can be encoded in many ways; only ours is taken.
  if (!isPlace || writeCursor(cursor) !== text) throw new RecorderError('invalid_request', 'invalid cursor');
  return cursor;
};

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

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
