/**
 * The log with its archived segments in front, as far as they are still where the archivist has put them: for a copy of the
 * whole log, such as the fleet's.
 *
 * Nothing here judges the log: what is wrong with an archived file is an error for its reader, and no finding.
 */
import { basename } from 'node:path';
import { readEntryLine, hashesIn } from './entry-line.ts';
import { MAX_ENTRY_BYTES } from './entry.ts';
import { archivedPath } from './archived-path.ts';
import { type Line, readLines } from './lines.ts';
import { openLogFile } from './log-reader.ts';
import type { ReadableLog } from './log.ts';
import { firstSeqOf } from './log-position.ts';
import { findSealed, type SealedSegment } from './segments.ts';

/** The log with its archive; the log itself when there is no archive, or one of another log. */
export async function withArchive(log: ReadableLog): Promise<ReadableLog> {
  const first = firstSeqOf(log);
  const archived = (await archivedSegments(log)).filter((segment) => segment.first < first);
  const last = archived.at(-1);
  if (last === undefined || !(await isContinued(last, log.fileOf(first), first))) return log;
  return {
    get status() {
      return log.status;
    },
    get sealed() {
      return [...archived, ...log.sealed];
    },
    fileOf: (seq) => {
      const file = log.fileOf(seq);
      return file.first <= seq ? file : (archived.findLast((segment) => segment.first <= seq) ?? file);
    },
    hash: log.hash,
    suspect: (damage) => {
      if (!archived.some(({ path }) => basename(path) === damage.file)) log.suspect(damage);
    },
  };
}

async function archivedSegments(log: ReadableLog): Promise<readonly SealedSegment[]> {
  try {
    return await findSealed(archivedPath(log.fileOf(Infinity).path));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(String((error as NodeJS.ErrnoException).code))) return [];
    throw error;
  }
}

/** Whether the last entry of a file is the one before the first of another. */
async function isContinued(before: SealedSegment, { path }: SealedSegment, first: number): Promise<boolean> {
  const last = await lineOf(before.path, 'last');
  const next = await lineOf(path, 'first');
  if (last === undefined || next === undefined) return false;
  return readEntryLine(last)?.seq === first - 1 && hashesIn(last.bytes)?.hash === hashesIn(next.bytes)?.prev;
}

async function lineOf(path: string, which: 'first' | 'last'): Promise<Line | undefined> {
  const file = await openLogFile(path);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    let found: Line | undefined;
    for await (const lines of readLines(file, which === 'first' ? 0 : Math.max(0, size - MAX_ENTRY_BYTES), size)) {
      if (which === 'first') return lines[0];
      found = lines.at(-1);
    }
    return found?.whole === true ? found : undefined;
  } finally {
    await file.close();
  }
}
