import { join } from 'node:path';
import { expect } from 'chai';
import { RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { mounts } from './support/mounts.ts';
import { needs } from './support/needs.ts';

/** sysexits.h, EX_CONFIG: started again without being mended it would only fail again. */
const EX_CONFIG = 78;

describe("given a log's directory", () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  it('that is gone at the start, then the service says so and ends', async () => {
    const home = new ServiceHome(directory());
    const gone = join(home.directory, 'gone');
    const { code, errors } = await RunningService.run(home, { env: { AUDIT_LOG_PATH: join(gone, 'audit.jsonl') } });
    expect(code, errors).to.equal(EX_CONFIG);
    expect(errors).to.include(gone).and.not.include('    at ');
  });

  describe('on a file system', () => {
    const mounted = mounts();
    needs('mount');

    it('that is read-only, then the service says so and ends, and the log is as it was', async () => {
      const home = new ServiceHome(mounted.tmpfs(16 * 1024 * 1024));
      const ledger = new Ledger();
      const first = await start(home);
      await ledger.load(first, () => ledger.accounts.length < 30);
      expect(await first.end()).to.equal(0);
      mounted.remount(home.directory, 'ro');

      const { code, errors } = await RunningService.run(home);
      expect(code, errors).to.equal(EX_CONFIG);
      expect(errors).to.include(home.directory).and.not.include('    at ');
      mounted.remount(home.directory, 'rw');
      await ledger.expectNothingLost(home);
    });
  });
});
