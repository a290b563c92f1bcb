import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { filesOf, verifyFiles, verifyLog } from '../../src/audit/verify.ts';
import type { Damage } from '../../src/audit/verify-chain.ts';
import { HOUR } from '../../src/clock.ts';
import { Archivist, type ArchivistDependencies, type ArchiveOutcome } from '../../src/incidents/archivist.ts';
import { RequestTags } from '../../src/incidents/request-tag.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import type { DeliveryRecord } from '../../src/domain/delivery.ts';
import { HASH } from '../support/audit-log.ts';
import { eventually } from '../support/eventually.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import type { ArchivedData, Entry } from '../../src/domain/entries.ts';

const report = { class: 'prompt_injection', source: 'tool-firewall', description: 'x'.repeat(200) } as const;

const endpoint = { url: parseTargetUrl('http://127.0.0.1:1/')!, action: 'x' };
const targets = { quarantine_model: { engage: endpoint, release: endpoint } };

describe('Archivist', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  let ids: string[];

  const open = async (): Promise<void> => {
    recording = await Recording.open(home, { segmentBytes: 6000, targets });
  };

  beforeEach(async () => {
    home = directory();
    await open();
    ids = [];
  });
  afterEach(() => recording.close());

  /** Reports incidents an hour apart, each acknowledged and resolved a while later when `resolved` says so. */
  const record = async (count: number, resolved: (n: number) => boolean): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const key = { key: `key-${ids.length}`, fingerprint: 'f' };
      const { id } = (await recording.recorder.report({ ...report, dedup_key: `d${ids.length}` }, key)).incident;
      ids.push(id);
      recording.clock.milliseconds += HOUR;
      if (!resolved(n)) continue;
      if (n % 2 === 0) await recording.recorder.perform('acknowledge', { id });
      await recording.recorder.perform('resolve', { id, caller: operator('ada') });
    }
  };

  const archive = (before?: number, isVerified = true): Promise<ArchiveOutcome> => {
    const { log, projections, incidents, clock } = recording;
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => isVerified });
    return archivist.archive(before ?? clock.now() - 24 * HOUR);
  };

  const reportedUnder = (key: string) => {
    const request = { key, fingerprint: 'f' };
    const tag = new RequestTags(HASH.digest('requests of reports')).of(report.source, request);
    return recording.projections.current().reportedBy(tag, report.source, request, '');
  };

  /** Closes the recording, makes something of what it left, and opens it again at the same time. */
  const between = async <Result>(work: () => Result | Promise<Result>): Promise<Result> => {
    const { milliseconds } = recording.clock;
    await recording.close();
    const result = await work();
    await open();
    recording.clock.milliseconds = milliseconds;
    return result;
  };

  const damage = (): Promise<Damage | undefined> => between(async () => (await verifyLog(path(), HASH)).damage);

  const deleteDatabase = (): void => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(home, `audit.sqlite${suffix}`), { force: true });
  };

  /** Every table of the projections, as text. Of the index of words: which incidents are in it. */
  const tables = (): string => {
    const database = new DatabaseSync(join(home, 'audit.sqlite'), { readOnly: true });
    const names = database
      .prepare(
        `SELECT name FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
      )
      .all();
    const text = names.map(({ name }) =>
      database
        .prepare(`SELECT * FROM ${String(name)}`)
        .all()
        .map((row) => JSON.stringify(row))
        .toSorted()
        .join(),
    );
    text.push(JSON.stringify(database.prepare('SELECT id FROM search_docsize ORDER BY id').all()));
    database.close();
    return text.join('\n');
  };

  const path = (): string => Recording.logIn(home);
  const archived = (): string[] => readdirSync(join(home, 'archive')).map((name) => join(home, 'archive', name));

  it('moves segments whose incidents are all resolved, and their incidents leave the record', async () => {
    await record(40, () => true);
    const before = recording.projections.statistics.read();
    const outcome = await archive();
    expect(outcome.staying).to.deep.equal([]);
    expect(outcome.archived.length).to.be.greaterThan(2);
    expect(outcome.archived.map((one) => one.path)).to.have.members(archived());
    const left = outcome.archived.reduce((sum, { incidents }) => sum + incidents, 0);
    const after = recording.projections.statistics.read();
    expect(after.total_incidents).to.equal(before.total_incidents - left);
    expect(after.resolved_count).to.equal(before.resolved_count);
    expect(after.contained_count).to.equal(before.contained_count);
    expect(recording.projections.incidents.get(ids[0]!)).to.equal(undefined);
    expect(reportedUnder('key-0')).to.equal(undefined);
    expect(recording.projections.incidents.get(ids.at(-1)!)).to.not.equal(undefined);
    const everything = { classes: [], states: [], severities: [], sources: [], limit: 1000 };
    expect(recording.projections.list.read(everything).documents).to.have.length(40 - left);
    expect(
      recording.projections.list.read({ ...everything, until: recording.clock.now() - 48 * HOUR }).documents,
    ).to.deep.equal([]);
  });

  it('leaves a log that is valid with and without the archived files, and not without a file that is not archived', async () => {
    await record(40, () => true);
    await archive();
    await recording.recorder.report(report);
    expect(await damage()).to.equal(undefined);
    const whole = [...archived(), ...recording.log.sealed.map((segment) => segment.path), path()];
    const verification = await verifyFiles(whole, HASH);
    expect(verification.damage).to.equal(undefined);
    expect(verification.entries).to.equal(recording.log.status.entries);
    const [staying] = recording.log.sealed;
    renameSync(staying!.path, `${staying!.path}.away`);
    expect((await verifyLog(path(), HASH)).damage?.reason).to.match(/missing before it/);
    renameSync(`${staying!.path}.away`, staying!.path);
  });

  it('leaves projections that come out the same from what remains of the log', async () => {
    await record(40, () => true);
    await archive();
    await recording.recorder.report(report);
    const before = await between(tables);
    await between(deleteDatabase);
    expect(await between(tables)).to.equal(before);
    expect((await recording.recorder.report(report, { key: 'new', fingerprint: 'f' })).change).to.equal('created');
  });

  describe('run after run, each moving the `log.archived` entry of the one before', () => {
    /** Runs three times; each takes away the segment that holds the `log.archived` entry of the run before. */
    const archiveThrice = async (): Promise<void> => {
      for (let told = 0; ids.length < 120; told = recording.log.status.entries) {
        await record(40, () => true);
        const outcome = await archive();
        expect(outcome.staying).to.deep.equal([]);
        expect(outcome.archived.at(-1)!.last_seq).to.be.greaterThan(told);
      }
    };

    it('leaves a log that is valid, and one from which projections come out the same', async () => {
      await archiveThrice();
      const { resolved_count } = recording.projections.statistics.read();
      expect(resolved_count).to.equal(120);
      expect(await damage()).to.equal(undefined);
      const before = await between(tables);
      expect(recording.log.status.state).to.equal('open');
      await between(deleteDatabase);
      expect(recording.log.status.state).to.equal('open');
      expect(await between(tables)).to.equal(before);
      expect(recording.projections.statistics.read().resolved_count).to.equal(resolved_count);
    });

    it('names what has left as one range in each entry', async () => {
      await archiveThrice();
      await record(1, () => true);
      const lines = await between(async () =>
        (await filesOf(path())).flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n')),
      );
      const told = lines.map((line) => JSON.parse(line) as Entry).filter(({ event }) => event === 'log.archived');
      const last = told.at(-1)!.data as unknown as ArchivedData;
      expect(last.earlier!.ranges).to.have.length(1);
      expect(last.earlier!.ranges[0]).to.include({ first_seq: 1, last_seq: last.first_seq - 1, prev_hash: '' });
      expect(last.earlier!.ranges[0]!.last_hash).to.equal(last.prev_hash);
    });

    it('still misses a file that was deleted', async () => {
      await archiveThrice();
      const [oldest] = recording.log.sealed;
      const gone = await between(async () => {
        renameSync(oldest!.path, `${oldest!.path}.away`);
        const found = (await verifyLog(path(), HASH)).damage;
        renameSync(`${oldest!.path}.away`, oldest!.path);
        return found;
      });
      expect(gone?.reason).to.match(
        /^entries 1 to \d+ are missing before it, and no log\.archived entry accounts for it$/,
      );
    });

    it('takes files that have come back for what they are', async () => {
      await archiveThrice();
      const before = await between(tables);
      for (const file of archived().toSorted().slice(-2)) renameSync(file, join(home, basename(file)));
      expect(await damage()).to.equal(undefined);
      await between(deleteDatabase);
      expect(recording.log.status.state).to.equal('open');
      expect(await between(tables)).to.equal(before);
    });

    it('does not tell again what the recorder has not told', async () => {
      await record(40, () => true);
      await archive();
      await record(40, () => true);
      const forged = recording.log.sealed.find(({ path: file }) =>
        readFileSync(file, 'utf8').includes('log.archived'),
      )!;
      const text = readFileSync(forged.path, 'utf8');
      writeFileSync(forged.path, text.replace(/("event":"log\.archived".*?"last_seq":)\d/, '$19'));
      const refusal = await archive().catch((error: unknown) => error);
      expect(refusal).to.have.property('code', 'damaged_log');
      writeFileSync(forged.path, text);
    });
  });

  it('given an end between the entry and the move, is whole and moves the file the next time', async () => {
    await record(30, () => true);
    const [moved] = (await archive()).archived;
    renameSync(moved!.path, join(home, basename(moved!.path)));
    await recording.close();
    await open();
    expect(await damage()).to.equal(undefined);
    expect(recording.projections.incidents.get(ids[0]!)).to.equal(undefined);
    recording.clock.milliseconds += 1000 * HOUR;
    const { entries } = recording.log.status;
    const again = await archive();
    expect(again.archived[0]).to.deep.equal({ ...moved, incidents: 0 });
    expect(recording.log.status.entries, 'it is not told again').to.equal(entries + again.archived.length - 1);
    expect(await damage()).to.equal(undefined);
  });

  it('keeps a segment for as long as its latest entry asks for, whatever time the clock told at its end', async () => {
    const now = recording.clock.milliseconds;
    while (recording.log.sealed.length === 0) {
      recording.clock.milliseconds = recording.log.status.bytes > 5000 ? Date.parse('2001-01-01T00:00:00Z') : now;
      await record(1, () => true);
    }
    recording.clock.milliseconds = now + 23 * HOUR;
    expect(await archive()).to.deep.equal({ archived: [], staying: [], carried: 0 });
    expect(reportedUnder('key-0')).to.not.equal(undefined);
    recording.clock.milliseconds = now + 48 * HOUR;
    expect((await archive()).archived).to.have.length(1);
  });

  it('keeps a segment with an entry from the future, and says so', async () => {
    const now = recording.clock.milliseconds;
    recording.clock.milliseconds = Date.parse('2099-01-01T00:00:00Z');
    await recording.recorder.report({ ...report, class: 'tool_call_burst' }).then(({ incident: { id } }) => {
      recording.clock.milliseconds = now;
      return recording.recorder.perform('resolve', { id });
    });
    await record(40, () => true);
    const { staying } = await archive();
    expect(staying[0]?.reason).to.equal('it has an entry from 2099-01-01T00:00:00.000Z, in the future');
  });

  it('refuses when nothing can be moved to the archive, and nothing is written', async () => {
    await record(40, () => true);
    const { entries } = recording.log.status;
    const names = readdirSync(home);
    writeFileSync(join(home, 'archive'), 'not a directory');
    const refusal = await archive().catch((error: unknown) => error);
    expect(refusal).to.have.property('code', 'log_unavailable');
    expect(refusal).to.have.property(
      'message',
      `nothing can be moved to ${join(home, 'archive')}: it is not a directory (EEXIST)`,
    );
    expect(recording.log.status.entries).to.equal(entries);
    expect(recording.projections.incidents.get(ids[0]!)).to.not.equal(undefined);
    rmSync(join(home, 'archive'));
    expect(readdirSync(home)).to.have.members(names);
    expect((await archive()).archived).to.not.deep.equal([]);
  });

  it('given a file that cannot be moved yet, writes one entry and moves it later', async () => {
    await record(40, () => true);
    const { entries } = recording.log.status;
    const [first] = recording.log.sealed;
    const inTheWay = join(home, 'archive', basename(first!.path));
    mkdirSync(inTheWay, { recursive: true });
    for (let run = 1; run <= 2; run++) {
      const refusal = await archive().catch((error: unknown) => error);
      expect(refusal).to.have.property('code', 'log_unavailable');
      expect(refusal).to.have.property('message').that.includes(first!.path).and.includes('EISDIR');
      expect(recording.log.status.entries).to.equal(entries + 1);
    }
    rmdirSync(inTheWay);
    expect(await damage()).to.equal(undefined);
    const { archived: moved } = await archive();
    expect(moved[0]).to.include({ path: inTheWay, first_seq: 1 });
    expect(recording.log.status.entries).to.equal(entries + moved.length);
    expect(await damage()).to.equal(undefined);
  });

  it('refuses while the projections are behind the log', async () => {
    await record(40, () => true);
    const { entries } = recording.log.status;
    recording.fallBehind();
    const refusal = await archive().catch((error: unknown) => error);
    expect(refusal).to.have.property('code', 'log_unavailable');
    expect(refusal).to.have.property('message', 'what is on record is behind the audit log; try again');
    expect(recording.log.status.entries).to.equal(entries);

    await recording.catchUp();
    const segments = recording.log.sealed.length;
    const archiving = archive().catch((error: unknown) => error);
    await eventually(() => recording.log.status.entries > entries);
    recording.fallBehind();
    expect(await archiving).to.have.property('code', 'log_unavailable');
    expect(archived().length).to.be.greaterThan(0).and.lessThan(segments);
    await recording.catchUp();
    expect(await damage()).to.equal(undefined);
  });

  describe('given a release that failed, and is tried again', () => {
    const release = (): DeliveryRecord | undefined =>
      recording.projections.posture.of('quarantine_model').release?.delivery;
    let told: Promise<unknown> | undefined;
    let retry: () => void;

    beforeEach(async () => {
      const { recorder, incidents } = recording;
      const { id } = (await recorder.report({ ...report, class: 'model_behavior_anomaly' })).incident;
      ids.push(id);
      await recorder.perform('resolve', { id });
      const name = { type: 'deliver', action: 'quarantine_model', directive: 'release' } as const;
      await incidents.actor(id).send({ ...name, news: { type: 'refused', error: 'answered 404' } });
      expect(release()?.status).to.equal('needs_person');
      await record(40, () => true);
      told = undefined;
      retry = () => {
        told ??= incidents
          .actor(id)
          .send({ ...name, news: { type: 'retried', via: 'push' } })
          .catch((error: unknown) => error);
      };
    });

    it('before its segment is looked at, keeps the segment', async () => {
      const { log, projections, incidents, clock } = recording;
      const exclusively: ArchivistDependencies['incidents']['exclusively'] = (names, work) => {
        retry();
        return incidents.exclusively(names, work);
      };
      const dependencies = {
        log,
        projections,
        incidents: { exclusively, actor: incidents.actor.bind(incidents) },
        clock,
        isVerified: () => true,
      };
      const { staying } = await new Archivist(dependencies).archive(clock.now() - 24 * HOUR);
      expect(staying[0]?.reason).to.equal(`the release of quarantine_model by incident ${ids[0]} is on its way`);
      expect(await told).to.include({ change: 'moved' });
      expect(release()?.status).to.equal('pending');
      expect(recording.projections.incidents.has(ids[0]!)).to.equal(true);
    });

    it('while its segment is archived, is refused as its incident has left', async () => {
      const { log, projections, incidents, clock } = recording;
      const interrupted: ArchivistDependencies['log'] = {
        append: (drafts) => {
          queueMicrotask(retry);
          return log.append(drafts);
        },
        forget: log.forget.bind(log),
        fileOf: log.fileOf.bind(log),
        hash: log.hash,
        sealed: log.sealed,
        status: log.status,
        suspect: log.suspect.bind(log),
        pause: log.pause.bind(log),
      };
      const archivist = new Archivist({ log: interrupted, projections, incidents, clock, isVerified: () => true });
      expect((await archivist.archive(clock.now() - 24 * HOUR)).archived[0]).to.include({ first_seq: 1 });
      expect(await told).to.have.property('code', 'gone');
      expect(release()).to.equal(undefined);
      const before = await between(tables);
      await between(deleteDatabase);
      expect(await between(tables)).to.equal(before);
    });
  });

  it('given a report in the same write as the entry of an archived segment, then a rebuild knows as much', async () => {
    const burst = { class: 'tool_call_burst', source: 'tool-firewall', description: 'x'.repeat(6000) } as const;
    const { id } = (await recording.recorder.report(burst)).incident;
    recording.clock.milliseconds += HOUR;
    await recording.recorder.report(burst);
    await recording.recorder.perform('resolve', { id });
    recording.clock.milliseconds += 48 * HOUR;
    const { log, recorder } = recording;
    const append = log.append.bind(log);
    let other: Promise<unknown> | undefined;
    log.append = (drafts) => {
      // Its append comes first, so that its entry is in front of the other in the same batch.
      if (drafts[0]?.event === 'log.archived') other ??= recorder.report(burst);
      return append(drafts);
    };
    const outcome = await archive();
    await other;
    expect(outcome.archived.length).to.be.greaterThan(0);
    const before = recording.projections.posture.of('freeze_agent');
    await between(deleteDatabase);
    expect(recording.projections.posture.of('freeze_agent')).to.deep.equal(before);
  });

  it('refuses a time that is not a day ago, and a log that is still being verified', async () => {
    const tooLate = await archive(recording.clock.now() - 23 * HOUR).catch((error: unknown) => error);
    expect(tooLate).to.have.property('code', 'invalid_request');
    const unverified = await archive(undefined, false).catch((error: unknown) => error);
    expect(unverified).to.have.property('code', 'overloaded');
  });
});
