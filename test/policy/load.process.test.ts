import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { systemClock } from '../../src/clock.ts';
import { RecorderError } from '../../src/errors.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('loading the policy', () => {
  const directory = temporaryDirectories();

  it('refuses a named pipe without waiting for a writer', () => {
    const path = join(directory(), 'pipe');
    execFileSync('mkfifo', [path]);
    expect(() => loadPolicy(path, systemClock))
      .to.throw(RecorderError, "can't be read: it is not a regular file")
      .with.property('code', 'invalid_policy');
  });
});
