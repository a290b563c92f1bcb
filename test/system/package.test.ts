import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { makePackage } from './support/recorder.ts';

describe('the packages', () => {
  const directory = temporaryDirectories();

  it('are the same, byte for byte, from two builds', () => {
    const [first, second] = [1, 2].map(() => {
      execFileSync(process.execPath, [join(ROOT, 'src/build/build.ts')], { stdio: 'ignore' });
      return (['recorder', 'fleet'] as const).map((which) => readFileSync(makePackage(directory(), which)));
    });
    for (const [n, made] of first!.entries()) expect(made.equals(second![n]!)).to.equal(true);
  });

  it('of the recorder has nothing of the fleet', () => {
    const names = execFileSync('tar', ['tzf', makePackage(directory())], { encoding: 'utf8' }).split('\n');
    expect(names.filter((name) => /node_modules|pglite|(?:dist|systemd)\/fleet/.test(name))).to.deep.equal([]);
    expect(names.some((name) => name.endsWith('systemd/secure-ai-incident-shipper.service'))).to.equal(true);
  });
});
