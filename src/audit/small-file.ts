/** The files beside a log that say something about it in one line: checkpoint, identity, posture. */
import { constants, type FileHandle, open } from 'node:fs/promises';

/** More than the recorder writes into any of them, in bytes. */
const MOST_BYTES = 4 * 1024;

/**
 * Reads the beginning of a file: what is longer is not the recorder's. Does not wait for the writer of a named pipe.
 * @returns undefined when the file does not exist
 * @throws the file system's error
 */
export async function readSmallFile(path: string): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MOST_BYTES), 0, MOST_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
