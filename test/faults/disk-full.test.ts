import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { Ledger } from './support/ledger.ts';
import { mounts } from './support/mounts.ts';
import { needs } from './support/needs.ts';
import { until } from './support/until.ts';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

describe('given a disk that becomes full', () => {
  const start = runningServices();
  const mounted = mounts();
  needs('mount', 'loop');

  /** Something else that takes room, and leaves a little for the service. */
  const ballastIn = (directory: string, bytes: number): string => {
    const path = join(directory, 'ballast');
    writeFileSync(path, Buffer.alloc(bytes));
    return path;
  };

  for (const [what, mount, ballastBytes] of [
    ['a tmpfs of 1 MiB', () => mounted.tmpfs(MEBIBYTE), 440 * KIBIBYTE],
    ['an ext4 of 8 MiB', () => mounted.ext4(), 5 * MEBIBYTE],
  ] as const) {
    describe(what, () => {
      it('then it refuses, shows what it has, and goes on by itself when there is room', async () => {
        const home = new ServiceHome(mount());
        const ballast = ballastIn(home.directory, ballastBytes);
        const service = await start(home);
        const ledger = new Ledger(600);
        await ledger.load(service, () => ledger.counts.refused < 40);
        expect(ledger.counts.acknowledged).to.be.greaterThan(10);
        expect(ledger.counts.unanswered).to.equal(0);

        const health = await service.get('/health');
        expect(health.status).to.equal(503);
        expect(health.json.status).to.equal('degraded');
        expect(health.json.reasons.join()).to.match(/ENOSPC|full/);
        expect((await service.get('/api/v1/incidents?limit=10')).json).to.have.length(10);
        await home.expectSound();

        rmSync(ballast);
        const since = performance.now();
        await until(async () => (await service.get('/health')).status === 200);
        expect(performance.now() - since).to.be.lessThan(5000);
        const { acknowledged } = ledger.counts;
        await ledger.load(service, () => ledger.counts.acknowledged < acknowledged + 20);
        await ledger.check(service);
        expect(await service.end()).to.equal(0);
        await ledger.expectNothingLost(home);
      });

      it('and killed then, then it comes back, shows what it has, and goes on when there is room', async () => {
        const home = new ServiceHome(mount());
        const ballast = ballastIn(home.directory, ballastBytes);
        const first = await start(home);
        const ledger = new Ledger(600);
        await ledger.load(first, () => ledger.counts.refused < 40);
        await first.end('SIGKILL');

        const service = await start(home);
        // What was cut off or undone may leave room for a few more.
        const { refused } = ledger.counts;
        await ledger.load(service, () => ledger.counts.refused < refused + 20);
        const { status, total_incidents: known } = (await service.get('/health')).json;
        expect(status).to.equal('degraded');
        // SQLite may have had room for a few of them only: they are in the log, and nobody says that they are not there.
        expect((await service.get('/api/v1/incidents?limit=10')).json).to.have.length(Math.min(10, known));
        for (const { id } of ledger.accounts.flatMap(({ incident }) => incident ?? [])) {
          expect((await service.get(`/api/v1/incidents/get?id=${id}`)).status).to.be.oneOf([200, 503]);
        }
        rmSync(ballast);
        await until(async () => (await service.get('/health')).status === 200);
        await ledger.check(service);
        expect(await service.end()).to.equal(0);
        await ledger.expectNothingLost(home);
      });
    });
  }
});
