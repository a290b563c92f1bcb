import { randomInt } from 'node:crypto';
import { setTimeout as after } from 'node:timers/promises';
import { AssertionError, expect } from 'chai';
import { RunningService, runningServices, ServiceHome, type StartOptions } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { rounds } from './support/length.ts';
import { needs } from './support/needs.ts';
import { traced } from './support/traced.ts';

/** A log takes this many kills; then a new one is begun, so that checking it does not take longer and longer. */
const KILLS_A_LOG = 20;

/** Small enough that segments are sealed all the time. */
const env = { AUDIT_SEGMENT_BYTES: '65536' };

describe('given a service that is killed', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  describe('at random instants under load', () => {
    for (let run = 1; run <= rounds(1, 10); run++) {
      it(`${KILLS_A_LOG} times, then it comes back with all that it acknowledged (log ${run})`, async function () {
        this.timeout(120_000);
        const home = new ServiceHome(directory());
        const ledger = new Ledger();
        for (let kill = 0; kill < KILLS_A_LOG; kill++) {
          const service = await start(home, { env });
          await ledger.check(service);
          await ledger.sendAgain(service);
          const load = ledger.load(service);
          await after(randomInt(20, 400));
          service.process.kill('SIGKILL');
          await load;
          await service.end('SIGKILL');
        }
        expect(ledger.counts.acknowledged).to.be.greaterThan(100);
        expect(ledger.counts.unanswered).to.be.greaterThan(0);
        await ledger.expectNothingLost(home);
      });
    }
  });

  describe('at a system call', () => {
    needs('strace');

    /**
     * Entries are written and synced by `fdatasync`; directories, and SQLite's files, by `fsync`; checkpoints, sealed
     * segments and what is kept aside of a torn tail come into place by `rename`.
     */
    for (const [call, most] of [
      ['write', rounds(5, 60)],
      ['fdatasync', rounds(6, 60)],
      ['fsync', rounds(8, 20)],
      ['rename', rounds(3, 8)],
    ] as const) {
      it(`from its first ${call} to number ${most}, then it comes back with all that it acknowledged`, async function () {
        this.timeout(most * 10_000);
        const home = new ServiceHome(directory());
        const ledger = new Ledger();
        for (let nth = 1; nth <= most; nth++) {
          const fault = traced(`${call}:signal=KILL:when=${nth}`, call === 'write' ? home.log : undefined);
          const service = await startUnlessKilled(home, fault);
          if (service === undefined) continue;
          await ledger.check(service).catch(unlessKilled);
          await ledger.load(service);
          expect(await service.ended).to.equal('SIGKILL');
        }
        expect(ledger.accounts).to.not.have.length(0);
        await ledger.expectNothingLost(home);
      });
    }

    /** Some of these calls are made before the service listens. */
    const startUnlessKilled = (home: ServiceHome, fault: StartOptions): Promise<RunningService | undefined> =>
      start(home, { ...fault, env: { ...fault.env, ...env } }).catch((error: Error) => {
        expect(error.message).to.match(/^the service ended \(SIGKILL\)/);
        return undefined;
      });

    /** Anything but a finding is the connection that broke. */
    const unlessKilled = (error: unknown): void => {
      if (error instanceof AssertionError) throw error;
    };
  });
});
