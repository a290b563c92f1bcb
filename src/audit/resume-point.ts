/**
 * Finds where the walk through the log can begin when the projections know the log already: at the entry that the
 * checkpoint ends with, or at the last one that they know, whichever is earlier. The walk then meets both entries and
 * compares them with what the checkpoint and the projections say of them.
 */
import type { FileHandle } from 'node:fs/promises';
import type { Head } from './entry.ts';
import { NEWLINE, readLines, WINDOW_BYTES } from './lines.ts';
import type { Place } from './verify-chain.ts';
import type { Entry } from '../domain/entries.ts';

/** The last entry that the projections know. */
export interface ResumePoint {
  readonly seq: number;
  /** The offset behind it, in bytes, in the file that it stands in. */
  readonly end: number;
}

/** The place in the file at the log's path, or `undefined` when it is not in there: then all has to be read. */
export async function findResumePoint(
  file: FileHandle,
  size: number,
  known: ResumePoint | undefined,
  checkpoint: Head | undefined,
): Promise<Place | undefined> {
  if (known === undefined || checkpoint === undefined || known.seq === 0 || known.end > size) return undefined;
  const due = Math.min(known.seq, checkpoint.entries);
  const first = (await entryAt(file, 0, size))?.data.seq;
  if (first === undefined || due < first) return undefined;
  const offset = await lineStart(file, known.end, known.seq - due);
  const entry = offset === undefined ? undefined : await entryAt(file, offset, size);
  if (offset === undefined || entry?.data.seq !== due) return undefined;
  return { head: { entries: due - 1, hash: entry.prev_hash }, offset, line: due - first + 1 };
}

/** The offset of the line that ends `before` lines in front of the one that ends at `end`. */
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
  // The first line of a file has no newline in front of it.
  return newlines === 1 ? 0 : undefined;
}

/** What stands at an offset, not verified. */
async function entryAt(file: FileHandle, offset: number, size: number): Promise<Entry | undefined> {
  for await (const [line] of readLines(file, offset, size)) {
    try {
      return JSON.parse(line?.bytes.toString('utf8') ?? '') as Entry;
    } catch {
      return undefined;
    }
  }
  return undefined;
}
