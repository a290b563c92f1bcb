import { copyFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { verifyLog } from '../../src/audit/verify.ts';
import { databasePath } from '../../src/projections/database.ts';
import { HASH } from '../support/audit-log.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'tool_call_burst', source: 'tool-firewall', description: 'a test', dedup_key: 'same' } as const;
const OTHER = { ...REPORT, class: 'forbidden_airlock_request' } as const;

// A recording does not verify its log in the background, so its database is never proved.
describe('given a database that was edited while the service was stopped, and is not proved yet', () => {
  const directory = temporaryDirectories();
  const opened: Recording[] = [];
  afterEach(async () => {
    for (const recording of opened.splice(0)) await recording.close();
  });
  const open = async (home: string): Promise<Recording> => {
    const recording = await Recording.open(home);
    opened.push(recording);
    return recording;
  };
  const databaseIn = (home: string): string => databasePath(Recording.logIn(home));

  /** An incident that was reported, reported again and acknowledged, and one that was reported. */
  const recorded = async () => {
    const home = directory();
    const recording = await Recording.open(home);
    const { incident } = await recording.recorder.report(REPORT);
    const { incident: other } = await recording.recorder.report(OTHER);
    await recording.recorder.report({ ...REPORT, description: 'again' });
    await recording.close();
    copyFileSync(databaseIn(home), join(home, 'before.sqlite'));
    const again = await open(home);
    await again.recorder.perform('acknowledge', { id: incident.id });
    await again.close();
    opened.pop();
    return { home, id: incident.id, other: other.id };
  };
  const edit = (home: string, sql: string): void => {
    const database = new DatabaseSync(databaseIn(home));
    database.exec(sql);
    database.close();
  };

  const hide = (home: string, id: string): string => `
    ATTACH '${join(home, 'before.sqlite')}' AS old;
    DELETE FROM incidents WHERE id = '${id}';
    INSERT INTO incidents SELECT * FROM old.incidents WHERE id = '${id}';
    DELETE FROM entries WHERE incident = (SELECT number FROM incidents WHERE id = '${id}')
      AND version > (SELECT version FROM incidents WHERE id = '${id}');
    DELETE FROM deliveries;
    INSERT INTO deliveries SELECT * FROM old.deliveries;`;
  const EDITS: readonly [what: string, sql: (home: string, id: string) => string][] = [
    [
      'it is resolved',
      (_home, id) =>
        `UPDATE incidents SET state = 'resolved', document = json_set(document, '$.state', 'resolved') WHERE id = '${id}'`,
    ],
    ['its snapshot is another', (_home, id) => `UPDATE incidents SET context = '{}' WHERE id = '${id}'`],
    ['it is no JSON', (_home, id) => `UPDATE incidents SET document = '{' WHERE id = '${id}'`],
    ['it is listed under another key', (_home, id) => `UPDATE incidents SET dedup_key = 'x' WHERE id = '${id}'`],
    ['its key is that of another principal', (_home, id) => `UPDATE incidents SET owner = 'x' WHERE id = '${id}'`],
    ['it is less severe', (_home, id) => `UPDATE incidents SET rank = 3 WHERE id = '${id}'`],
    ['it holds nothing', () => `DELETE FROM deliveries`],
    ['it is as it was before its last entry, which is hidden', hide],
    [
      'its last entry is hidden, and the one before is said to be longer than the log',
      (home, id) => `${hide(home, id)}; UPDATE entries SET length = 4000000000 WHERE version = 2`,
    ],
    ['its last entry is not indexed', () => 'DELETE FROM entries WHERE version = 3'],
    ['its entries are entries that there never were', () => 'UPDATE entries SET seq = 1000000 WHERE version = 3'],
    ['its entries are those of another', () => 'UPDATE entries SET seq = 2, offset = 0 WHERE version = 3'],
  ];
  for (const [what, sql] of EDITS) {
    it(`so that ${what}, then no command rests on that, and the database is rebuilt`, async () => {
      const { home, id } = await recorded();
      edit(home, sql(home, id));
      const recording = await open(home);
      const refused = await recording.recorder.perform('resolve', { id }).catch((error: unknown) => error);
      expect(refused).to.have.property('code', 'log_unavailable');
      await recording.catchUp();
      expect(recording.incident(id)).to.include({ state: 'acknowledged', version: 3 });
      const { incident } = await recording.recorder.perform('resolve', { id });
      expect(incident).to.include({ state: 'resolved', version: 4 });
      expect(recording.log.status.state).to.equal('open');
      expect(recording.record.findings.open.map(({ finding }) => finding)).to.deep.equal(['database_altered']);
      await recording.close();
      opened.pop();
      // What was recorded contradicts nothing.
      rmSync(databaseIn(home));
      const again = await open(home);
      expect(again.incident(id)).to.include({ state: 'resolved', version: 4 });
      expect(await verifyLog(Recording.logIn(home), HASH)).to.not.have.property('damage');
    });
  }

  it('so that entries are indexed elsewhere, then they are found, and the log does not count as damaged', async () => {
    const { home, id } = await recorded();
    edit(home, 'UPDATE entries SET offset = offset + 7, length = 4000000000');
    const recording = await open(home);
    const history = await recording.record.reads.history(id, 0);
    expect(history?.lines).to.have.length.above(0);
    await recording.recorder.perform('resolve', { id });
    expect(recording.log.status.state).to.equal('open');
  });

  it('so that history names entries that there never were, then the log does not count as damaged', async () => {
    const { home, id } = await recorded();
    edit(home, 'UPDATE entries SET seq = 1000000 WHERE version = 3');
    const recording = await open(home);
    const refused = await recording.record.reads.history(id, 0).catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'log_unavailable');
    expect(recording.log.status.state).to.equal('open');
  });

  it('so that entries between others are missing, then a report of the same trouble opens another incident', async () => {
    const { home, id } = await recorded();
    edit(home, 'DELETE FROM entries WHERE version = 2');
    const recording = await open(home);
    const { incident, change } = await recording.recorder.report(REPORT);
    expect(change).to.equal('created');
    expect(incident.id).to.not.equal(id);
    const refused = await recording.recorder.perform('resolve', { id }).catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'log_unavailable');
  });

  it('so that a source reports into the incident of another, then it opens one of its own', async () => {
    const { home, id, other } = await recorded();
    edit(
      home,
      `UPDATE incidents SET dedup_key = 'fresh', class = 'tool_call_burst', state = 'open' WHERE id = '${other}'`,
    );
    const recording = await open(home);
    const report = { ...REPORT, dedup_key: 'fresh' };
    const refused = await recording.recorder.report(report).catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'log_unavailable');
    await recording.catchUp();
    const { change, incident } = await recording.recorder.report(report);
    expect(change).to.equal('created');
    expect([id, other]).to.not.include(incident.id);
  });

  it('in nothing, then messages are taken, and each incident is proved once', async () => {
    const { home, id } = await recorded();
    const recording = await open(home);
    expect((await recording.recorder.report(REPORT)).change).to.equal('recurred');
    expect((await recording.recorder.perform('resolve', { id })).change).to.equal('moved');
    expect(recording.record.findings.open).to.deep.equal([]);
  });

  it('and a log that was cut, then nothing is rebuilt from what is left of it', async () => {
    const { home, id } = await recorded();
    truncateSync(Recording.logIn(home));
    edit(home, `UPDATE incidents SET dedup_key = 'x' WHERE id = '${id}'`);
    const recording = await open(home);
    const refused = await recording.recorder.perform('resolve', { id }).catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'log_unavailable');
    expect(recording.log.status.state).to.equal('damaged');
    expect(recording.incident(id)).to.include({ state: 'acknowledged' });
  });

  const CRASHED: readonly [what: string, sql: string][] = [
    ['contradicts the entries behind it', `UPDATE incidents SET document = json_set(document, '$.version', 99)`],
    ['is no JSON', `UPDATE incidents SET document = '{'`],
    ['has no posture', `UPDATE posture SET posture = '[]'`],
  ];
  for (const [what, sql] of CRASHED) {
    it(`so that what it has ${what}, then the start rebuilds it`, async () => {
      const { home, id } = await recorded();
      // As a crash leaves it: behind the log.
      copyFileSync(join(home, 'before.sqlite'), databaseIn(home));
      for (const suffix of ['-wal', '-shm']) rmSync(`${databaseIn(home)}${suffix}`, { force: true });
      edit(home, sql);
      const recording = await open(home);
      expect(recording.incident(id)).to.include({ state: 'acknowledged', version: 3 });
      expect(recording.projections.altered).to.be.a('string');
      expect(recording.record.recovered).to.not.have.property('damage');
    });
  }
});
