import { readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { filesOf, verifyFiles, verifyLog } from '../../src/audit/verify.ts';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import { HOUR } from '../../src/clock.ts';
import type { EntryOf } from '../../src/domain/entries.ts';
import { fold, type Incident } from '../../src/domain/incident.ts';
import { shownLine } from '../../src/domain/withheld.ts';
import { Archivist, type ArchiveOutcome } from '../../src/incidents/archivist.ts';
import { EarlyIndex } from '../../src/projections/early-index.ts';
import { RequestTags } from '../../src/incidents/request-tag.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { HASH } from '../support/audit-log.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const report = { class: 'prompt_injection', source: 'tool-firewall', description: 'x'.repeat(200) } as const;
const endpoint = { url: parseTargetUrl('http://127.0.0.1:1/')!, action: 'x' };
const targets = {
  quarantine_model: { engage: endpoint, release: endpoint },
  freeze_agent: { engage: endpoint, release: endpoint },
};

/** The incident without what each entry about it changes. */
const lasting = (incident: Incident): object => ({ ...incident, version: 0, hash: '' });

describe('An unresolved incident in an old segment', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  let resolved: string[];

  const open = async (): Promise<void> => {
    recording = await Recording.open(home, { segmentBytes: 6000, targets });
  };

  beforeEach(async () => {
    home = directory();
    await open();
    resolved = [];
  });
  afterEach(() => recording.close());

  const path = (): string => Recording.logIn(home);

  /** Reports incidents an hour apart and resolves each. */
  const fill = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const { id } = (await recording.recorder.report(report)).incident;
      recording.clock.milliseconds += HOUR;
      await recording.recorder.perform('resolve', { id, caller: operator('ada') });
      resolved.push(id);
    }
  };

  const archivist = (): Archivist => {
    const { log, projections, incidents, clock } = recording;
    return new Archivist({ log, projections, incidents, clock, isVerified: () => true });
  };
  const archive = (): Promise<ArchiveOutcome> => archivist().archive(recording.clock.now() - 24 * HOUR);

  const between = async <Result>(work: () => Result | Promise<Result>): Promise<Result> => {
    const { milliseconds } = recording.clock;
    await recording.close();
    const result = await work();
    await open();
    recording.clock.milliseconds = milliseconds;
    return result;
  };
  const deleteDatabase = (): void => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(home, `audit.sqlite${suffix}`), { force: true });
  };
  const tables = (): string => {
    const database = new DatabaseSync(join(home, 'audit.sqlite'), { readOnly: true });
    const names = database
      .prepare(
        `SELECT name FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
      )
      .all();
    const text = names.map(
      ({ name }) =>
        `${String(name)} ${database
          .prepare(`SELECT * FROM ${String(name)}`)
          .all()
          .map((row) => JSON.stringify(row))
          .toSorted()
          .join()}`,
    );
    text.push(JSON.stringify(database.prepare('SELECT id FROM search_docsize ORDER BY id').all()));
    database.close();
    return text.join('\n');
  };
  const expectSameAfterRebuild = async (): Promise<void> => {
    const before = await between(tables);
    await between(deleteDatabase);
    expect(recording.log.status.state).to.equal('open');
    expect(await between(tables)).to.equal(before);
  };
  const expectValid = async (): Promise<void> => {
    expect(await between(async () => (await verifyLog(path(), HASH)).damage)).to.equal(undefined);
  };
  const expectProved = async (): Promise<void> => {
    const { log, projections } = recording;
    const proof = projections.proof(log, projections.tables);
    const rest = (): Promise<void> => Promise.resolve();
    await verifyChain([...log.sealed, log.fileOf(Infinity)], HASH, (entries) => proof.take(entries));
    expect(await proof.end(rest, [])).to.equal(undefined);
    expect(await proof.endLater(rest)).to.equal(undefined);
    const single = projections.incidentProof(log);
    for (const id of listed()) expect(await single.difference(id)).to.equal(undefined);
  };
  const carriedEntries = async (): Promise<readonly EntryOf<'incident.carried'>[]> => {
    const found: EntryOf<'incident.carried'>[] = [];
    await verifyChain([...recording.log.sealed, recording.log.fileOf(Infinity)], HASH, (entries) => {
      for (const entry of entries) if (entry.event === 'incident.carried') found.push(entry);
    });
    return found;
  };
  const everything = { classes: [], states: [], severities: [], sources: [], limit: 1000 };
  const listed = (): readonly string[] =>
    recording.projections.list
      .read(everything)
      .documents.map((document) => (JSON.parse(Buffer.from(document).toString()) as { id: string }).id);
  const shown = (): object => {
    const { statistics, activity, posture } = recording.projections;
    const { open_incidents, contained_count, resolved_count } = statistics.read();
    const { waiting } = activity.read(recording.clock.now(), 24).time_to_containment;
    const quarantine = { ...posture.of('quarantine_model'), changed: undefined };
    return { open_incidents, contained_count, resolved_count, waiting, quarantine };
  };

  /** One that was reported twice with a key, noted, acknowledged and partly contained. */
  const old = async (): Promise<string> => {
    const { recorder, incidents } = recording;
    const known = {
      ...report,
      class: 'model_behavior_anomaly',
      dedup_key: 'same',
      evidence: { model_name: 'm', n: 1e-7 },
    };
    const { id } = (await recorder.report(known as never, { key: 'first', fingerprint: 'f' })).incident;
    const deliver = { type: 'deliver', action: 'quarantine_model', directive: 'engage' } as const;
    await incidents.actor(id).send({ ...deliver, news: { type: 'missed', error: 'answered 500: no', wait: 1000 } });
    recording.clock.milliseconds += HOUR;
    await recorder.report({ ...known, evidence: { model_name: 'm2' } } as never, { key: 'second', fingerprint: 'f' });
    await recorder.perform('acknowledge', { id, caller: operator('ada'), note: 'seen' });
    return id;
  };
  const retold = (key: string) => {
    const request = { key, fingerprint: 'f' };
    const tag = new RequestTags(HASH.digest('requests of reports')).of(report.source, request);
    return recording.projections.current().reportedBy(tag, report.source, request, '');
  };

  it('does not hold it back: it is the same incident as before, now and after a rebuild', async () => {
    const id = await old();
    await fill(30);
    const before = { incident: recording.incident(id)!, shown: shown(), listed: listed() };
    const outcome = await archive();
    expect(outcome.staying).to.deep.equal([]);
    expect(outcome.archived[0]).to.include({ first_seq: 1 });
    const after = recording.incident(id)!;
    const versionBefore = before.incident.version;
    expect(lasting(after)).to.deep.equal(lasting(before.incident));
    expect(after.version).to.equal(versionBefore + 1);
    expect(after.hash).to.equal((await carriedEntries())[0]!.entry_hash);
    expect(shown()).to.deep.equal(before.shown);
    expect(listed()).to.deep.equal(before.listed.filter((one) => listed().includes(one)));
    await expectProved();
    await expectValid();
    await expectSameAfterRebuild();
    expect(recording.incident(id)).to.deep.equal(after);
    await expectProved();

    const seen = await recording.recorder.perform('acknowledge', { id }, versionBefore);
    expect(seen.change, 'a command that has not seen it is still right').to.equal('unchanged');
    expect(retold('first')).to.deep.equal({ isSame: true, id });
    expect(retold('second')).to.deep.equal({ isSame: true, id });
    const again = { ...report, class: 'model_behavior_anomaly', dedup_key: 'same', evidence: { model_name: 'm' } };
    const recurred = await recording.recorder.report(again as never);
    expect(recurred).to.include({ change: 'recurred' });
    expect(recurred.incident.id).to.equal(id);
    expect(recording.incident(id)).to.include({ occurrences: 3 });
    recording.carriedOut.length = 0;
    await recording.recorder.perform('resolve', { id, caller: operator('ada') });
    expect(recording.carriedOut).to.include(`quarantine_model release ${id}`);
    await expectSameAfterRebuild();
  });

  it('keeps what was released early, and what became of the release', async () => {
    const id = await old();
    const released = {
      id,
      action: 'quarantine_model',
      reason: 'the model is needed',
      caller: operator('ada'),
    } as const;
    await recording.recorder.release(released);
    const release = () => recording.projections.posture.of('quarantine_model').release;
    expect(release()).to.deep.include({ incident: id });
    const refused = { type: 'refused', error: 'answered 400: no' } as const;
    await recording.incidents
      .actor(id)
      .send({ type: 'deliver', action: 'quarantine_model', directive: 'release', news: refused });
    await fill(30);
    const outcome = await archive();
    expect(outcome.staying).to.deep.equal([]);
    expect(outcome.archived[0]).to.include({ first_seq: 1 });
    const after = recording.incident(id)!;
    expect(after.containment?.actions[0]?.released_early).to.deep.include({ by: 'ada', reason: 'the model is needed' });
    expect(release()?.delivery.status).to.equal('needs_person');
    await expectProved();
    await expectValid();
    await expectSameAfterRebuild();
    expect(recording.incident(id)).to.deep.equal(after);
    expect(release()?.delivery.status).to.equal('needs_person');
    await expectProved();
    await recording.recorder.perform('contain', { id, caller: operator('ada') });
    expect(recording.incident(id)?.containment?.actions[0]).to.include({ status: 'pending', round: 1 });
    expect(release()).to.equal(null);
    await recording.recorder.release(released);
    await recording.recorder.perform('resolve', { id, caller: operator('ada') });
    await expectProved();
    await expectSameAfterRebuild();
  });

  it('is carried over once only, and leaves with its last entries when it is resolved', async () => {
    const id = await old();
    await fill(30);
    await archive();
    await fill(30);
    const { entries } = recording.log.status;
    await archive();
    expect(recording.incident(id)?.id).to.equal(id);
    expect(recording.log.status.entries).to.be.greaterThan(entries);
    await expectProved();
    await expectSameAfterRebuild();
    await recording.recorder.perform('resolve', { id, caller: operator('ada') });
    const { incidents } = recording;
    const release = { type: 'deliver', action: 'quarantine_model', directive: 'release' } as const;
    const receipt = { by: 'answer', status: 200 } as const;
    await incidents.actor(id).send({ ...release, news: { type: 'confirmed', attempted: true, receipt } });
    await fill(40);
    const { resolved_count, contained_count } = recording.projections.statistics.read();
    await archive();
    expect(recording.incident(id)).to.equal(undefined);
    expect(recording.projections.statistics.read()).to.include({ resolved_count, contained_count });
    await expectProved();
    await expectValid();
    await expectSameAfterRebuild();
    expect(recording.projections.statistics.read()).to.include({ resolved_count, contained_count });
  });

  it('keeps the entries that stay in its history, and names the files of the others', async () => {
    const id = await old();
    await fill(40);
    await recording.recorder.perform('contain', { id, caller: operator('bob') });
    const versionOfContain = recording.incident(id)!.version;
    recording.clock.milliseconds += HOUR;
    const { archived } = await archive();
    const history = (await recording.record.reads.history(id, 0))!.lines.map((line) => JSON.parse(line.toString()));
    expect(history.map(({ event }) => event)).to.include.members(['incident.contained', 'incident.carried']);
    expect(history[0].data.version).to.equal(versionOfContain);
    const files = archived.map((one) => basename(one.path));
    const { earlier } = history.find(({ event }) => event === 'incident.carried').data;
    expect(files).to.include.members(earlier.files);
    expect(earlier.note).to.equal(`earlier entries are in the archive: ${earlier.files.join(', ')}`);
    await expectProved();
    await expectSameAfterRebuild();
    expect((await recording.record.reads.history(id, 0))!.lines).to.have.length(history.length);
    await expectProved();
  });

  it('given an end at each entry of the archiving, is the same, and the next run goes on', async () => {
    const id = await old();
    await fill(20);
    const { incident: second } = await recording.recorder.report({ ...report, class: 'tool_call_burst' });
    await fill(45);
    const before = recording.incident(id)!;
    const ends: string[] = [];
    for (let stop = 1; stop <= 12 && !ends.includes('at its end'); stop++) {
      const { log } = recording;
      const append = log.append.bind(log);
      let left = stop;
      log.append = (drafts) => (left-- > 1 ? append(drafts) : Promise.reject(new Error('killed')));
      const ended = await archive().then(
        () => 'at its end',
        (error: Error) => error.message,
      );
      ends.push(ended);
      await between(stop % 2 === 0 ? deleteDatabase : () => undefined);
      await expectSameAfterRebuild();
      expect(lasting(recording.incident(id)!)).to.deep.equal(lasting(before));
      await expectProved();
      await expectValid();
    }
    expect(ends.length).to.be.greaterThan(3);
    expect((await archive()).archived).to.deep.equal([]);
    const carried = await carriedEntries();
    expect(carried.map(({ data }) => data.incident)).to.have.members([...new Set([id, second.id])]);
    await expectProved();
    await expectSameAfterRebuild();
  });

  it('given files that have come back from the archive, is the same', async () => {
    const id = await old();
    await fill(40);
    await archive();
    const before = await between(tables);
    for (const name of readdirSync(join(home, 'archive'))) renameSync(join(home, 'archive', name), join(home, name));
    await expectValid();
    expect(await between(tables)).to.equal(before);
    await between(deleteDatabase);
    expect(await between(tables)).to.equal(before);
    expect(recording.incident(id)?.id).to.equal(id);
    await expectProved();
    const all = await filesOf(path());
    expect((await verifyFiles(all, HASH)).damage).to.equal(undefined);
  });

  it('that is carried over as another than it was contradicts the log', async () => {
    const id = await old();
    await fill(40);
    const before = recording.projections.current().incident(id)!;
    await archive();
    const [entry] = await carriedEntries();
    expect(fold(undefined, entry!).incident).to.include({ id, state: 'acknowledged', note: 'seen' });
    const record = { ...recording.incidents.actor(id).read(), seq: before.seq, decisive: before.decisive };
    const known = { ...record, carried: undefined, incident: { ...before.incident } };
    expect(fold(known, entry!).incident.version).to.equal(entry!.data.version);
    const forged = { ...entry!, data: { ...entry!.data, record: { ...entry!.data.record, note: 'nothing happened' } } };
    expect(() => fold(known, forged)).to.throw('it carries over another state than there was');
  });

  it('that was imported is rebuilt from the log, carried over, and leaves like any other', async () => {
    const claimed = {
      id: 'INC-20260301-120000-0001',
      created_at: '2026-03-01T12:00:00Z',
      class: 'model_behavior_anomaly',
      severity: 'low',
      source: 'gpu-integrity-watch',
      description: 'drift',
      containment_actions: ['quarantine_model', 'log_alert'],
    } as const;
    const states = ['contained', 'acknowledged', 'open', 'resolved', 'containment_failed'] as const;
    const imported = states.map((state, n) => ({ ...claimed, id: `${claimed.id.slice(0, -1)}${n}`, state }));
    expect(await recording.recorder.import(imported)).to.deep.equal({ imported: 5, skipped: 0 });
    expect(await recording.recorder.import(imported)).to.deep.equal({ imported: 0, skipped: 5 });
    expect(recording.carriedOut).to.deep.equal([]);
    expect(recording.projections.posture.of('quarantine_model')).to.deep.include({
      holders: 3,
      counts: { needs_person: 3 },
    });
    await expectSameAfterRebuild();
    await expectProved();
    await fill(40);
    const before = shown();
    const { carried } = await archive();
    expect(carried).to.equal(4);
    expect(shown()).to.deep.equal(before);
    await expectProved();
    await expectSameAfterRebuild();
    for (const { id, state } of imported)
      if (state !== 'resolved') await recording.recorder.perform('resolve', { id, caller: operator('ada') });
    expect(recording.projections.posture.of('quarantine_model').holders).to.equal(0);
    await expectSameAfterRebuild();
    await expectProved();
  });

  it('is known by its keys before the log is read', async () => {
    const id = await old();
    await fill(40);
    await archive();
    expect(recording.log.fileOf(1).first).to.be.greaterThan(1);
    const early = new EarlyIndex();
    await early.read(recording.log, () => false);
    const { class: ofClass, source, description } = recording.incident(id)!;
    const same = { class: ofClass, source, description, dedup_key: 'same' };
    expect(early.isNewDedupKey(same, '')).to.equal(false);
    expect(early.isNewDedupKey({ ...same, dedup_key: 'another' }, '')).to.equal(true);
    const tags = new RequestTags(HASH.digest('requests of reports'));
    const isNew = (key: string): boolean => {
      const request = { key, fingerprint: 'f' };
      return early.isNewRequest(tags.of(source, request), request);
    };
    expect([isNew('first'), isNew('second'), isNew('third')]).to.deep.equal([false, false, true]);
  });

  it('that does not fit in an entry keeps its segment, and says so', async () => {
    // Each character takes six bytes in the log.
    const large = { ...report, dedup_key: 'large', evidence: { text: '\u0085'.repeat(100_000) } };
    const { id } = (await recording.recorder.report(large)).incident;
    await recording.recorder.report(large);
    await fill(40);
    const before = recording.log.status.entries;
    const { staying, carried } = await archive();
    expect(staying[0]?.reason).to.match(
      /^incident INC-\S+ is not resolved, and can't be carried over: the entry would be longer than/,
    );
    expect(carried).to.equal(0);
    expect(recording.log.status.state).to.equal('open');
    expect(recording.log.status.entries).to.be.at.least(before);
    expect(recording.incident(id)).to.include({ occurrences: 2 });
    await expectSameAfterRebuild();
  });

  it('waits for the next run when there are too many of them', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.push((await recording.recorder.report(report)).incident.id);
    await fill(40);
    const { log, projections, incidents, clock } = recording;
    const few = new Archivist({ log, projections, incidents, clock, isVerified: () => true, mostCarried: 3 });
    const first = await few.archive(clock.now() - 24 * HOUR);
    expect(first.carried).to.equal(3);
    expect(first.staying[0]?.reason).to.equal(
      '3 unresolved incidents were carried over in this run; the next one goes on',
    );
    await expectSameAfterRebuild();
    const second = await archive();
    expect(second.carried).to.equal(2);
    expect(second.archived[0]).to.include({ first_seq: 1 });
    for (const id of ids) expect(recording.incident(id)).to.include({ id, state: 'contained' });
    await expectProved();
    await expectSameAfterRebuild();
  });

  it('is not shown with its requests, nor to anybody with what services said', async () => {
    const id = await old();
    await fill(40);
    await archive();
    const line = (await recording.record.reads.history(id, 0))!.lines.find((one) => one.includes('incident.carried'))!;
    expect(line.includes('answered 500: no')).to.equal(true);
    const lineFor = (words: boolean): string => shownLine(line, { words, evidence: true }).toString();
    const [trusted, anybody] = [lineFor(true), lineFor(false)];
    expect(JSON.parse(trusted).data).to.not.have.property('requests');
    expect(trusted).to.include('answered 500: no');
    expect(anybody).to.not.include('answered 500: no').and.not.include('"requests":[');
    expect(JSON.parse(anybody).data.withheld).to.deep.equal(['requests', 'record.containment']);
  });
});
