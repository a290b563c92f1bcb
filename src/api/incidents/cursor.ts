import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { RecorderError } from '../../errors.ts';
import type { Cursor } from '../../projections/incident-list.ts';

/** Writes a place in the list as an opaque word, which the client sends back to go on from there. */
export const writeCursor = ({ rank, seq, head }: Cursor): string =>
  Buffer.from(`${rank}.${seq}.${head}`).toString('base64url');

/** Reads what `writeCursor` wrote. @throws RecorderError `invalid_request` for anything else */
export const readCursor = (text: string): Cursor => {
  const [rank = -1, seq = -1, head = -1] = Buffer.from(text, 'base64url').toString('latin1').split('.').map(Number);
  const cursor = { rank, seq, head };
  const isPlace = SEVERITIES[rank] !== undefined && isCount(seq) && isCount(head) && seq <= head;
  // The same place can be encoded in many ways; only ours is taken.
  if (!isPlace || writeCursor(cursor) !== text) throw new RecorderError('invalid_request', 'invalid cursor');
  return cursor;
};

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
