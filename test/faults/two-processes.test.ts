import { expect } from 'chai';
import { RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';

/** sysexits.h, EX_TEMPFAIL. */
const EX_TEMPFAIL = 75;

describe('given a second service on a log', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  it('then the second ends, and the first does not notice', async () => {
    const home = new ServiceHome(directory());
    const first = await start(home);
    const ledger = new Ledger();
    let ended = false;
    const load = ledger.load(first, () => !ended);
    for (let attempt = 1; attempt <= 2; attempt++) {
      const { code, errors } = await RunningService.run(home);
      expect(code, errors).to.equal(EX_TEMPFAIL);
      expect(errors).to.include('another recorder is running on this log');
    }
    ended = true;
    await load;
    expect(ledger.counts).to.include({ refused: 0, unanswered: 0 });
    await ledger.check(first);
    expect(await first.end()).to.equal(0);
    await ledger.expectNothingLost(home);
  });

  it('when both start at once, then one of them serves', async () => {
    const home = new ServiceHome(directory());
    const started = await Promise.allSettled([start(home), start(home)]);
    const [service, other] = started.toSorted(({ status }) => (status === 'fulfilled' ? -1 : 1));
    expect(other).to.have.property('status', 'rejected');
    expect(String((other as PromiseRejectedResult).reason)).to.include(`the service ended (${EX_TEMPFAIL})`);
    const ledger = new Ledger();
    const { value } = service as PromiseFulfilledResult<RunningService>;
    await ledger.load(value, () => ledger.accounts.length < 20);
    expect(await value.end()).to.equal(0);
    await ledger.expectNothingLost(home);
  });
});
