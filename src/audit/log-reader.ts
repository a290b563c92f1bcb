/** Reads single lines of the log by their place, also while the log is written, sealed and archived. */
import { type FileHandle, open } from '../async-files.ts';
import { basename } from 'node:path';
import { RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { MAX_ENTRY_BYTES } from './entry.ts';
import { type EntryLine, readEntryLine, readGenuineLine } from './entry-line.ts';
import { findEntry } from './find-entry.ts';
import { type Line, NEWLINE, readLines } from './lines.ts';
import type { ReadableLog } from './log.ts';

/**
 * The place of a line: the `seq` of its entry determines the file. Offset and length (newline included) are in bytes.
 */
export interface LinePlace {
  readonly seq: number;
  readonly offset: number;
  readonly length: number;
}

/** Waits until a reader may use the processor again: to verify a long line takes several milliseconds. */
export type Turn = () => Promise<void>;

const AT_ONCE: Turn = () => Promise.resolve();

/**
 * Reads the entries at these places. The places come from the database, which proves nothing: an entry that is
 * somewhere else in its file is found there.
 * @param places in the order of `seq`
 * @param turn awaited before each line is verified
 * @throws RecorderError `damaged_log` when an entry is not in the log as it was written, `gone` when its file is no
 *   longer in the log, `overloaded` when no file can be opened
 */
export async function readEntriesAt(
  log: ReadableLog,
  places: readonly LinePlace[],
  turn = AT_ONCE,
): Promise<readonly EntryLine[]> {
  const lines: EntryLine[] = [];
  while (lines.length < places.length) {
    const due = places.slice(lines.length);
    // The file may be sealed between lookup and open: retry once.
    const read = (await readFromOneFile(log, due, turn)) ?? (await readFromOneFile(log, due, turn));
    lines.push(...(read ?? [await findLine(log, due[0]!.seq)]));
  }
  return lines;
}

/** Looks for an entry in the whole file that has to hold it. Throws like `readEntriesAt`. */
async function findLine(log: ReadableLog, seq: number): Promise<EntryLine> {
  if (!(seq >= 1 && seq <= log.status.entries)) {
    throw new RecorderError('damaged_log', `the database names entry ${seq}, which the audit log does not have`);
  }
  const { path, first } = log.fileOf(seq);
  const file = first > seq ? undefined : await openLogFile(path);
  try {
    if (file !== undefined) {
      const { size } = await file.stat();
      const found = await findBehind(file, size, { seq, first }, log.hash);
      if (found !== undefined) return found;
    }
  } finally {
    await file?.close();
  }
  throw await notAsWritten(log, seq);
}

/** Reads an entry behind the one before it; undefined when it is not there as it was written. */
async function findBehind(
  file: FileHandle,
  size: number,
  { seq, first }: { readonly seq: number; readonly first: number },
  hash: ChainHash,
): Promise<EntryLine | undefined> {
  let due = Math.max(first, seq - 1);
  let before: string | undefined;
  for await (const lines of readLines(file, due === first ? 0 : await findEntry(file, size, due), size)) {
    for (const line of lines) {
      const read: EntryLine | undefined = line.whole ? readGenuineLine(line, due, hash, before) : undefined;
      if (read === undefined || due === seq) return read;
      before = read.entry().entry_hash;
      due += 1;
    }
  }
  return undefined;
}

/** The lines of the entries at these places, in UTF-8 and without newlines. Throws like `readEntriesAt`. */
export const readLinesAt = async (log: ReadableLog, places: readonly LinePlace[]): Promise<readonly Buffer[]> =>
  (await readEntriesAt(log, places)).map(({ bytes }) => bytes);

/**
 * The error for an entry that is not in its place as it was written: `gone` when its file has left the log, else
 * `damaged_log`, and the log is marked damaged.
 */
export async function notAsWritten(log: ReadableLog, seq: number): Promise<RecorderError> {
  const { path, first } = log.fileOf(seq);
  const next = [...log.sealed, log.fileOf(Infinity)].find((file) => file.first > seq);
  if (next !== undefined && (first > seq || (await endsBefore(path, seq)))) {
    const message = `entry ${seq} was archived or lost: the log goes on with entry ${next.first}, so ask for what is after ${next.first - 1}`;
    return new RecorderError('gone', message, { fields: { first_seq: next.first } });
  }
  const reason = `entry ${seq} is not as it was written`;
  log.suspect({ file: basename(path), line: seq - first + 1, offset: 0, reason, finding: 'entry_altered' });
  return new RecorderError('damaged_log', `the audit log does not hold entry ${seq} as it was written`);
}

/** Whether a file of the log ends before an entry. Not when its last line is no entry. */
async function endsBefore(path: string, seq: number): Promise<boolean> {
  const file = await openLogFile(path);
  if (file === undefined) return true;
  try {
    const { size } = await file.stat();
    let last: Line | undefined;
    for await (const lines of readLines(file, Math.max(0, size - MAX_ENTRY_BYTES), size)) last = lines.at(-1);
    const entry = last?.whole ? readEntryLine(last) : undefined;
    return entry !== undefined && entry.seq < seq;
  } finally {
    await file.close();
  }
}

/**
 * Opens a file of the log for reading. Returns undefined when it does not exist.
 * @throws RecorderError `overloaded` when it can't be opened
 */
export const openLogFile = (path: string): Promise<FileHandle | undefined> =>
  open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new RecorderError('overloaded', `the audit log can't be read now (${error.code})`, { cause: error });
  });

/** Reads the places that are in the same file as the first. Returns undefined when a line is not in its place. */
async function readFromOneFile(
  log: ReadableLog,
  places: readonly LinePlace[],
  turn: Turn,
): Promise<readonly EntryLine[] | undefined> {
  const { path, first } = log.fileOf(places[0]?.seq ?? 0);
  const file = await openLogFile(path);
  if (file === undefined) return undefined;
  try {
    const lines: EntryLine[] = [];
    for (const place of places) {
      if (log.fileOf(place.seq).first !== first) break;
      const line = await readLine(file, place, log.hash, turn);
      if (line === undefined) return undefined;
      lines.push(line);
    }
    return lines;
  } finally {
    await file.close();
  }
}

async function readLine(
  file: FileHandle,
  { seq, offset, length }: LinePlace,
  hash: ChainHash,
  turn: Turn,
): Promise<EntryLine | undefined> {
  if (!(Number.isSafeInteger(offset) && offset >= 0 && length > 0 && length <= MAX_ENTRY_BYTES)) return undefined;
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  if (bytesRead !== length || bytes[length - 1] !== NEWLINE) return undefined;
  await turn();
  return readGenuineLine({ bytes: bytes.subarray(0, length - 1), offset }, seq, hash);
}
