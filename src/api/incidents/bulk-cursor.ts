import { createHash } from 'node:crypto';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { RecorderError } from '../../errors.ts';
import { canonicalForm } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import type { UsualPlace } from '../../query/list-query.ts';

/** How many characters of a hash name what a cursor belongs to: it is no secret, it catches mistakes. */
const DIGITS = 16;

/** What names a bulk command: the same for the same command and filter. */
export const bulkDigest = (command: string, filter: Readonly<Record<string, readonly string[] | undefined>>): string =>
  createHash('sha256')
    .update(canonicalForm({ command, filter } as unknown as JsonValue))
    .digest('hex')
    .slice(0, DIGITS);

/** Writes how far a bulk command is as an opaque word. */
export const writeBulkCursor = ({ rank, seq, head, log }: UsualPlace, digest: string): string =>
  Buffer.from(`bulk.${rank}.${seq}.${head}.${digest}${log === undefined ? '' : `.${log}`}`).toString('base64url');

const PLACE = /^bulk\.(\d)\.(\d{1,15})\.(\d{1,15})\.([0-9a-f]{16})(?:\.([0-9a-f]{12,64}))?$/;

/**
 * Reads what `writeBulkCursor` wrote.
 * @param digest that of the command with which it is sent
 * @throws RecorderError `invalid_request` for anything else, and for the cursor of another command
 */
export const readBulkCursor = (text: string, digest: string): UsualPlace => {
  const [, rank, seq, head, its, log] = PLACE.exec(Buffer.from(text, 'base64url').toString('latin1')) ?? [];
  const cursor = { rank: Number(rank), seq: Number(seq), head: Number(head), ...(log !== undefined && { log }) };
  const isPlace = SEVERITIES[cursor.rank] !== undefined && cursor.seq <= cursor.head + 1;
  if (its === undefined || !isPlace || writeBulkCursor(cursor, its) !== text) {
    throw new RecorderError('invalid_request', 'invalid cursor');
  }
  if (its !== digest) throw new RecorderError('invalid_request', 'the cursor is that of another command or filter');
  return cursor;
};
