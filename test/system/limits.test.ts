/**
 * The unit's limits on memory and processor time, in control groups made by hand: a container can't set them where the
 * host has the first version of the interface.
 *
 * `SYSTEM=long` has a million incidents on record where the short run has twenty thousand.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { HOUR } from '../../src/clock.ts';
import { generateLog } from '../bench/generate-log.ts';
import { availableSettings, Box, envOf } from '../bench/setting.ts';
import { readAll, recordLarge } from '../support/greedy-readers.ts';
import { ROOT, RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { UnitFile } from '../systemd/support/unit-file.ts';

const ON_RECORD = process.env.SYSTEM === 'long' ? 1_000_000 : 20_000;
const REBUILT = 4000;
const REPORTS = 1000;

describe("the recorder within its unit's limits", function limits() {
  this.timeout(3 * HOUR);
  const unit = UnitFile.read();
  const directory = temporaryDirectories();
  let box: Box;
  let service: RunningService | undefined;

  before(function skipWithoutBox() {
    if (!availableSettings().includes('box')) this.skip();
  });

  beforeEach(() => {
    box = Box.make(`incident-recorder-test-${process.pid}`);
  });

  afterEach(async () => {
    await service?.end('SIGKILL');
    service = undefined;
    box.remove();
  });

  const start = async (home: ServiceHome, ...flags: readonly string[]): Promise<RunningService> => {
    service = await RunningService.start(home, {
      env: envOf('jitless'),
      command: [...unit.nodeFlags, ...flags, join(ROOT, 'dist/service.cjs')],
      under: box.entrance,
    });
    return service;
  };

  /** A log of that many incidents, that nobody has read yet. */
  const recorded = async (incidents: number): Promise<{ readonly home: ServiceHome; readonly total: number }> => {
    const home = new ServiceHome(directory());
    const hash = chainHash(readKey(home.key));
    const { statistics } = await generateLog({ incidents, path: home.log, hash });
    return { home, total: statistics.total_incidents };
  };

  /** Sends reports, some at a time, all of which must be recorded. */
  const report = async (to: RunningService, reports: number): Promise<void> => {
    let sent = 0;
    const reporter = async (): Promise<void> => {
      while (sent++ < reports) {
        expect((await to.report({ evidence: { text: 'x'.repeat(600) } })).status).to.equal(201);
      }
    };
    await Promise.all(Array.from({ length: 8 }, reporter));
  };

  it('starts, and records a thousand reports', async () => {
    const began = performance.now();
    const running = await start(new ServiceHome(directory()));
    const started = performance.now();
    await report(running, REPORTS);
    tell(`start ${seconds(started - began)}, ${REPORTS} reports ${seconds(performance.now() - started)}`, running);
    const { threads } = statusOf(running);
    expect(threads).to.be.lessThan(Number(unit.one('TasksMax')));
    expect(await running.end()).to.equal(0);
  });

  it(`reads ${REBUILT} incidents into a new database`, async () => {
    const { home, total } = await recorded(REBUILT);
    const began = performance.now();
    const running = await start(home);
    tell(`rebuild of ${REBUILT} incidents ${seconds(performance.now() - began)}`, running);
    expect((await running.get('/api/v1/stats')).json.total_incidents).to.equal(total);
    expect(await running.end()).to.equal(0);
  });

  it(`starts with ${ON_RECORD} incidents on record, and records a thousand more`, async () => {
    const { home, total } = await recorded(ON_RECORD);
    // The database is made without limits, which is the same and takes less long.
    await (await RunningService.start(home, { command: [join(ROOT, 'dist/service.cjs')] })).end();
    const began = performance.now();
    const running = await start(home);
    const started = performance.now();
    await report(running, REPORTS);
    const reports = `${REPORTS} reports ${seconds(performance.now() - started)}`;
    tell(`start with ${ON_RECORD} on record ${seconds(started - began)}, ${reports}`, running);
    expect((await running.get('/api/v1/incidents')).json.length).to.be.greaterThan(100);
    expect((await running.get('/api/v1/stats')).json.total_incidents).to.equal(total + REPORTS);
    expect(await running.end()).to.equal(0);
  });

  it('outlives readers that ask for as much as they can, and records what is reported meanwhile', async () => {
    const running = await start(new ServiceHome(directory()));
    await recordLarge(running);
    const path = '/api/v1/incidents';
    const readers = [
      ...readAll(running, path, { connections: 8, times: 500 }),
      ...readAll(running, path, { connections: 60, takes: false }),
      ...readAll(running, path, { connections: 60 }),
    ];
    await report(running, 50);
    for (const reader of readers) reader.destroy();
    tell('readers that ask for as much as they can', running);
    expect((await running.get('/api/v1/stats')).json.total_incidents).to.be.above(50);
    expect(await running.end()).to.equal(0);
  });

  it('ends itself when its heap is full, before the kernel would, and loses nothing', async () => {
    const home = new ServiceHome(directory());
    const running = await start(home, '--require', join(import.meta.dirname, 'support/fill-heap.cjs'));
    await report(running, 20);
    const { json } = await running.get('/api/v1/incidents');
    running.process.kill('SIGUSR2');
    expect(await running.ended, 'not SIGKILL, which is what the kernel sends').to.equal('SIGABRT');
    expect(running.errors).to.include('heap limit');
    const restarted = await start(home);
    expect((await restarted.get('/api/v1/incidents')).json).to.deep.equal(json);
  });
});

const statusOf = ({ process }: RunningService): { readonly threads: number; readonly peakMebibytes: number } => {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return { threads: field('Threads'), peakMebibytes: Math.round(field('VmHWM') / 1024) };
};

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;

const tell = (what: string, service: RunningService): void => {
  const { threads, peakMebibytes } = statusOf(service);
  console.info(`      ${what}; peak ${peakMebibytes} MiB, ${threads} threads`);
};
