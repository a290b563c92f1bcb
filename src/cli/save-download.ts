/** Saves what the recorder sends to a file. */
import { createHash, randomBytes } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { syncDirectoryOf, writeAll } from '../durable-file.ts';

/**
 * Writes what arrives to a file, in one step: it is there when it is whole, and readable by its owner alone.
 * @param length how many bytes it must have
 * @param largest how many it may have
 * @returns its size and the SHA-256 of all of it, lower-case hex
 */
export async function saveDownload(
  response: AsyncIterable<Buffer>,
  to: string,
  length: number,
  largest: number,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const partial = `${to}.partial-${randomBytes(4).toString('hex')}`;
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(partial, 'wx', 0o600);
  try {
    try {
      for await (const chunk of response) {
        bytes += chunk.length;
        if (bytes > largest) break;
        hash.update(chunk);
        await writeAll(file.fd, chunk);
      }
      if (bytes !== length || bytes > largest) throw new Error(`the export is not whole: ${bytes} bytes of ${length}`);
      await file.sync();
    } finally {
      await file.close();
    }
    renameSync(partial, to);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
  await syncDirectoryOf(to);
  return { bytes, sha256: hash.digest('hex') };
}
