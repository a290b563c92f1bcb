/**
 * Finds where verification can begin at start, when the projections know the log already: at the last entry that the
 * checkpoint counts or at the last one that the projections know, whichever is earlier. Verification then reads both
 * entries, and they are compared with the checkpoint and with the projections.
 */
import type { FileHandle } from '../async-files.ts';
import type { Head } from './entry.ts';
import { findEntry } from './find-entry.ts';
import { NEWLINE, readLines, WINDOW_BYTES } from './lines.ts';
import type { StartingPoint } from './verify-chain.ts';
import { type Entry, readEntry } from '../domain/entries.ts';

/** How far the projections know the log: their last entry. */
export interface KnownUpTo {
  readonly seq: number;
  /** The offset in bytes after that entry, in its file. */
  readonly end: number;
}

/**
 * Finds the resume point in the file at the log's path.
 * @param size of the file, in bytes
 * @returns undefined when the point is not in this file or not certain: then the whole log must be read
 */
export async function findResumePoint(
  file: FileHandle,
  size: number,
  known: KnownUpTo | undefined,
  checkpoint: Head | undefined,
): Promise<StartingPoint | undefined> {
  if (known === undefined || checkpoint === undefined || known.seq === 0 || known.end > size) return undefined;
  const due = Math.min(known.seq, checkpoint.entries);
  const first = (await entryAt(file, 0, size))?.data.seq;
  if (first === undefined || due < first) return undefined;
  const offset = await lineStart(file, known.end, known.seq - due);
  const entry = offset === undefined ? undefined : await entryAt(file, offset, size);
  if (offset === undefined || entry?.data.seq !== due) return undefined;
  return { head: { entries: due - 1, hash: entry.prev_hash }, offset, line: due - first + 1 };
}

/** Finds the entry that the checkpoint counts last; undefined when it is not in this file. */
export async function findCheckpoint(
  file: FileHandle,
  size: number,
  checkpoint: Head | undefined,
): Promise<StartingPoint | undefined> {
  const due = checkpoint?.entries ?? 0;
  const first = (await entryAt(file, 0, size))?.data.seq;
  if (first === undefined || due < first) return undefined;
  const offset = await findEntry(file, size, due);
  const entry = await entryAt(file, offset, size);
  if (entry?.data.seq !== due) return undefined;
  return { head: { entries: due - 1, hash: entry.prev_hash }, offset, line: due - first + 1 };
}

/** Finds the line `before` lines earlier than the one that ends at the offset `end`; returns where it begins. */
async function lineStart(file: FileHandle, end: number, before: number): Promise<number | undefined> {
  let newlines = before + 2;
  for (let to = end; to > 0;) {
    const window = Buffer.alloc(Math.min(WINDOW_BYTES, to));
    const from = to - window.length;
    if ((await file.read(window, 0, window.length, from)).bytesRead !== window.length) return undefined;
    if (to === end && window.at(-1) !== NEWLINE) return undefined;
    for (let at = window.lastIndexOf(NEWLINE); at !== -1; at = at === 0 ? -1 : window.lastIndexOf(NEWLINE, at - 1)) {
      newlines -= 1;
      if (newlines === 0) return from + at + 1;
    }
    to = from;
  }
  // Before the first line of a file there is no newline.
  return newlines === 1 ? 0 : undefined;
}

/** Parses the line at an offset, without verifying it. Returns undefined when it is no entry. */
async function entryAt(file: FileHandle, offset: number, size: number): Promise<Entry | undefined> {
  for await (const [line] of readLines(file, offset, size)) {
    try {
      const entry = readEntry(line?.bytes.toString('utf8') ?? '') as Partial<Entry> | null;
      // Somebody else may have written it.
      return typeof entry?.data?.seq === 'number' ? (entry as Entry) : undefined;
    } catch {
      return undefined;
    }
  }
  return undefined;
}
