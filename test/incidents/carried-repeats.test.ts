/** What reports may repeat of an incident is known after its first entries have gone to the archive. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import type { Rule } from '../../machines/vocabulary.ts';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import { DAY, HOUR } from '../../src/clock.ts';
import type { EntryOf, Report } from '../../src/domain/entries.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { HASH } from '../support/audit-log.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const WITHIN = 10 * DAY;
const integrity_violation: Rule = {
  auto_contain: false,
  actions: [],
  default_severity: 'high',
  repeat: { same: ['source', 'evidence.path'], within: WITHIN },
};
const report: Report = {
  class: 'integrity_violation',
  source: 'integrity-monitor',
  description: 'a file was changed',
  evidence: { path: '/usr/bin/agent' },
};
const other: Report = { class: 'prompt_injection', source: 'tool-firewall', description: 'x'.repeat(300) };

describe('What reports may repeat of an incident that was carried over', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;

  const open = async (): Promise<void> => {
    recording = await Recording.open(home, { segmentBytes: 4000, rules: { integrity_violation } });
  };
  beforeEach(() => {
    home = directory();
    return open();
  });
  afterEach(() => recording.close());

  const reported = async (given: Partial<Report> = {}): Promise<string> =>
    parsed((await recording.recorder.report({ ...report, ...given })).incident).id;
  const path = (name: string): Partial<Report> => ({ evidence: { path: name } });

  /** Incidents an hour apart that are resolved at once. */
  const fill = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const { id } = (await recording.recorder.report(other)).incident;
      recording.clock.milliseconds += HOUR;
      await recording.recorder.perform('resolve', { id });
    }
  };
  const archive = () => {
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    return archivist.archive(clock.now() - DAY);
  };
  const reopen = async (meanwhile: () => void = () => {}): Promise<void> => {
    const { milliseconds, off } = recording.clock;
    await recording.close();
    meanwhile();
    await open();
    recording.clock.milliseconds = milliseconds;
    recording.clock.off = off;
  };
  const rebuild = (): Promise<void> =>
    reopen(() => {
      for (const suffix of ['', '-wal', '-shm']) rmSync(join(home, `audit.sqlite${suffix}`), { force: true });
    });
  const inDatabase = (sql: string): Promise<void> =>
    reopen(() => {
      const database = new DatabaseSync(join(home, 'audit.sqlite'));
      database.exec(sql);
      database.close();
    });
  const repeats = async (): Promise<readonly object[]> => {
    let rows: readonly object[] = [];
    await reopen(() => {
      const database = new DatabaseSync(join(home, 'audit.sqlite'), { readOnly: true });
      rows = database.prepare('SELECT key, incident, seq, time FROM repeats ORDER BY key').all();
      database.close();
    });
    return rows.map((row) => ({ ...row }));
  };
  const difference = async (): Promise<string | undefined> => {
    const { log, projections } = recording;
    const proof = projections.proof(log, projections.tables);
    const rest = (): Promise<void> => Promise.resolve();
    await verifyChain([...log.sealed, log.fileOf(Infinity)], HASH, (entries) => proof.take(entries));
    return (await proof.end(rest, [])) ?? (await proof.endLater(rest));
  };
  const carried = async (): Promise<readonly EntryOf<'incident.carried'>[]> => {
    const found: EntryOf<'incident.carried'>[] = [];
    await verifyChain([...recording.log.sealed, recording.log.fileOf(Infinity)], HASH, (entries) => {
      for (const entry of entries) if (entry.event === 'incident.carried') found.push(entry);
    });
    return found;
  };

  it('is the same as before, after a restart, and when it is rebuilt from what remains of the log', async () => {
    const id = await reported();
    await fill(3);
    expect(await reported(), 'repeated before').to.equal(id);
    await fill(40);
    const before = await repeats();
    expect(before).to.have.length(1);
    expect(await archive()).to.include({ carried: 1 });
    expect(recording.log.fileOf(1).first, 'its entries are archived').to.be.greaterThan(20);
    expect(await repeats()).to.deep.equal(before);
    expect(await difference()).to.equal(undefined);
    await rebuild();
    expect(await repeats()).to.deep.equal(before);
    expect(await difference()).to.equal(undefined);
    expect(await reported()).to.equal(id);
    expect(await reported(path('/usr/bin/other'))).to.not.equal(id);
    expect(await difference()).to.equal(undefined);
    await rebuild();
    expect(await difference()).to.equal(undefined);
    expect(await reported()).to.equal(id);
  });

  it('is as old as it was, also when the clock was set before, and later', async () => {
    const id = await reported();
    await fill(1);
    recording.clock.off = 365 * DAY;
    await fill(5);
    expect(await reported()).to.equal(id);
    await fill(40);
    await archive();
    expect(await carried()).to.have.length(1);
    await rebuild();
    await reopen();
    await fill(1);
    recording.clock.off = 0;
    await fill(1);
    expect(await reported(), 'within its time').to.equal(id);
    await fill(40);
    await archive();
    await rebuild();
    recording.clock.milliseconds += WITHIN - 30 * HOUR;
    await fill(1);
    expect(await reported(), 'after its time').to.not.equal(id);
    expect(await difference()).to.equal(undefined);
  });

  it('is carried over again, and leaves with its incident', async () => {
    const id = await reported();
    await fill(40);
    await archive();
    await fill(40);
    await archive();
    expect((await carried()).map(({ data }) => data.repeats?.length)).to.deep.equal([1]);
    await rebuild();
    expect(await reported()).to.equal(id);
    await recording.recorder.perform('resolve', { id });
    await fill(80);
    await archive();
    expect(await repeats()).to.deep.equal([]);
    expect(await difference()).to.equal(undefined);
    await rebuild();
    expect(await repeats()).to.deep.equal([]);
  });

  describe('given a database that somebody has changed', () => {
    let id: string;
    beforeEach(async () => {
      id = await reported();
      await reported(path('/usr/bin/other'));
      await fill(40);
      await archive();
      await reopen();
      expect(await repeats()).to.have.length(2);
      expect(await difference()).to.equal(undefined);
    });

    const SOMEBODY = `(SELECT number FROM incidents WHERE class = 'integrity_violation' ORDER BY number DESC LIMIT 1)`;

    it('is not believed when it is another incident', async () => {
      await inDatabase(`UPDATE repeats SET incident = ${SOMEBODY} WHERE incident <> ${SOMEBODY}`);
      expect(await difference()).to.contain('is not the latest with the values');
      expect(id).to.not.equal('');
    });

    it('is not believed when it is another incident of an earlier or a later entry', async () => {
      for (const seq of [1, 3, 1_000_000]) {
        await inDatabase(`UPDATE repeats SET incident = ${SOMEBODY}, seq = ${seq} WHERE incident <> ${SOMEBODY}`);
        expect((await difference()) ?? 'nothing', `seq ${seq}`).to.contain('is not the latest with the values');
        await rebuild();
        expect(await difference()).to.equal(undefined);
      }
    });
  });

  it('is proved when a later segment is archived and an earlier one stays', async () => {
    const first = await reported();
    await recording.recorder.perform('resolve', { id: first });
    // Segments with an entry from the future stay.
    recording.clock.off = 365 * DAY;
    await fill(1);
    recording.clock.off = 0;
    await fill(10);
    const second = await reported();
    expect(second).to.not.equal(first);
    await fill(40);
    const { staying, archived } = await archive();
    expect(staying[0]?.reason).to.contain('in the future');
    expect(archived.length).to.be.greaterThan(2);
    expect((await carried()).map(({ data }) => data.incident)).to.deep.equal([second]);
    expect(await difference()).to.equal(undefined);
    await rebuild();
    expect(await difference()).to.equal(undefined);
    expect(await reported()).to.equal(second);
  });
});
