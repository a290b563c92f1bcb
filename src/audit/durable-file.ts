/**
 * Files that are there, whole, after a power cut: content and name both synced.
 *
 * Only the syncs are waited for elsewhere. What else there is to do changes the file system in memory, and to hand each
 * step to another thread and back costs many times the step.
 */
import { closeSync, fdatasync, fsync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

/** Syncs a file's content, given its descriptor. */
export const syncData = promisify(fdatasync);
/** Syncs a file's content and all that is known of it, given its descriptor. */
export const syncFile = promisify(fsync);

/** Makes the names in the directory of `path` durable (a created or renamed file is found again after a power cut). */
export async function syncDirectoryOf(path: string): Promise<void> {
  const directory = openDirectoryOf(path);
  try {
    await syncFile(directory);
  } finally {
    closeSync(directory);
  }
}

/** Opens the directory of `path`, to be synced; gives its descriptor. */
export const openDirectoryOf = (path: string): number => openSync(dirname(path), 'r');

/** Writes a file in one step: readers see the old content or the new, never a part. Mode 0640. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  try {
    // Made anew, so that nobody who may write in the directory can have put a link there.
    rmSync(temporary, { force: true });
    const file = openSync(temporary, 'wx', 0o640);
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
  await syncDirectoryOf(path);
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // What comes next removes it.
  }
}
