import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readCheckpoint } from '../../src/audit/checkpoint.ts';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readPosture } from '../../src/audit/signed-posture.ts';
import { readSmallFile } from '../../src/audit/small-file.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const GIGABYTES = 8 * 1024 ** 3;

describe('a small file beside the log', () => {
  const directory = temporaryDirectories();

  it('is read whole, and may be absent', async () => {
    const path = join(directory(), 'small');
    expect(await readSmallFile(path)).to.equal(undefined);
    writeFileSync(path, 'é\n');
    expect(await readSmallFile(path)).to.equal('é\n');
  });

  it('that is as large as a disk takes no memory, and is a fault', async () => {
    const log = join(directory(), 'log.jsonl');
    const hash = chainHash(Buffer.alloc(32, 'k'));
    for (const name of ['checkpoint', 'posture']) {
      writeFileSync(`${log}.${name}`, '{');
      truncateSync(`${log}.${name}`, GIGABYTES);
    }
    expect(await readCheckpoint(log, hash)).to.have.property('fault');
    expect(await readPosture(log, hash)).to.have.property('fault');
  });

  it('in whose place is a directory throws', async () => {
    const path = join(directory(), 'small');
    mkdirSync(path);
    const error = await readSmallFile(path).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'EISDIR');
  });
});
