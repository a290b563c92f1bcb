import { readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { needs } from './support/needs.ts';
import { traced } from './support/traced.ts';
import { until } from './support/until.ts';

/** sysexits.h, EX_IOERR. */
const EX_IOERR = 74;

describe('given a disk that fails to sync once', () => {
  const start = runningServices();
  const directory = temporaryDirectories();
  needs('strace');

  // The first syncs are those of a new log and of its first entry.
  for (const [nth, ordinal] of [
    [3, '3rd'],
    [10, '10th'],
  ] as const) {
    it(`when that is the ${ordinal} sync, then the service refuses what waits, ends, and never tries again`, async () => {
      const home = new ServiceHome(directory());
      const service = await start(home, traced(`fdatasync:error=EIO:when=${nth}`));
      const ledger = new Ledger();
      await ledger.load(service);
      expect(await service.ended).to.equal(EX_IOERR);
      expect(ledger.counts.refused).to.be.greaterThan(0);
      expect(service.output.join('\n')).to.include('could not be synced');
      await ledger.expectNothingLost(home);
    });
  }

  it('when that is the last sync, of a service that stops, then it ends non-zero as well', async () => {
    const home = new ServiceHome(directory());
    // The first sync is that of the `service.started` entry, the second that of the report.
    const service = await start(home, traced('fdatasync:error=EIO:when=3', home.log));
    const ledger = new Ledger();
    await ledger.load(service, () => ledger.accounts.length === 0, 1);
    expect(await service.end()).to.equal(EX_IOERR);
    await ledger.expectNothingLost(home);
  });

  it('when that happens while it stops, then what waits is refused before it ends', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, traced('fdatasync:error=EIO:delay_enter=5s:when=2', home.log));
    const answer = service.report();
    // It is written, and waits for its sync.
    await until(() => Promise.resolve(readFileSync(home.log, 'utf8').includes('"incident.reported"')));
    service.process.kill('SIGTERM');
    const { status, json } = await answer;
    expect([status, json.error]).to.deep.equal([503, 'the audit log could not be synced (EIO)']);
    expect(await service.ended).to.equal(EX_IOERR);
  });

  it('when that is a sync of the directory, then nobody is said to have replaced a file', async () => {
    const recorded = async (nth: number): Promise<string> => {
      const home = new ServiceHome(directory());
      const service = await start(home, traced(`fsync:error=EIO:when=${nth}`, home.directory));
      for (let count = 0; count < 2; count++) {
        await service.report();
        // The signed files are written a second after an append.
        await after(1500);
      }
      expect(await service.end()).to.equal(0);
      await home.expectSound();
      return readFileSync(home.log, 'utf8');
    };
    // After those of the start, the next two are for the signed posture and the checkpoint.
    for (const log of await Promise.all([3, 4, 5].map(recorded))) expect(log).to.not.include('log.restored');
  });
});
