/** Reads a file of the log line by line, in windows, so that memory does not grow with the file. */
import type { FileHandle } from '../async-files.ts';
import { FreedBuffers } from '../freed-buffers.ts';
import { MAX_ENTRY_BYTES } from './entry.ts';

export interface Line {
  /** The line without its newline. Cut short when the line is too long: then `whole` is false. */
  readonly bytes: Buffer;
  /** Where it begins in the file, in bytes. */
  readonly offset: number;
  /** Whether it ends in a newline and is no longer than an entry may be. */
  readonly whole: boolean;
}

/** How many bytes of a file are read at a time. */
export const WINDOW_BYTES = 256 * 1024;
export const NEWLINE = 0x0a;

/**
 * Yields the lines between two offsets, those of one window at a time. Ends after a line that is not whole.
 * @param from where a line begins, in bytes
 * @param to where to stop, in bytes
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
  const freed = new FreedBuffers();
  while (position < to) {
    const window = Buffer.allocUnsafe(Math.min(windowBytes, to - position));
    const { bytesRead } = await file.read(window, 0, window.length, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    freed.count(bytesRead);
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
