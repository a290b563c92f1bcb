/** Reads single lines of the log by their place, also while the log is written, sealed and archived. */
import { type FileHandle, open } from 'node:fs/promises';
import { RecorderError } from '../errors.ts';
import { readEntryLine } from './entry-line.ts';
import { NEWLINE } from './lines.ts';
import type { AuditLog } from './log.ts';

/**
 * The place of a line: the `seq` of its entry determines the file. Offset and length (newline included) are in bytes.
 */
export interface LinePlace {
  readonly seq: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Reads the lines at these places.
 * @param places in the order of `seq`
 * @returns the lines in UTF-8, without newlines
 * @throws RecorderError `damaged_log` when a line is not in its place, `overloaded` when no file can be opened
 */
export async function readLinesAt(
  log: Pick<AuditLog, 'fileOf'>,
  places: readonly LinePlace[],
): Promise<readonly Buffer[]> {
  const lines: Buffer[] = [];
  while (lines.length < places.length) {
    const due = places.slice(lines.length);
    // The file may be sealed between lookup and open: retry once.
    const read = (await readFromOneFile(log, due)) ?? (await readFromOneFile(log, due));
    if (read === undefined) {
      throw new RecorderError('damaged_log', `the audit log does not hold entry ${due[0]?.seq} where it was written`);
    }
    lines.push(...read);
  }
  return lines;
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
  log: Pick<AuditLog, 'fileOf'>,
  places: readonly LinePlace[],
): Promise<readonly Buffer[] | undefined> {
  const { path, first } = log.fileOf(places[0]?.seq ?? 0);
  const file = await openLogFile(path);
  if (file === undefined) return undefined;
  try {
    const lines: Buffer[] = [];
    for (const place of places) {
      if (log.fileOf(place.seq).first !== first) break;
      const line = await readLine(file, place);
      if (line === undefined) return undefined;
      lines.push(line);
    }
    return lines;
  } finally {
    await file.close();
  }
}

async function readLine(file: FileHandle, { seq, offset, length }: LinePlace): Promise<Buffer | undefined> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  if (bytesRead !== length || bytes[length - 1] !== NEWLINE) return undefined;
  const line = bytes.subarray(0, length - 1);
  return readEntryLine({ bytes: line, offset })?.seq === seq ? line : undefined;
}
