import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { makePackage } from './support/recorder.ts';

describe('the package', () => {
  const directory = temporaryDirectories();

  it('is the same, byte for byte, from two builds', () => {
    const [first, second] = [1, 2].map(() => {
      execFileSync(process.execPath, [join(ROOT, 'src/build/build.ts')], { stdio: 'ignore' });
      return readFileSync(makePackage(directory()));
    });
    expect(first!.equals(second!)).to.equal(true);
  });
});
