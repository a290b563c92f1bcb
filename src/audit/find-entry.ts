import type { FileHandle } from '../async-files.ts';
import { readEntryLine } from './entry-line.ts';
import { type Line, readLines, WINDOW_BYTES } from './lines.ts';

/** Read for one probe, in bytes. Most entries are shorter; a longer one takes several reads. */
const PROBE_BYTES = 4 * 1024;

/**
 * Finds an entry in a file of the log by binary search, because `seq` grows from line to line. Returns its offset in
 * bytes; some other offset when the file does not hold the entry.
 */
export async function findEntry(file: FileHandle, size: number, seq: number): Promise<number> {
  let from = 0;
  let to = size;
  while (to - from > WINDOW_BYTES) {
    const middle = Math.floor((from + to) / 2);
    const probed = await secondLine(file, middle, size);
    const found = probed === undefined ? undefined : readEntryLine(probed)?.seq;
    if (probed !== undefined && found !== undefined && found <= seq) from = probed.offset;
    else to = middle;
  }
  for await (const lines of readLines(file, from, size)) {
    const line = lines.find((one) => readEntryLine(one)?.seq === seq);
    if (line !== undefined) return line.offset;
    if (lines.at(-1)!.offset >= to) break;
  }
  return from;
}

/** The line after the one that covers `offset`. Returns undefined when there is none or it is not whole. */
async function secondLine(file: FileHandle, offset: number, size: number): Promise<Line | undefined> {
  let first: Line | undefined;
  for await (const lines of readLines(file, offset, size, PROBE_BYTES)) {
    const [one, other] = lines;
    const second = first === undefined ? other : one;
    if (second !== undefined) return second.whole ? second : undefined;
    first ??= one;
  }
  return undefined;
}
