import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { openSigner } from '../../src/fleet/signer-file.ts';
import { verifierKeyOf } from '../../src/signed-note.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('the file with the key of the fleet', () => {
  const directory = temporaryDirectories();

  it('is made once, when several processes start at the same time', async () => {
    const folder = directory();
    const path = join(folder, 'deep', 'key');
    const signers = await Promise.all(Array.from({ length: 8 }, () => openSigner(path, 'fleet.test')));
    const keys = new Set(signers.map((signer) => verifierKeyOf(signer)));
    expect([...keys]).to.deep.equal([verifierKeyOf(await openSigner(path, 'fleet.test'))]);
    expect(readdirSync(join(folder, 'deep'))).to.deep.equal(['key']);
    expect(readFileSync(path, 'utf8')).to.match(/^PRIVATE\+KEY\+fleet\.test\+/);
  });
});
