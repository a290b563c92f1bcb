/**
 * Files that are whole, and still there, after a power cut: content and name are both synced.
 *
 * Only the syncs and long writes run on another thread. The other steps change the file system in memory, and to pass
 * one to another thread and back costs many times the step itself.
 *
 * Needs Node only: the client ships with this file.
 */
import { closeSync, fdatasync, fsync, openSync, renameSync, rmSync, write, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

/** Syncs a file's content, given its descriptor. */
export const syncData = promisify(fdatasync);
/** Syncs a file's content and its metadata, given its descriptor. */
export const syncFile = promisify(fsync);

const writeSome = promisify(write);

/**
 * Writes all of `bytes`. One system call may write fewer bytes than it gets, and give the reason only at the next call.
 * @param file a descriptor
 * @param position where to begin, in bytes; by default the end of a file that is open for appending
 */
export async function writeAll(file: number, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const at = position === undefined ? null : position + done;
    done += (await writeSome(file, bytes, done, bytes.length - done, at)).bytesWritten;
  }
}

/** Syncs the directory of `path`, so that a file created or renamed in it is found after a power cut. */
export async function syncDirectoryOf(path: string): Promise<void> {
  const directory = openDirectoryOf(path);
  try {
    await syncFile(directory);
  } finally {
    closeSync(directory);
  }
}

/** Opens the directory of `path` to sync it later; returns its descriptor. */
export const openDirectoryOf = (path: string): number => openSync(dirname(path), 'r');

/**
 * Replaces a file in one step: readers see the old content or the new, never a part of it. When this throws, the old
 * content may still be there.
 * @param mode permission bits of the new file, less those of the umask
 */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o640): Promise<void> {
  await putFile(path, content, mode);
  await syncDirectoryOf(path);
}

/** The same, without syncing the directory: for one that this user may write in and not read. */
export async function putFile(path: string, content: string | Uint8Array, mode = 0o640): Promise<void> {
  const temporary = `${path}.new`;
  try {
    // Always a new file: somebody with write access to the directory may have put a link or a directory there.
    rmSync(temporary, { force: true, recursive: true });
    const file = openSync(temporary, 'wx', mode);
    try {
      writeFileSync(file, content);
      await syncData(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The next replacement removes it.
  }
}
