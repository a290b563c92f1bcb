import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import {
  InvalidReport,
  type Recorded,
  RecorderClient,
  ReportSpool,
  type Report,
  type SpoolOptions,
} from '../../src/client/index.ts';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { RunningReporter } from './support/running-reporter.ts';
import { type Answer, Squatter } from './support/squatter.ts';

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

  /** The reports that were kept aside, without their times. */
  const refused = ({ path }: SetUp): object[] =>
    readFileSync(`${path}.refused`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly at: string })
      .map(({ at, ...rest }) => {
        expect(at).to.match(/^\d{4}-\d\d-\d\dT/);
        return rest;
      });

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

  it('keeps aside what the recorder will never take, at once or after it has waited, and continues', async () => {
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
    expect(refused(setting)).to.deep.equal([
      { key: 'bad', status: 400, error: 'refused (400): invalid incident class', report: nonsense },
    ]);
    expect(statSync(`${setting.path}.refused`).mode & 0o777).to.equal(0o600);
    const error = await spool.report(nonsense).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('status', 400);
    expect(spool.waiting).to.equal(0);
  });

  it('refuses what can not be sent before it is spooled', async () => {
    const setting = setUp();
    const spool = await openSpool(setting);
    for (const [report, key] of [
      [REPORT, '注入-1'],
      [{ ...REPORT, evidence: { load: Number.NaN } }, 'nan'],
      [{ ...REPORT, description: ' ' }, 'blank'],
    ] as const) {
      const error = await spool.report(report, key).catch((thrown: unknown) => thrown);
      expect(error, key).to.be.instanceOf(InvalidReport);
    }
    const long = { ...REPORT, description: 'x'.repeat(256 * 1024) };
    expect(await spool.report(long).catch((thrown: unknown) => thrown)).to.be.instanceOf(RangeError);
    expect(spool.waiting).to.equal(0);
  });

  it('keeps aside what an earlier version has spooled and nobody can send', async () => {
    const setting = setUp();
    const [first, last] = ['first', 'last'].map((key) =>
      JSON.stringify({ key, report: { ...REPORT, description: key } }),
    );
    const lines = [first, JSON.stringify({ key: '注入-1', report: REPORT }), '{"key":"da', 'null', last];
    writeFileSync(setting.path, `{"spool":1,"from":${String(35).padStart(15)}}\n${lines.join('\n')}\n`);
    await setting.run();
    const keys: string[] = [];
    const spool = await openSpool(setting, { onRefused: (_report, key) => keys.push(key) });
    await spool.drained();
    expect(recorded(setting)).to.deep.equal(['first', 'last']);
    expect(keys).to.deep.equal(['注入-1', 'damaged', 'damaged']);
    const error = 'the key of a report is 1 to 255 visible ASCII characters';
    expect(refused(setting)).to.deep.equal([
      { key: '注入-1', error, report: REPORT },
      { key: 'damaged', error: 'unknown field "damaged"', report: { damaged: '{"key":"da' } },
      { key: 'damaged', error: 'unknown field "damaged"', report: { damaged: 'null' } },
    ]);
  });

  const html = (status: number, text = '<h1>It works</h1>'): Answer => ({
    status,
    headers: { 'content-type': 'text/html', 'content-length': String(Buffer.byteLength(text)) },
    text,
  });
  const json = (status: number, body: object): Answer => ({ ...html(status, JSON.stringify(body)) });

  for (const [what, answer] of [
    ['a web page', html(200)],
    ['the refusal of a web server', html(400)],
    ['an empty object', json(200, {})],
    ['nothing', html(204, '')],
    ['a redirection', html(302)],
    ['201 for something else', json(201, { id: 'INC-1', class: 'other', source: 'x', version: 1 })],
    ['a refusal of the method', json(405, { error: 'method not allowed' })],
    ['that there is no such path', json(404, { error: 'no such path' })],
    ['that the client is not allowed', json(401, { error: 'who are you' })],
  ] as const) {
    it(`keeps reports while another server answers with ${what}, even when no proof is asked for`, async () => {
      const setting = setUp();
      const squatter = await Squatter.listen(join(setting.home.directory, 'socket'), { answer: async () => answer });
      open.push(squatter);
      const client = new RecorderClient({ url: setting.url, tokenPath: setting.home.token, prove: false });
      const spool = await ReportSpool.open(client, { path: setting.path });
      open.push(spool, client);
      expect((await spool.report(REPORT, 'a')).outcome).to.equal('spooled');
      while (squatter.asked.length < 3) await wait(20);
      expect(spool.waiting).to.be.greaterThan(0);
      expect(existsSync(`${setting.path}.refused`)).to.equal(false);
      await squatter.close();
      await setting.run();
      await spool.drained();
      expect(recorded(setting)).to.deep.equal(['a burst']);
    });
  }

  it('keeps reports while the client has no token', async () => {
    const setting = setUp();
    await setting.run();
    const first = await openSpool({ ...setting, url: 'unix:/nowhere' });
    await first.report(REPORT, 'a');
    await first.close();
    const client = new RecorderClient({ url: setting.url });
    const spool = await ReportSpool.open(client, { path: setting.path });
    open.push(spool, client);
    expect((await spool.report({ ...REPORT, description: 'b' })).outcome).to.equal('spooled');
    expect(spool.lastError?.message).to.include('no token');
    await spool.close();
    await (await openSpool(setting)).drained();
    expect(recorded(setting)).to.deep.equal(['a burst', 'b']);
  });

  it('keeps the newest of those that were refused, in bounded room', async () => {
    const setting = setUp();
    await setting.run();
    const maxBytes = 2000;
    for (let round = 0; round < 4; round++) {
      const away = await openSpool({ ...setting, url: 'unix:/nowhere' }, { maxBytes });
      for (let number = 0; number < 5; number++) {
        await away.report({ ...REPORT, class: 'nonsense' as never }, `${round}-${number}`);
      }
      await away.close();
      const spool = await openSpool(setting, { maxBytes, onRefused: () => {} });
      await spool.drained();
      await spool.close();
    }
    const files = [`${setting.path}.refused`, `${setting.path}.refused.old`];
    for (const file of files) expect(statSync(file).size).to.be.at.most(maxBytes / 2);
    expect(refused(setting).at(-1)).to.include({ key: '3-4' });
  });

  it('refuses a directory in which others can write', async () => {
    const setting = setUp();
    chmodSync(setting.home.directory, 0o777);
    const error = await openSpool(setting).catch((thrown: unknown) => thrown);
    chmodSync(setting.home.directory, 0o700);
    expect(error).to.include({ name: 'SpoolError', fault: 'unsafe' });
    expect(existsSync(`${setting.path}.lock`)).to.equal(false);
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

  it('records or keeps aside each report, whenever the reporter is killed', async () => {
    const setting = setUp();
    const keys = Array.from({ length: 40 }, (_, number) => `${number}`);
    const lines = keys.map((key) => {
      const name = Number(key) % 2 === 0 ? REPORT.class : 'nonsense';
      return JSON.stringify({ key, report: { ...REPORT, class: name, description: key } });
    });
    writeFileSync(setting.path, `{"spool":1,"from":${String(35).padStart(15)}}\n${lines.join('\n')}\n`);
    await setting.run();
    for (let round = 0; round < 5; round++) {
      const reporter = await spawnReporter(setting);
      await wait(Math.random() * 40);
      await reporter.kill();
    }
    await (await openSpool(setting, { onRefused: () => {} })).drained();
    expect(recorded(setting)).to.deep.equal(keys.filter((key) => Number(key) % 2 === 0));
    const aside = refused(setting).map((one) => (one as { readonly key: string }).key);
    // One that was kept aside just before the end is kept aside once more.
    expect([...new Set(aside)]).to.deep.equal(keys.filter((key) => Number(key) % 2 === 1));
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
    await setting.home.expectSound();
  });
});
