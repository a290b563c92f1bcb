import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import { DAY } from '../../src/clock.ts';
import { RecorderError } from '../../src/errors.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'model_behavior_anomaly', description: 'd', severity: 'high' } as const;
/** More than are taken off the record at a time. */
const INCIDENTS = 300;

describe('incidents that leave the record', function () {
  this.timeout(60_000);
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  let ids: string[];

  beforeEach(async () => {
    home = join(directory(), 'log');
    mkdirSync(home);
    recording = await Recording.open(home, { segmentBytes: 400_000 });
    ids = [];
    for (let n = 0; n < INCIDENTS; n++) {
      const key = n % 5 === 0 ? { key: `k${n}`, fingerprint: 'f' } : undefined;
      const report = { ...REPORT, source: `s${n % 60}`, evidence: { n } };
      const { id } = (await recording.recorder.report(report, key)).incident;
      ids.push(id);
      recording.clock.milliseconds += 60_000;
      if (n % 3 === 0) await recording.recorder.perform('acknowledge', { id });
      if (n !== 7) await recording.recorder.perform('resolve', { id, caller: operator('ada'), resolution: 'benign' });
    }
    recording.clock.milliseconds += 2 * DAY;
  });
  afterEach(() => recording.close());

  const archive = () => {
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    return archivist.archive(clock.now() - DAY);
  };

  /** Calls this before each few that leave, in the turn that takes them off. */
  const beforeEachFew = (look: (turn: number) => void): void => {
    const { projections } = recording;
    const leaveSome = projections.leaveSome.bind(projections);
    let turn = 0;
    projections.leaveSome = async () => {
      look(turn++);
      return leaveSome();
    };
  };

  it('go a few at a time, and all that is counted is right at any time', async () => {
    const { projections } = recording;
    const before = projections.statistics.read();
    const shown: number[] = [];
    beforeEachFew(() => {
      const { statistics } = projections;
      const { entered, ...now } = statistics.read() as unknown as Record<string, unknown>;
      expect(entered).to.deep.equal((before as unknown as Record<string, unknown>).entered);
      expect(now).to.be.an('object');
      const count = statistics.population().reduce((sum, one) => sum + one.count, 0);
      shown.push(count);
    });
    const { archived } = await archive();
    expect(archived).to.have.length.greaterThan(0);
    expect(new Set(shown).size, 'counts between slices').to.be.greaterThan(4);
    expect(await projections.leaveSome()).to.equal(false);
  });

  it('are gone for whoever names them from the beginning on, and reports go on meanwhile', async () => {
    const { projections, recorder } = recording;
    const asked: Promise<unknown>[] = [];
    const reported: string[] = [];
    const key = { key: 'k0', fingerprint: 'f' };
    beforeEachFew((turn) => {
      if (turn === 0 || asked.length > 0) return;
      expect(projections.incidents.has(ids[20]!)).to.equal(false);
      expect(() => projections.snapshot()).to.throw(RecorderError);
      const note = recording.record.acts.note({ id: ids[20]!, note: 'late', caller: operator('ada') });
      asked.push(
        note.then(
          () => expect.fail('it has left'),
          () => undefined,
        ),
      );
      const report = { ...REPORT, source: 's0', evidence: { n: 0 } };
      asked.push(recorder.report(report, key).then(({ incident }) => reported.push(incident.id)));
    });
    await archive();
    await Promise.all(asked);
    expect(reported).to.have.length(1);
    expect(ids).to.not.include(reported[0]);
    const again = await recorder.report({ ...REPORT, source: 's0', evidence: { n: 0 } }, key);
    expect(again.incident.id).to.equal(reported[0]);
  });

  it('leave the same record when the process is killed between any of them', async () => {
    const copies: string[] = [];
    beforeEachFew((turn) => {
      // As the disk is when the process ends now: also with what is committed.
      if (turn % 2 === 1) recording.projections.flush();
      const copy = join(home, '..', `killed-${turn}`);
      cpSync(home, copy, { recursive: true });
      copies.push(copy);
    });
    await archive();
    await recording.close();
    const rebuilt = join(home, '..', 'rebuilt');
    cpSync(home, rebuilt, { recursive: true });
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(rebuilt, `audit.sqlite${suffix}`), { force: true });
    const expected = await reopened(rebuilt);
    expect(copies.length).to.be.greaterThan(6);
    for (const copy of copies) {
      const database = join(copy, 'audit.sqlite');
      // The files of the log as they are at the end: the next run moves those that were not.
      for (const name of ['audit.jsonl', 'audit.jsonl.checkpoint']) cpSync(join(home, name), join(copy, name));
      expect(await reopened(copy), database).to.equal(expected);
    }
    recording = await Recording.open(home);
  });

  it('leave the record of the log when somebody else has spoilt one of them in the database', async () => {
    const copy = join(home, '..', 'spoilt');
    beforeEachFew((turn) => {
      if (turn !== 3) return;
      recording.projections.flush();
      cpSync(home, copy, { recursive: true });
    });
    await archive();
    await recording.close();
    for (const name of ['audit.jsonl', 'audit.jsonl.checkpoint']) cpSync(join(home, name), join(copy, name));
    const database = new DatabaseSync(join(copy, 'audit.sqlite'));
    const { changes } = database
      .prepare(`UPDATE incidents SET document = '{' WHERE number = (SELECT last FROM leaving ORDER BY first LIMIT 1)
        OR number = (SELECT max(number) FROM incidents JOIN leaving ON number BETWEEN next AND last)`)
      .run();
    database.close();
    expect(Number(changes)).to.be.greaterThan(0);
    const expected = await reopened(home);
    expect(await reopened(copy)).to.equal(expected);
    recording = await Recording.open(home);
  });
});

/** What the database of a log holds after a start, which must be what the log makes of it. */
async function reopened(home: string): Promise<string> {
  const recording = await Recording.open(home, { segmentBytes: 400_000 });
  const { log, projections } = recording;
  const proof = projections.proof(log, projections.tables);
  await verifyChain([...log.sealed, log.fileOf(Infinity)], log.hash, (entries) => proof.take(entries));
  expect(await proof.end(() => Promise.resolve(), [])).to.equal(undefined);
  const seq = log.status.entries;
  await recording.close();
  const database = new DatabaseSync(join(home, 'audit.sqlite'), { readOnly: true });
  const names = database
    .prepare(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'`)
    .all()
    .map(({ name }) => String(name))
    .filter((name) => !name.startsWith('search_') && name !== 'position' && !name.startsWith('posture'));
  const text = names.toSorted().map((name) => {
    const rows = database.prepare(`SELECT * FROM ${name}`).all();
    return [name, ...rows.map((row) => JSON.stringify(row)).toSorted()].join('\n');
  });
  database.close();
  return [seq > 0, ...text].join('\n');
}
