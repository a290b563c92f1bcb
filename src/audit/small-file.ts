/**
 * Reads the small files that belong to the log. Whoever can write in the directory can put anything in their place: a link
 * to a secret, a named pipe, gigabytes.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** In bytes. Every one of these files is shorter. */
const LONGEST = 4096;

/** In the place of what the recorder can't have written. No file of the recorder has this text. */
const FOREIGN = '?';

/** What the system says of links and sockets, which are not followed. */
const NOT_OPENED = new Set(['ELOOP', 'ENXIO']);

/**
 * The text of the file at `path`; undefined when it does not exist. What is no regular file of at most 4,096 bytes is not
 * read, and counts as a text that the recorder has not written.
 * @throws the file system's error
 */
export function readSmallFile(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (NOT_OPENED.has(code)) return FOREIGN;
    throw error;
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile() || status.size > LONGEST) return FOREIGN;
    const bytes = Buffer.alloc(LONGEST);
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, LONGEST, 0));
  } finally {
    closeSync(file);
  }
}
