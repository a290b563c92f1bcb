import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { needs } from './support/needs.ts';
import { traced } from './support/traced.ts';
import { until } from './support/until.ts';

describe('given SIGTERM under load', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  it('then it ends with 0 within ten seconds, and what it took it answered', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const ledger = new Ledger();
    const load = ledger.load(service, undefined, 32);
    await until(async () => ledger.counts.acknowledged > 500);
    const since = performance.now();
    service.process.kill('SIGTERM');
    expect(await service.ended).to.equal(0);
    expect(performance.now() - since).to.be.lessThan(10_000);
    await load;
    ledger.expectUnansweredRefused();
    await ledger.expectNothingLost(home);
  });

  describe('on a slow disk', () => {
    needs('strace');

    it('then every request that it took is answered', async () => {
      const home = new ServiceHome(directory());
      const service = await start(home, traced('fdatasync:delay_enter=700ms', home.log));
      const ledger = new Ledger();
      const loaded = ledger.load(service, () => ledger.accounts.length < 32, 32);
      // Their turn to be synced comes while the service stops.
      await service.get('/health');
      service.process.kill('SIGTERM');
      await loaded;
      expect(await service.ended).to.equal(0);
      expect(ledger.accounts.map(({ standing }) => standing)).to.not.include('unanswered');
      await ledger.expectNothingLost(home);
    });
  });
});
