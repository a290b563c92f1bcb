import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { RecorderClient } from '../../src/client/index.ts';
import { databasePath } from '../../src/projections/database.ts';
import { LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { listeningTargets } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

/** With so many the proof of the database takes much longer than the start waits for it. */
const REPORTS = 1500;

const FREEZE = { class: 'tool_call_burst', source: 's', description: 'd' };

describe('the posture while the database is not proved', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  const listen = listeningTargets();
  let recorded: ServiceHome;
  let held: string;

  const postureFile = ({ log }: ServiceHome): string => `${log}.posture`;
  const fill = async (service: LocalService, reports: number): Promise<void> => {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let n = 0; n < reports / 20; n++) {
          const body = { class: 'forbidden_airlock_request', source: 's', description: `report ${n}` };
          await service.post('/api/v1/incidents/report', body);
        }
      }),
    );
  };
  const edit = ({ log }: ServiceHome, sql: string): void => {
    const database = new DatabaseSync(databasePath(join(log)));
    database.exec(sql);
    database.close();
  };
  const copied = (): ServiceHome => recorded.copyTo(directory());
  const read = async (service: LocalService, action: string) => {
    const { json, headers } = await service.get(`/api/v1/containment/${action}`);
    return { engaged: json.engaged as boolean, verified: json.verified as unknown, etag: headers.etag };
  };
  /** Asks again until it is so; the test's own time-out is the limit. */
  const eventually = async (isSo: () => Promise<boolean>): Promise<void> => {
    while (!(await isSo()));
  };
  const isProved = ({ output }: LocalService): boolean => output.some((line) => line.includes('is verified'));
  const findingsOf = async (service: LocalService): Promise<readonly string[]> =>
    (await service.get('/health')).json.audit.findings.map(({ finding }: { finding: string }) => finding);

  /** A long log, made once, and its posture from before the last entries. */
  before(async function prepare() {
    this.timeout(120_000);
    recorded = new ServiceHome(directory());
    for (const [reports, name] of [
      [REPORTS - 200, 'old'],
      [200, 'before'],
    ] as const) {
      const service = await LocalService.start(recorded);
      await fill(service, reports);
      if (name === 'before') held = (await service.post('/api/v1/incidents/report', FREEZE)).json.id as string;
      await service.stop();
      copyFileSync(postureFile(recorded), join(recorded.directory, `${name}.posture`));
    }
  });

  it('without a signed one is marked, engages at once, and releases nothing for a client until it is', async function test() {
    this.timeout(60_000);
    const home = copied();
    rmSync(postureFile(home));
    const service = await start(home);
    expect(await read(service, 'disable_airlock')).to.deep.equal({ engaged: false, verified: false, etag: undefined });
    expect(await read(service, 'freeze_agent')).to.include({ engaged: true, verified: false });

    const client = new RecorderClient({ url: `http://127.0.0.1:${service.port}`, tokenPath: home.token });
    const stop = new AbortController();
    const next = async (action: 'freeze_agent' | 'disable_airlock') => {
      const { value } = await client.follow(action, { signal: stop.signal }).next();
      return { engaged: value?.engaged, isProved: isProved(service) };
    };
    expect(await next('freeze_agent')).to.deep.equal({ engaged: true, isProved: false });
    expect(await next('disable_airlock')).to.deep.equal({ engaged: false, isProved: true });
    expect(await read(service, 'disable_airlock'))
      .to.include({ engaged: false, verified: undefined })
      .and.property('etag');
    expect(await findingsOf(service)).to.deep.equal([]);
    client.close();
    await service.stop();
    expect(existsSync(postureFile(home))).to.equal(true);
  });

  for (const [what, prepare] of [
    ['signed at the stop', () => {}],
    [
      'signed long before it',
      (home: ServiceHome) => copyFileSync(join(home.directory, 'old.posture'), postureFile(home)),
    ],
  ] as const) {
    it(`${what} is believed at once, with the entries behind it`, async () => {
      const home = copied();
      prepare(home);
      const service = await start(home);
      await eventually(async () => (await read(service, 'disable_airlock')).verified === undefined);
      expect(isProved(service)).to.equal(false);
      expect(await read(service, 'disable_airlock'))
        .to.include({ engaged: false })
        .and.property('etag');
      expect(await read(service, 'freeze_agent')).to.include({ engaged: true, verified: undefined });
      expect(await findingsOf(service)).to.deep.equal([]);
    });
  }

  const foreign = async (): Promise<string> => {
    const other = new ServiceHome(directory());
    const service = await start(other);
    await service.post('/api/v1/incidents/report', { ...FREEZE, class: 'forbidden_airlock_request' });
    await service.stop();
    return readFileSync(postureFile(other), 'utf8');
  };
  const signed = (): string => readFileSync(postureFile(recorded), 'utf8');
  for (const [what, text] of [
    ['edited', () => signed().replace('"freeze_agent":1', '"freeze_agent":0')],
    ['no posture', () => '{}'],
    ['of another log', foreign],
  ] as const) {
    it(`that is ${what} is not believed, and that is a finding`, async () => {
      const home = copied();
      writeFileSync(postureFile(home), await text());
      const service = await start(home);
      expect(await read(service, 'disable_airlock')).to.include({ engaged: false, verified: false });
      await eventually(async () => (await findingsOf(service)).includes('posture_altered'));
      expect(isProved(service)).to.equal(false);
      await service.said('is verified');
      expect(await read(service, 'disable_airlock')).to.include({ engaged: false, verified: undefined });
      await service.stop();
      await home.expectSound();
      const again = await start(home);
      await eventually(async () => (await read(again, 'disable_airlock')).verified === undefined);
    });
  }

  it('is neither signed nor believed without a key', async () => {
    const home = new ServiceHome(directory());
    const env = { AUDIT_HMAC_KEY_PATH: '' };
    const service = await start(home, { env });
    await service.post('/api/v1/incidents/report', FREEZE);
    await service.stop();
    expect(existsSync(postureFile(home))).to.equal(false);
  });

  it('is not released where somebody has edited the database', async () => {
    const home = copied();
    edit(
      home,
      `UPDATE posture SET posture = json_set(posture, '$.holders', 0, '$.counts', json('{}')); DELETE FROM deliveries`,
    );
    const service = await start(home);
    expect(await read(service, 'freeze_agent')).to.deep.equal({ engaged: false, verified: false, etag: undefined });
    await service.stop();
    const signedThen = readFileSync(postureFile(home), 'utf8');
    expect(signedThen).to.include('"freeze_agent":1');
  });

  it('does not keep commands waiting, nor a release that follows from one', async () => {
    const service = await start(copied());
    const { status } = await service.post('/api/v1/incidents/resolve', { id: held, by: 'ada' });
    expect([status, isProved(service)]).to.deep.equal([200, false]);
    await eventually(async () => !(await read(service, 'freeze_agent')).engaged);
    expect(await read(service, 'freeze_agent')).to.include({ verified: undefined });
    expect(isProved(service)).to.equal(false);
  });

  it('sends no release to a target that nobody has asked for', async () => {
    const home = copied();
    const target = await listen();
    const url = target.url('/freeze');
    const policy = join(home.directory, 'policy.json');
    writeFileSync(
      policy,
      JSON.stringify({
        version: 1,
        targets: { freeze_agent: { engage: { url, action: 'freeze' }, release: { url, action: 'unfreeze' } } },
      }),
    );
    const release = {
      incident: held,
      number: 1,
      asked_at: '2026-11-22T07:12:00.123Z',
      delivery: { action: 'freeze_agent', status: 'pending', via: 'push', attempts: 0, waited_ms: 0 },
    };
    edit(
      home,
      `UPDATE posture SET posture = json_set(posture, '$.holders', 0, '$.counts', json('{}'), '$.release', json('${JSON.stringify(release)}'))
      WHERE action = 'freeze_agent'; DELETE FROM deliveries`,
    );
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    await service.said('the database is rebuilt');
    await eventually(async () => (await service.get('/health')).json.status === 'ok');
    expect(await read(service, 'freeze_agent')).to.include({ engaged: true });
    expect(target.received).to.deep.equal([]);
  }).timeout(60_000);
});
