/**
 * Appends with a group commit, as the floors do it: one asynchronous `fdatasync` at a time, and what arrives meanwhile
 * makes the next batch.
 */
import { open } from 'node:fs/promises';

/** Opens a file and gives a function that appends an entry of so many bytes and resolves when it is on disk. */
export async function groupCommit(path: string, entryBytes: number): Promise<() => Promise<void>> {
  const entry = Buffer.alloc(entryBytes, 'x');
  const file = await open(path, 'a');
  let waiting: (() => void)[] = [];
  let writing = false;

  const writeBatches = async (): Promise<void> => {
    writing = true;
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await file.write(Buffer.concat(batch.map(() => entry)));
      await file.datasync();
      for (const done of batch) done();
    }
    writing = false;
  };

  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (!writing) void writeBatches();
    });
}
