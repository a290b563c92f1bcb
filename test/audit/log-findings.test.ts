import {
  copyFileSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { sealedPath, findSealed } from '../../src/audit/segments.ts';
import type { Entry } from '../../src/domain/entries.ts';
import { localServices, type LocalService } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'tool_call_burst', source: 'tool-firewall', description: 'a test' };

describe('what is found wrong with the log', () => {
  const directory = temporaryDirectories();
  const start = localServices();

  /** The files of a service that has recorded a few incidents and stopped. */
  const recorded = async (env: Record<string, string> = {}): Promise<ServiceHome> => {
    const home = new ServiceHome(directory());
    const service = await start(home, { env });
    for (let n = 0; n < 8; n++) await report(service);
    await service.stop();
    return home;
  };
  const report = async (service: LocalService): Promise<void> => {
    expect((await service.post('/api/v1/incidents/report', REPORT)).status).to.equal(201);
  };
  const entriesOf = (home: ServiceHome): readonly Entry[] =>
    readFileSync(home.log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Entry);
  const forgetDatabase = (home: ServiceHome): void => {
    for (const name of readdirSync(home.directory)) if (name.includes('.sqlite')) rmSync(join(home.directory, name));
  };
  const health = async (service: LocalService) => {
    const { status, json } = await service.get('/health');
    return { ...json, status } as {
      readonly status: number;
      readonly warnings: readonly string[];
      readonly audit: { readonly findings: readonly { readonly finding: string }[] };
    };
  };
  const findingsOf = async (service: LocalService): Promise<readonly string[]> =>
    (await health(service)).audit.findings.map(({ finding }) => finding);
  const acknowledge = (service: LocalService, finding: string) =>
    service.post('/api/v1/log/acknowledge-damage', { finding, by: 'ada', note: 'seen' });

  const SEGMENTED = { AUDIT_SEGMENT_BYTES: '1024' };

  const ABSENCES: readonly [
    what: string,
    takeAway: (home: ServiceHome) => Promise<void> | void,
    finding: RegExp,
    env?: Record<string, string>,
  ][] = [
    ['the checkpoint', (home) => rmSync(`${home.log}.checkpoint`), /^checkpoint_missing$/],
    [
      'the end of the log, renamed to a segment, with checkpoint and database',
      (home) => {
        const lines = readFileSync(home.log, 'utf8').split('\n');
        writeFileSync(sealedPath(home.log, 1), `${lines.slice(0, 7).join('\n')}\n`);
        for (const path of [home.log, `${home.log}.checkpoint`]) rmSync(path);
        forgetDatabase(home);
      },
      /^checkpoint_missing$/,
    ],
    [
      'the newest segment and the log, with checkpoint and database',
      async (home) => {
        const newest = (await findSealed(home.log)).at(-1)!;
        for (const path of [newest.path, home.log, `${home.log}.checkpoint`]) rmSync(path);
        forgetDatabase(home);
      },
      /^checkpoint_missing$/,
      SEGMENTED,
    ],
    [
      'a segment',
      async (home) => {
        rmSync((await findSealed(home.log))[1]!.path);
        forgetDatabase(home);
      },
      /^entries_missing:\d+-\d+$/,
      SEGMENTED,
    ],
    [
      'a segment that the database knows',
      async (home) => rmSync((await findSealed(home.log))[1]!.path),
      /^entries_missing:\d+-\d+$/,
      SEGMENTED,
    ],
    [
      'the first segment',
      async (home) => {
        rmSync((await findSealed(home.log))[0]!.path);
        forgetDatabase(home);
      },
      /^entries_missing:1-\d+$/,
      SEGMENTED,
    ],
  ];

  for (const [what, takeAway, name, env = {}] of ABSENCES) {
    describe(`given a log without ${what}`, () => {
      it('then it is said at every start until somebody acknowledges it, and reports go on', async () => {
        const home = await recorded(env);
        await takeAway(home);
        let finding = '';
        for (let starts = 0; starts < 3; starts++) {
          const service = await start(home, { env });
          await service.said('the audit log is verified').catch(() => {});
          [finding = ''] = await findingsOf(service);
          expect(finding, `start ${starts + 1}`).to.match(name);
          const { status, warnings } = await health(service);
          expect(status).to.equal(200);
          expect(warnings.join('\n')).to.include(`acknowledge-damage ${finding}`);
          await report(service);
          await service.stop();
          // The record of it is in the log, not in the database.
          if (starts === 1) forgetDatabase(home);
        }
        const service = await start(home, { env });
        expect((await acknowledge(service, finding)).json).to.deep.equal({ acknowledged: [finding] });
        expect(await findingsOf(service)).to.deep.equal([]);
        expect((await acknowledge(service, finding)).status).to.equal(404);
        await service.stop();
        const again = await start(home, { env });
        expect(await findingsOf(again)).to.deep.equal([]);
        await again.stop();
        const all = await allEntries(home);
        const events = all.map(({ event }) => event);
        expect(events.filter((event) => event === 'log.damage_found')).to.have.length(1);
        const alerts = all.filter((entry) => entry.event === 'alert.raised' && 'finding' in entry.data);
        expect(alerts.map(({ data }) => (data as { finding?: string }).finding)).to.deep.equal([finding]);
        const acknowledgement = all.find(({ event }) => event === 'log.damage_acknowledged');
        expect(acknowledgement?.data).to.include({ finding, by: 'ada', note: 'seen' });
      });
    });
  }

  const allEntries = async (home: ServiceHome): Promise<readonly Entry[]> => {
    const files = [...(await findSealed(home.log)).map(({ path }) => path), home.log];
    return files
      .flatMap((path) => readFileSync(path, 'utf8').split('\n').slice(0, -1))
      .map((line) => JSON.parse(line) as Entry);
  };

  it('signs that there was a checkpoint only where one was read', async () => {
    const home = await recorded();
    rmSync(`${home.log}.checkpoint`);
    renameSync(home.log, sealedPath(home.log, 1));
    forgetDatabase(home);
    await (await start(home)).stop();
    const started = entriesOf(home).find(({ event }) => event === 'service.started');
    expect(started?.data).to.include({ checkpoint: 'absent' });
  });

  it('of a log that was cut while it was written is kept, with the incidents in the database', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    await report(service);
    truncateSync(home.log);
    await report(service);
    const [finding = ''] = await findingsOf(service);
    expect(finding).to.match(/^entries_lost:1-\d+$/);
    expect((await service.get('/api/v1/incidents')).json).to.have.length(2);
    await service.stop();
    for (let starts = 0; starts < 2; starts++) {
      const again = await start(home);
      await again.said('the audit log is verified');
      expect(await findingsOf(again)).to.deep.equal([finding]);
      expect((await again.get('/api/v1/incidents')).json).to.have.length(2 + starts);
      await report(again);
      await again.stop();
    }
    forgetDatabase(home);
    const rebuilt = await start(home);
    expect(await findingsOf(rebuilt)).to.deep.equal([finding]);
    expect((await rebuilt.get('/api/v1/incidents')).json).to.have.length(3);
    expect((await acknowledge(rebuilt, 'entries_lost')).json).to.deep.equal({ acknowledged: [finding] });
  });

  for (const first of [1, 5, 900]) {
    it(`is a file with the name of a segment that begins with entry ${first}, at the next start as in \`verify\``, async () => {
      const home = await recorded();
      const path = sealedPath(home.log, first);
      writeFileSync(path, 'something else\n');
      const service = await start(home);
      const { status, json } = await service.get('/health');
      expect(status).to.equal(503);
      expect(json.reasons[0]).to.include(basename(path));
      await service.stop();
      rmSync(path);
      expect(await health(await start(home))).to.include({ status: 200 });
    });
  }

  it('cannot be acknowledged away when lines do not verify', async () => {
    const home = await recorded();
    const text = readFileSync(home.log, 'utf8');
    writeFileSync(home.log, text.replace('a test', 'A test'));
    forgetDatabase(home);
    const service = await start(home);
    expect((await health(service)).status).to.equal(503);
    const { status, json } = await acknowledge(service, 'entry_altered');
    expect(status).to.equal(503);
    expect(json.error).to.match(/no acknowledgement makes that pass/);
    expect((await health(service)).status).to.equal(503);
  });

  it('while it runs stays found after a restart, and is said when it is mended', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const { json } = await service.post('/api/v1/incidents/report', REPORT);
    for (let n = 0; n < 4; n++) await report(service);
    const good = readFileSync(home.log, 'utf8');
    writeFileSync(home.log, good.replace('a test', 'A test'), { flag: 'r+' });
    const { status, text } = await service.get(`/api/v1/incidents/history?id=${json.id}`);
    expect(status).to.equal(503);
    expect(text).to.match(/does not hold entry 2 as it was written/);
    expect(await health(service)).to.include({ status: 503 });
    expect((await service.post('/api/v1/incidents/report', REPORT)).status).to.equal(503);
    await service.stop();
    for (let starts = 0; starts < 2; starts++) {
      const again = await start(home);
      expect(await health(again), `start ${starts + 1}`).to.include({ status: 503 });
      await again.stop();
    }
    const damaged = readFileSync(home.log, 'utf8');
    writeFileSync(home.log, damaged.replace('A test', 'a test'), { flag: 'r+' });
    for (let starts = 0; starts < 2; starts++) {
      const mended = await start(home);
      const now = await health(mended);
      expect(now, JSON.stringify(now)).to.include({ status: 200 });
      expect(await findingsOf(mended)).to.deep.equal(['log_mended']);
      await report(mended);
      await mended.stop();
    }
  });

  it('while it runs: sealed segments that are gone or other files are found within seconds', async () => {
    const home = await recorded(SEGMENTED);
    const service = await start(home, { env: SEGMENTED });
    await service.said('the audit log is verified');
    const [, second, third] = await findSealed(home.log);
    const missing = `entries_missing:${second!.first}-${third!.first - 1}`;
    rmSync(second!.path);
    await service.until(async () => (await findingsOf(service)).includes(missing));
    copyFileSync(third!.path, `${third!.path}.copy`);
    renameSync(`${third!.path}.copy`, third!.path);
    await service.until(async () => (await findingsOf(service)).includes('segment_replaced'));
    expect((await health(service)).status).to.equal(200);
    await service.stop();
    const again = await start(home, { env: SEGMENTED });
    await again.said('the audit log is verified');
    expect(await findingsOf(again)).to.have.members([missing, 'segment_replaced']);
  }).timeout(20_000);

  it('while it runs: a sealed segment that was edited makes it degraded within seconds', async () => {
    const home = await recorded(SEGMENTED);
    const service = await start(home, { env: SEGMENTED });
    await service.said('the audit log is verified');
    const [, second] = await findSealed(home.log);
    writeFileSync(second!.path, readFileSync(second!.path, 'utf8').replace('a test', 'A test'));
    await service.said('the audit log is damaged');
    expect((await health(service)).status).to.equal(503);
  }).timeout(20_000);

  it('while it runs: a second name of its file is found, and stays found when it is gone', async () => {
    const home = await recorded();
    const service = await start(home);
    linkSync(home.log, `${home.log}.link`);
    await service.until(async () => (await findingsOf(service)).includes('log_linked'));
    rmSync(`${home.log}.link`);
    await service.stop();
    const again = await start(home);
    expect(await findingsOf(again)).to.deep.equal(['log_linked']);
    expect((await acknowledge(again, 'log_linked')).json).to.deep.equal({ acknowledged: ['log_linked'] });
    expect(await findingsOf(again)).to.deep.equal([]);
  }).timeout(20_000);
});
