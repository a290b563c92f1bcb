import { randomInt } from 'node:crypto';
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { text as allOf } from 'node:stream/consumers';
import { setTimeout as after } from 'node:timers/promises';
import { AssertionError, expect } from 'chai';
import { HARDENED_NODE } from '../../src/build/hardened-node.ts';
import { spawnCommand } from '../cli/support/command-line.ts';
import { putLoad, requestBytes } from '../bench/load.ts';
import { type RunningService, runningServices, ServiceHome, TOKEN, ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { rounds } from './support/length.ts';
import { mostOwned } from './support/memory.ts';
import { mounts } from './support/mounts.ts';
import { needs } from './support/needs.ts';
import { traced } from './support/traced.ts';
import { until } from './support/until.ts';

const KILLS = 12;
const MEBIBYTE = 1024 * 1024;
/** Small enough that segments are sealed all the time. */
const env = { AUDIT_SEGMENT_BYTES: '65536' };
/** In MiB: a hardened host's 128 hold pages of files as well. */
const MOST_FOR_BATCHES = 100;

describe('given batches of reports', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  for (let run = 1; run <= rounds(1, 8); run++) {
    it(`when the service is killed at random instants, then it comes back with all that it acknowledged (log ${run})`, async function () {
      this.timeout(120_000);
      const home = new ServiceHome(directory());
      const ledger = new Ledger(1000);
      for (let kill = 0; kill < KILLS; kill++) {
        const service = await start(home, { env });
        await ledger.check(service);
        await ledger.sendAgainTogether(service);
        const load = ledger.loadBatches(service);
        await after(randomInt(20, 300));
        service.process.kill('SIGKILL');
        await load;
        await service.end('SIGKILL');
      }
      expect(ledger.counts.acknowledged).to.be.greaterThan(20);
      expect(ledger.counts.unanswered).to.be.greaterThan(0);
      await ledger.expectNothingLost(home);
    });
  }

  describe('when the service is killed', () => {
    needs('strace');

    for (const [call, most] of [
      ['write', rounds(4, 40)],
      ['fdatasync', rounds(4, 40)],
    ] as const) {
      it(`at its first ${call} to number ${most}, then it comes back with all that it acknowledged`, async function () {
        this.timeout(most * 10_000);
        const home = new ServiceHome(directory());
        const ledger = new Ledger(1000);
        for (let nth = 1; nth <= most; nth++) {
          const fault = traced(`${call}:signal=KILL:when=${nth}`, call === 'write' ? home.log : undefined);
          const service = await start(home, { ...fault, env: { ...fault.env, ...env } }).catch(() => undefined);
          if (service === undefined) continue;
          await ledger.check(service).catch((error: unknown) => {
            // Anything but a finding is the connection that broke.
            if (error instanceof AssertionError) throw error;
          });
          await ledger.loadBatches(service);
          expect(await service.ended).to.equal('SIGKILL');
        }
        expect(ledger.accounts).to.not.have.length(0);
        await ledger.expectNothingLost(home);
      });
    }
  });

  describe('when the disk becomes full', () => {
    const mounted = mounts();
    needs('mount', 'loop');

    it('then nothing of a refused batch is recorded, and it goes on by itself when there is room', async () => {
      const home = new ServiceHome(mounted.tmpfs(4 * MEBIBYTE));
      const ballast = join(home.directory, 'ballast');
      writeFileSync(ballast, Buffer.alloc(3 * MEBIBYTE));
      const service = await start(home);
      const ledger = new Ledger(300);
      await ledger.loadBatches(service, () => ledger.counts.refused < 20, [20, 7]);
      expect(ledger.counts.acknowledged).to.be.greaterThan(2);
      expect(ledger.counts.unanswered).to.equal(0);
      expect((await service.get('/health')).status).to.equal(503);
      await home.expectSound();
      rmSync(ballast);
      await until(async () => (await service.get('/health')).status === 200);
      await ledger.check(service);
      const { acknowledged } = ledger.counts;
      await ledger.loadBatches(service, () => ledger.counts.acknowledged < acknowledged + 2, [20, 7]);
      await ledger.check(service);
      expect(await service.end()).to.equal(0);
      await ledger.expectNothingLost(home);
    });

    it('then `report --batch` tries again until there is room, and has each line recorded once', async () => {
      const home = new ServiceHome(mounted.tmpfs(4 * MEBIBYTE));
      const service = await start(home);
      const ballast = join(home.directory, 'ballast');
      const file = openSync(ballast, 'w');
      expect(() => writeSync(file, Buffer.alloc(4 * MEBIBYTE)) && writeSync(file, 'more')).to.throw('ENOSPC');
      closeSync(file);
      const lines = spawnCommand(['report', '--batch'], {
        INCIDENT_RECORDER_URL: `http://127.0.0.1:${service.port}`,
        INCIDENT_RECORDER_TOKEN_PATH: home.token,
      });
      const said = allOf(lines.stderr);
      lines.stdout.resume();
      for (const n of [1, 2, 3])
        lines.stdin.write(`{"class":"prompt_injection","source":"s","description":"${n}${'d'.repeat(2000)}"}\n`);
      lines.stdin.end();
      await after(1000);
      expect(lines.exitCode).to.equal(null);
      rmSync(ballast);
      expect(await said).to.equal('3 reports: 3 created, 0 on record already, 0 refused\n');
      expect((await service.get('/api/v1/stats')).json).to.include({ total_incidents: 3 });
      await service.end();
      await home.expectSound();
    });
  });

  describe('on the hardened host', () => {
    const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' };
    const batchOf = (count: number, bytes: number, more = '') =>
      `[${Array.from({ length: count }, () => reportOf(bytes, more)).join()}]`;
    const reportOf = (bytes: number, more: string) =>
      `{"class":"prompt_injection","source":"flood","description":"much"${more},"evidence":{"much":${evidence(bytes)}}}`;
    let evidence: (bytes: number) => string;

    const hardened = (home: ServiceHome): Promise<RunningService> =>
      start(home, { env: HARDENED_NODE.env, command: [...HARDENED_NODE.flags, join(ROOT, 'dist/service.cjs')] });

    for (const [what, count, bytes, connections, of] of [
      ['usual reports', 50, 300, 16, (length: number) => `"${'x'.repeat(length)}"`],
      ['100 large reports', 100, 2300, 64, (length: number) => `"${'x'.repeat(length)}"`],
      [
        '100 large reports with two bytes a character',
        100,
        2300,
        64,
        (length: number) => `"${'ж'.repeat(length / 2)}"`,
      ],
      ['100 reports full of empty objects', 100, 2300, 64, (length: number) => `[${'{},'.repeat(length / 3)}{}]`],
      ['100 reports full of numbers', 100, 2300, 64, (length: number) => `[${'9e15,'.repeat(length / 5)}0]`],
      ['the longest report', 1, 260_000, 64, (length: number) => `[${'{},'.repeat(length / 3)}{}]`],
    ] as const) {
      it(`${what} on ${connections} connections take less than ${MOST_FOR_BATCHES} MiB`, async function () {
        this.timeout(120_000);
        evidence = of;
        const home = new ServiceHome(directory());
        const service = await hardened(home);
        const requests = [requestBytes('POST', '/api/v1/incidents/reports', headers, batchOf(count, bytes))];
        const seen = await putLoad({ port: service.port, requests, connections, duration: 4000 });
        expect(seen.answers - seen.refused).to.be.greaterThan(0);
        expect(mostOwned(service)).to.be.at.most(MOST_FOR_BATCHES);
        expect((await service.report()).status).to.equal(201);
        expect(await service.end()).to.equal(0);
        await home.expectSound();
      });
    }

    it('occurrences of the longest incidents take less, each batch as many as fit', async function () {
      this.timeout(120_000);
      evidence = (length) => `[${'{},'.repeat(length / 3)}{}]`;
      const home = new ServiceHome(directory());
      const service = await hardened(home);
      const keyed = (n: number): string => `,"dedup_key":"k${n}"`;
      for (let n = 0; n < 40; n++) {
        const body = `[${reportOf(250_000, keyed(n))}]`;
        const { status, text } = await service.post('/api/v1/incidents/reports', body);
        expect(status, text.slice(0, 200)).to.equal(200);
      }
      const repeats = `[${Array.from({ length: 100 }, (_, n) => reportOf(10, keyed(n % 40))).join()}]`;
      const requests = [requestBytes('POST', '/api/v1/incidents/reports', headers, repeats)];
      const seen = await putLoad({ port: service.port, requests, connections: 16, duration: 4000 });
      expect(seen.answers - seen.refused).to.be.greaterThan(0);
      expect(mostOwned(service)).to.be.at.most(MOST_FOR_BATCHES);
      expect((await service.report()).status).to.equal(201);
      expect(await service.end()).to.equal(0);
      await home.expectSound();
    });
  });
});
