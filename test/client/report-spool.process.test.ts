import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { type Recorded, RecorderClient, ReportSpool, type Report, type SpoolOptions } from '../../src/client/index.ts';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { RunningReporter } from './support/running-reporter.ts';

const REPORT: Report = { class: 'tool_call_burst', source: 'tool-firewall', description: 'a burst' };

describe('ReportSpool', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  const open: { close(): unknown }[] = [];

  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });

  const setUp = () => {
    const home = new ServiceHome(directory());
    const url = `unix:${join(home.directory, 'socket')}`;
    const path = join(home.directory, 'reports.spool');
    return { home, url, path, run: () => start(home, { env: { BIND_ADDR: url } }) };
  };

  type SetUp = ReturnType<typeof setUp>;

  const openSpool = async ({ home, url, path }: SetUp, options: Partial<SpoolOptions> = {}) => {
    const client = new RecorderClient({ url, tokenPath: home.token, timeout: 10_000 });
    const spool = await ReportSpool.open(client, { path, ...options });
    open.push(spool, client);
    return spool;
  };

  /** A reporter in its own process, which ends after the test. */
  const spawnReporter = async ({ home, url, path }: SetUp): Promise<RunningReporter> => {
    const reporter = new RunningReporter(url, home.token, path);
    open.push({ close: () => reporter.kill() });
    await reporter.says((line) => line === 'ready');
    return reporter;
  };

  /** The reports in the log, in order. */
  const recorded = ({ home }: SetUp): string[] =>
    readFileSync(home.log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"event":"incident.reported"'))
      .map((line) => (JSON.parse(line) as { data: { report: { description: string } } }).data.report.description);

  it('reports at once while the recorder is reachable', async () => {
    const setting = setUp();
    await setting.run();
    const spool = await openSpool(setting);
    const { outcome } = await spool.report(REPORT);
    expect(outcome).to.equal('created');
    expect(spool.waiting).to.equal(0);
  });

  it('keeps reports while the recorder is unreachable, and delivers them once and in order', async () => {
    const setting = setUp();
    const delivered: [string, Recorded['outcome']][] = [];
    const spool = await openSpool(setting, { onDelivered: (key, { outcome }) => delivered.push([key, outcome]) });
    for (const key of ['a', 'b', 'c']) {
      expect(await spool.report({ ...REPORT, description: key }, key)).to.deep.equal({ outcome: 'spooled', key });
    }
    expect(spool.waiting).to.be.greaterThan(0);
    expect(spool.lastError).to.have.property('name', 'NotReachable');
    await setting.run();
    await spool.drained();
    expect(recorded(setting)).to.deep.equal(['a', 'b', 'c']);
    expect(delivered).to.deep.equal([
      ['a', 'created'],
      ['b', 'created'],
      ['c', 'created'],
    ]);
    expect(spool.lastError).to.equal(undefined);
    expect((await spool.report(REPORT)).outcome).to.equal('created');
  });

  it('drops what the recorder will never take, at once or after it has waited, and continues', async () => {
    const setting = setUp();
    const refusals: [string, string][] = [];
    const spool = await openSpool(setting, {
      onRefused: (_report, key, { message }) => refusals.push([key, message]),
    });
    const nonsense = { ...REPORT, class: 'nonsense' as never };
    await spool.report(nonsense, 'bad');
    await spool.report(REPORT, 'good');
    await setting.run();
    await spool.drained();
    expect(refusals).to.deep.equal([['bad', 'refused (400): invalid incident class']]);
    expect(recorded(setting)).to.deep.equal(['a burst']);
    const error = await spool.report(nonsense).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('status', 400);
    expect(spool.waiting).to.equal(0);
  });

  it('waits until an operator has corrected the token', async () => {
    const setting = setUp();
    await setting.run();
    const right = readFileSync(setting.home.token);
    const own = join(setting.home.directory, 'own-token');
    writeFileSync(own, 'a-wrong-token-0123456789');
    const client = new RecorderClient({ url: setting.url, tokenPath: own });
    const spool = await ReportSpool.open(client, { path: setting.path });
    open.push(spool, client);
    expect((await spool.report(REPORT)).outcome).to.equal('spooled');
    writeFileSync(own, right);
    await spool.drained();
    expect(recorded(setting)).to.deep.equal(['a burst']);
  });

  it('refuses reports at its limit, and says so', async () => {
    const setting = setUp();
    const spool = await openSpool(setting, { maxBytes: 1000 });
    const outcomes: string[] = [];
    for (let number = 0; number < 20; number++) {
      outcomes.push(
        await spool.report({ ...REPORT, description: `${number}` }).then(
          ({ outcome }) => outcome,
          (error: Error) => error.message,
        ),
      );
    }
    const kept = outcomes.filter((outcome) => outcome === 'spooled').length;
    expect(kept).to.be.within(4, 10);
    expect(outcomes[kept]).to.match(/reports\.spool is full: \d+ bytes of reports wait for the recorder/);
    await setting.run();
    await spool.drained();
    expect(recorded(setting)).to.deep.equal(Array.from({ length: kept }, (_, number) => `${number}`));
  });

  it('has only one owner', async () => {
    const setting = setUp();
    const spool = await openSpool(setting);
    const second = await openSpool(setting).catch((error: unknown) => error);
    expect(second).to.include({ name: 'SpoolError', fault: 'in_use' });
    expect((second as Error).message).to.match(/^process \d+ reports through .* already/);
    await spool.close();
    await openSpool(setting);
  });

  it('keeps reports that arrive while it is closed', async () => {
    const setting = setUp();
    const service = await setting.run();
    service.process.kill('SIGSTOP');
    const spool = await openSpool(setting);
    const reported = spool.report(REPORT);
    await spool.close();
    expect(await reported).to.include({ outcome: 'spooled' });
    service.process.kill('SIGCONT');
    await (await openSpool(setting)).drained();
    expect(recorded(setting)).to.deep.equal(['a burst']);
  });

  it('delivers after the reporter was killed and started again', async () => {
    const setting = setUp();
    const first = await spawnReporter(setting);
    for (const number of [1, 2, 3]) first.report(number);
    await first.says((line) => line === '3 spooled');
    await first.kill();
    const second = await spawnReporter(setting);
    second.report(4);
    await second.says((line) => line === '4 spooled');
    await setting.run();
    expect(await second.finish()).to.equal(0);
    expect(recorded(setting)).to.deep.equal(['1', '2', '3', '4']);
  });

  it('records each report once and in order, whichever process is killed at any time', async () => {
    const setting = setUp();
    const last = 150;
    let reporter = await spawnReporter(setting);
    let service = await setting.run();
    let next = 1;
    for (let round = 0; round < 6; round++) {
      const until = round === 5 ? last : next + 25;
      for (let number = next; number <= until; number++) reporter.report(number);
      await wait(Math.random() * 60);
      if (round % 2 === 0) {
        await service.end('SIGKILL');
        await wait(Math.random() * 60);
        service = await setting.run();
        await reporter.says((line) => line.startsWith(`${until} `));
      } else if (round < 5) {
        await reporter.kill();
        reporter = await spawnReporter(setting);
      }
      // Reports that were not confirmed are sent again, with the same key.
      next = Math.max(next - 1, ...reporter.taken) + 1;
    }
    for (let number = next; number <= last; number++) reporter.report(number);
    expect(await reporter.finish()).to.equal(0);
    const expected = Array.from({ length: last }, (_, index) => String(index + 1));
    expect(recorded(setting)).to.deep.equal(expected);
    expect((await setting.home.verify()).damage).to.equal(undefined);
  });
});
