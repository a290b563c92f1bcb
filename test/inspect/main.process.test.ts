import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('npm run inspect', () => {
  const directory = temporaryDirectories();

  it('says in one line that its port is taken, and exits with 1', async () => {
    const other = createServer().listen(8516, '127.0.0.1');
    // Somebody else may have taken it already, which serves as well.
    await Promise.race([once(other, 'listening'), once(other, 'error').catch(() => {})]);
    const inspector = spawn(process.execPath, [join(ROOT, 'src/inspect/main.ts')], {
      cwd: directory(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [stderr] = await Promise.all([text(inspector.stderr), once(inspector, 'close')]);
    other.close();
    expect(stderr).to.equal('incident-recorder: port 8516 is taken: end the other inspector first\n');
    expect(inspector.exitCode).to.equal(1);
  });
});
