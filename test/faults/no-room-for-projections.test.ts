import { copyFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { databasePath } from '../../src/projections/database.ts';
import { RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { mounts } from './support/mounts.ts';
import { until } from './support/until.ts';
import { needs } from './support/needs.ts';
import { expectSameTables, readTables } from './support/tables.ts';

const REPORTS = 6000;
const MEBIBYTE = 1024 * 1024;
const SEGMENTS = { AUDIT_SEGMENT_BYTES: String(2 * MEBIBYTE) };

describe('given a log whose database must be rebuilt and has no room', () => {
  needs('mount');
  const start = runningServices();
  const mounted = mounts();
  const directory = temporaryDirectories();
  let recorded: ServiceHome;

  before(async function record() {
    recorded = new ServiceHome(directory());
    const service = await RunningService.start(recorded, { env: SEGMENTS });
    const description = 'x'.repeat(300);
    for (let made = 0; made < REPORTS; made += 100)
      await Promise.all(Array.from({ length: 100 }, () => service.report({ description })));
    // The last entry that a rebuild reads: it engages `disable_airlock`.
    await service.report({ class: 'attestation_failure' });
    expect(await service.end()).to.equal(0);
  });

  const logFiles = (of: string): readonly string[] => readdirSync(of).filter((name) => !name.includes('.sqlite'));
  const copyLog = (from: string, to: string): void => {
    for (const name of logFiles(from)) copyFileSync(join(from, name), join(to, name));
  };
  const descriptors = ({ process }: RunningService): number => readdirSync(`/proc/${process.pid}/fd`).length;

  it('then the posture is refused until all of it is known, and in the end it is known', async () => {
    const size = logFiles(recorded.directory).reduce(
      (sum, name) => sum + statSync(join(recorded.directory, name)).size,
      0,
    );
    const place = mounted.tmpfs(size + 3 * MEBIBYTE);
    copyLog(recorded.directory, place);
    const home = new ServiceHome(place);
    const service = await start(home, { env: SEGMENTS, whileReading: true });
    const health = async () => (await service.get('/health')).json;
    // How far it is with reading, and why it does not go on.
    const fault = /^reading the log, \d+ %: database or disk is full$/;
    await until(async () => fault.test((await health()).reasons[0]));
    expect((await health()).status).to.equal('degraded');

    const directive = { action: 'disable_airlock', directive: 'release', observed: 'released' };
    for (const { status, json } of [
      await service.get('/api/v1/containment'),
      await service.get('/api/v1/containment/disable_airlock'),
      await service.post('/api/v1/containment/confirm', directive),
    ]) {
      expect(status).to.equal(503);
      expect(json.error).to.match(fault);
    }
    const retry = await service.post('/api/v1/containment/retry', { action: 'disable_airlock' });
    expect(retry.status).to.equal(503);
    expect(retry.json.error).to.match(/^the log is being read: whether there was an access file is not known yet$/);
    // For a report the log is enough.
    expect((await service.report()).status).to.equal(201);

    const before = descriptors(service);
    mounted.remount(place, `size=${size * 10}`);
    while ((await health()).status !== 'ok') {
      // Each heartbeat finds it under way and begins nothing of its own.
      expect(descriptors(service)).to.be.at.most(before + 3);
      await pause(20);
    }
    expect((await health()).total_incidents).to.equal(REPORTS + 2);
    expect((await service.get('/api/v1/containment/disable_airlock')).json).to.include({ engaged: true, holders: 1 });
    expect((await service.report()).status).to.equal(201);
    expect(await service.end()).to.equal(0);
    await home.expectSound();

    const rebuilt = new ServiceHome(directory());
    copyLog(place, rebuilt.directory);
    const again = await start(rebuilt, { env: SEGMENTS });
    expect(await again.end()).to.equal(0);
    expectSameTables(readTables(databasePath(rebuilt.log)), readTables(databasePath(home.log)));
  });
});
