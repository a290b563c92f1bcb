/** Files that are there, whole, after a power cut: content and name both synced. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes the names in the directory of `path` durable (a created or renamed file is found again after a power cut). */
export async function syncDirectoryOf(path: string): Promise<void> {
  const directory = await openDirectoryOf(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Opens the directory of `path`, to be synced. */
export const openDirectoryOf = (path: string): Promise<FileHandle> => open(dirname(path), 'r');

/** Writes a file in one step: readers see the old content or the new, never a part. Mode 0640. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  try {
    // Made anew, so that nobody who may write in the directory can have put a link there.
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', 0o640);
    try {
      await file.writeFile(content);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await syncDirectoryOf(path);
}
