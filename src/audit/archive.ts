/**
 * The archive: a directory next to the log. Sealed segments move there, and from there anybody may move them anywhere.
 */
import { type FileHandle, mkdir, open, rename, rm } from '../async-files.ts';
import { basename, dirname, join } from 'node:path';
import { RecorderError } from '../errors.ts';
import { archivedPath } from './archived-path.ts';
import type { ChainHash } from './chain-hash.ts';
import { syncDirectoryOf } from '../durable-file.ts';
import { EntryFault, parseEntry } from './entry.ts';
import { type Line, readLines } from './lines.ts';
import type { SealedSegment } from './segments.ts';
import { type ArchivedData, type Entry, readEntry, type SegmentRange } from '../domain/entries.ts';

/** The `data` of a `log.archived` entry. */
export type ArchivedEntryData = ArchivedData & { readonly seq: number };

/** What the archivist needs to know about a segment. */
export interface SegmentDescription {
  readonly range: SegmentRange;
  /** The latest `timestamp` of its entries; that of the last entry may come from a clock that was wrong. */
  readonly latest: string;
  /** Its `log.archived` entries. */
  readonly archived: readonly ArchivedEntryData[];
}

/**
 * Reads what `SegmentDescription` says from a sealed segment. The chain is verified elsewhere.
 * @throws RecorderError `damaged_log` when a `log.archived` entry in it was not written by the recorder
 */
export async function describeSegment({ path }: SealedSegment, hash: ChainHash): Promise<SegmentDescription> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    let firstLine: Line | undefined;
    let lastLine: Line | undefined;
    let latest = '';
    let earliest: string | undefined;
    const archived = await readArchived(file, size, path, hash, (line, begin) => {
      firstLine ??= line;
      lastLine = line;
      const time = begin.slice(TIMESTAMP_AT, TIMESTAMP_AT + TIMESTAMP_LENGTH);
      if (time > latest) latest = time;
      if (earliest === undefined || time < earliest) earliest = time;
    });
    if (firstLine === undefined || lastLine === undefined) throw new Error(`${path} is empty`);
    const [first, last] = [entryIn(firstLine), entryIn(lastLine)];
    const range: SegmentRange = {
      file: basename(path),
      first_seq: first.data.seq,
      last_seq: last.data.seq,
      bytes: size,
      prev_hash: first.prev_hash,
      last_hash: last.entry_hash,
      ...(earliest === undefined ? {} : { since: earliest }),
      until: latest,
    };
    return { range, latest, archived };
  } finally {
    await file.close();
  }
}

/** Reads the `log.archived` entries in a file of the log, as far as it is written. Throws like `describeSegment`. */
export async function archivedIn({ path }: SealedSegment, hash: ChainHash): Promise<readonly ArchivedEntryData[]> {
  const file = await open(path, 'r');
  try {
    return await readArchived(file, (await file.stat()).size, path, hash);
  } finally {
    await file.close();
  }
}

/** The name of the empty file that `requireArchive` moves. */
const PROBE = 'archive.probe';

/**
 * Creates the archive when it does not exist, and proves that a segment could be moved there, with an empty file.
 * @throws RecorderError `log_unavailable` when it could not
 */
export async function requireArchive({ path }: SealedSegment): Promise<void> {
  const probe = join(dirname(path), PROBE);
  const moved = archivedPath(probe);
  try {
    await mkdir(dirname(moved), { recursive: true, mode: 0o750 });
    await rm(probe, { force: true });
    const file = await open(probe, 'wx', 0o640);
    await file.close();
    await rename(probe, moved);
    await rm(moved);
  } catch (error) {
    await rm(probe, { force: true }).catch(() => {});
    throw new RecorderError('log_unavailable', `nothing can be moved to ${dirname(moved)}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * Moves a segment to the archive of its log, durably. Returns its new path.
 * @throws RecorderError `log_unavailable` when it can't be moved
 */
export async function moveToArchive({ path }: SealedSegment): Promise<string> {
  const archived = archivedPath(path);
  try {
    await mkdir(dirname(archived), { recursive: true, mode: 0o750 });
    await rename(path, archived);
    await syncDirectoryOf(archived);
    await syncDirectoryOf(path);
  } catch (error) {
    throw new RecorderError(
      'log_unavailable',
      `${path} can't be moved to ${dirname(archived)}: ${reasonOf(error)}; archive again to move it`,
      { cause: error },
    );
  }
  return archived;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EXDEV') return 'it is on another file system than the log (EXDEV)';
  return code === undefined ? message : `${CAUSES[code] ?? 'it was refused'} (${code})`;
}

/** Explains the errors to expect of a directory (errno(3)). */
const CAUSES: Readonly<Record<string, string>> = {
  EACCES: 'the recorder may not write there',
  EPERM: 'the recorder may not write there',
  ENOSPC: 'there is no room',
  EDQUOT: 'there is no room',
  EEXIST: 'it is not a directory',
  ENOTDIR: 'it is not a directory',
};

/** The beginning of a line: an entry has one spelling, and all timestamps have the same length (entry.ts). */
const TIMESTAMP_AT = '{"timestamp":"'.length;
const TIMESTAMP_LENGTH = '2026-11-22T07:12:00.123Z'.length;
const ARCHIVED = '","event":"log.archived",';
const BEGIN_LENGTH = TIMESTAMP_AT + TIMESTAMP_LENGTH + ARCHIVED.length;

async function readArchived(
  file: FileHandle,
  size: number,
  path: string,
  hash: ChainHash,
  onLine: (line: Line, begin: string) => void = () => {},
): Promise<readonly ArchivedEntryData[]> {
  const archived: ArchivedEntryData[] = [];
  for await (const lines of readLines(file, 0, size)) {
    for (const line of lines) {
      if (!line.whole) break;
      const begin = line.bytes.toString('latin1', 0, BEGIN_LENGTH);
      onLine(line, begin);
      if (begin.endsWith(ARCHIVED)) archived.push(readArchivedEntry(line, path, hash));
    }
  }
  return archived;
}

/** Checks the hash: the recorder repeats what the entry says under its own hash, so the entry must be its own. */
function readArchivedEntry(line: Line, path: string, hash: ChainHash): ArchivedEntryData {
  try {
    const { data, prev_hash } = entryIn(line);
    const entry = parseEntry(line.bytes.toString('utf8'), { entries: data.seq - 1, hash: prev_hash }, hash);
    if (entry.event !== 'log.archived') throw new EntryFault(`its event is ${entry.event}`);
    return entry.data;
  } catch (error) {
    throw new RecorderError('damaged_log', `the entry at byte ${line.offset} of ${path} is not as it was written`, {
      cause: error,
    });
  }
}

const entryIn = ({ bytes }: Line): Entry => readEntry(bytes.toString('utf8'));
