/**
 * A place in one particular log, as readers keep it: `LOG:SEQ`.
 *
 * LOG is the beginning of the log's identity, 12 hex digits, and then 8 of the hash of the entry SEQ. So a place of
 * another log is noticed, and so is one in a part of this log that is not there any more, as after an old copy was put
 * back. Among a million logs two share their 12 digits with a chance of 1 in 500; a reader meets a few logs.
 * A bare SEQ is a place in whatever log is there.
 */
import { RecorderError } from '../errors.ts';
import type { ReadableLog } from './log.ts';

const OF_IDENTITY = 12;
const OF_ENTRY = 8;
const POSITION = /^(?:([0-9a-f]{8,64}):)?(\d{1,15})$/;

export interface LogPosition {
  /** Which log it is a place in; undefined for whatever log is there. */
  readonly log?: string;
  /** The place is behind this entry. */
  readonly seq: number;
}

/**
 * Reads `LOG:SEQ` or a bare SEQ; undefined for anything else. LOG may also be the identity, or 8 or more digits of it.
 */
export function parsePosition(text: string): LogPosition | undefined {
  const [, log, seq] = POSITION.exec(text) ?? [];
  if (seq === undefined) return undefined;
  return log === undefined ? { seq: Number(seq) } : { log, seq: Number(seq) };
}

/** The beginning of a log's identity, as short places carry it. */
export const shortIdentity = (identity: string): string => identity.slice(0, OF_IDENTITY);

/**
 * Writes the place behind an entry: a bare SEQ while the identity of the log is not known.
 * @param hash of that entry; empty for the beginning of the log
 */
export const writePosition = (identity: string | undefined, seq: number, hash: string): string =>
  identity === undefined ? `${seq}` : `${shortIdentity(identity)}${hash.slice(0, OF_ENTRY)}:${seq}`;

/** Whether a place can be one of a log with this identity. The entry may still be another. */
export function isInLog({ log }: LogPosition, identity: string | undefined): boolean {
  if (log === undefined) return true;
  if (identity === undefined) return false;
  return identity.startsWith(log) || (hasEntry(log) && log.startsWith(shortIdentity(identity)));
}

/** Whether the entry that is in its place has this hash. @param identity of the log that it is in */
export function isOfEntry({ log }: LogPosition, identity: string | undefined, hash: string): boolean {
  if (log === undefined || identity?.startsWith(log)) return true;
  return hasEntry(log) && hash.startsWith(log.slice(OF_IDENTITY));
}

const hasEntry = (log: string): boolean => log.length === OF_IDENTITY + OF_ENTRY;

/** The `seq` of the first entry that is still in the log. */
export const firstSeqOf = (log: Pick<ReadableLog, 'sealed' | 'fileOf'>): number =>
  log.sealed[0]?.first ?? log.fileOf(Infinity).first;

/** The refusal of a place that is not in this log, with where it can be read from. */
export function goneTo(
  what: string,
  log: Pick<ReadableLog, 'sealed' | 'fileOf' | 'status'>,
  identity: string | undefined,
): RecorderError {
  const first_seq = firstSeqOf(log);
  const begin = `begin again after ${first_seq - 1}, everything may have changed`;
  const fields = { first_seq, last_seq: log.status.entries, log_id: identity ?? null };
  return new RecorderError('gone', `${what}: ${begin}`, { fields });
}
