import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { RecorderError } from '../src/errors.ts';
import { readSecretFile } from '../src/secret-file.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('readSecretFile', () => {
  const directory = temporaryDirectories();

  it('refuses a named pipe without waiting for a writer', () => {
    const path = join(directory(), 'pipe');
    execFileSync('mkfifo', ['-m', '600', path]);
    const demands = { followLinks: false, forbiddenMode: 0o077, permissions: 'is too open' };
    expect(() => readSecretFile(path, demands)).to.throw(RecorderError, `${path} is not a regular file`);
  });
});
