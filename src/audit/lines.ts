/** Reads the log as lines with their places, in pieces, so that a log of any size passes through a small window. */
import type { FileHandle } from 'node:fs/promises';
import { MAX_ENTRY_BYTES } from './entry.ts';

export interface Line {
  /** The line's bytes without the newline; cut short when `whole` is false because it is too long. */
  readonly bytes: Buffer;
  /** Where it begins in the file, in bytes. */
  readonly offset: number;
  /** Whether it ends in a newline within the greatest length of an entry. */
  readonly whole: boolean;
}

/** How much of a file is read at a time. */
export const WINDOW_BYTES = 256 * 1024;
/** What ends a line. */
export const NEWLINE = 0x0a;

/**
 * Gives the lines between two offsets in bytes, those of one window at a time. `from` is the beginning of a line.
 * After a line that is not whole it ends.
 */
export async function* readLines(
  file: FileHandle,
  from: number,
  to: number,
  windowBytes = WINDOW_BYTES,
): AsyncGenerator<readonly Line[], void> {
  let rest: Buffer = Buffer.alloc(0);
  let restAt = from;
  let position = from;
  while (position < to) {
    const window = Buffer.allocUnsafe(Math.min(windowBytes, to - position));
    const { bytesRead } = await file.read(window, 0, window.length, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const read = window.subarray(0, bytesRead);
    const bytes = rest.length === 0 ? read : Buffer.concat([rest, read]);
    const lines: Line[] = [];
    let begin = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, begin)) {
      lines.push({ bytes: bytes.subarray(begin, end), offset: restAt + begin, whole: end - begin < MAX_ENTRY_BYTES });
      begin = end + 1;
    }
    rest = bytes.subarray(begin);
    restAt += begin;
    if (lines.length > 0) yield lines;
    if (rest.length >= MAX_ENTRY_BYTES) break;
  }
  if (rest.length > 0) yield [{ bytes: rest, offset: restAt, whole: false }];
}
