import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives a new empty directory, which is removed when all tests of the `describe` that calls this have ended. */
export function temporaryDirectories(): () => string {
  const made: string[] = [];
  // Not after each test: what a test opened is closed by its own hooks, which come later.
  after(() => {
    for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
  });
  return () => {
    const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-'));
    made.push(directory);
    return directory;
  };
}
