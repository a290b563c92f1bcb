/** Archiving holds the event loop for a short time, however many incidents a segment has. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** In milliseconds. Most holds are below 10. */
const LONGEST = 20;
/** At once they would take a fifth of a second. */
const INCIDENTS = 10_000;

describe('archiving a full segment', function () {
  this.timeout(180_000);
  // Processor time grows where two processes share a core.
  this.retries(3);
  const directory = temporaryDirectories();

  it(`holds nobody up for ${LONGEST} ms, while reports are recorded`, async () => {
    const script = join(import.meta.dirname, 'incidents/support/archiving-hold.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [script, directory(), String(INCIDENTS)]);
    const { archived, reports, longest } = JSON.parse(stdout) as Record<string, number>;
    expect(archived).to.be.greaterThan(INCIDENTS / 2);
    expect(reports).to.be.greaterThan(20);
    expect(longest).to.be.below(LONGEST);
  });
});
