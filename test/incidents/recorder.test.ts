import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { verifyLog } from '../../src/audit/verify.ts';
import { RecorderError } from '../../src/errors.ts';
import { HASH } from '../support/audit-log.ts';
import { operator, parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import type { Report } from '../../src/domain/entries.ts';

const injection: Report = { class: 'prompt_injection', source: 'tool-firewall', description: 'ignore all previous …' };
const airlock: Report = { class: 'forbidden_airlock_request', source: 'airlock', description: 'POST to example.org' };

const refusal = async (work: Promise<unknown>): Promise<RecorderError> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(RecorderError);
  return error as RecorderError;
};

describe('Recorder', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;

  beforeEach(async () => {
    home = directory();
    recording = await Recording.open(home);
  });
  afterEach(() => recording.close());

  const entries = (): { event: string; data: Record<string, unknown> }[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  const events = (): string[] => entries().map(({ event }) => event);

  const reported = async (report: Report = injection) => parsed((await recording.recorder.report(report)).incident);

  describe('report', () => {
    it('given a rule that contains by itself, then contained, with its actions carried out and its alert in the log', async () => {
      const incident = await reported();
      expect(incident).to.deep.include({
        class: 'prompt_injection',
        severity: 'high',
        state: 'contained',
        containment_actions: ['freeze_agent', 'log_alert'],
        contained_at: incident.created_at,
        occurrences: 1,
        version: 2,
      });
      expect(incident.id).to.match(/^INC-20261122-[0-9a-f]{12}$/);
      expect(events()).to.deep.equal(['incident.reported', 'alert.raised']);
      expect(recording.carriedOut).to.deep.equal([
        `freeze_agent engage ${incident.id}`,
        `log_alert engage ${incident.id}`,
      ]);
    });

    it('given a rule that does not, then open, with nothing carried out', async () => {
      const incident = await reported(airlock);
      expect(incident).to.include({ severity: 'medium', state: 'open', version: 1 });
      expect(incident).to.not.have.any.keys('containment_actions', 'contained_at', 'evidence');
      expect(recording.carriedOut).to.deep.equal([]);
    });

    it('takes the severity of the report over that of the rule', async () => {
      expect(await reported({ ...airlock, severity: 'critical' })).to.include({ severity: 'critical' });
    });

    it('gives the evidence back as it came, in the log as well', async () => {
      const evidence = { z: 1, a: [-0, 1e16, { 'é\u2028': null }], '10': 'x' };
      const incident = await reported({ ...airlock, evidence });
      expect(incident.evidence).to.deep.equal(evidence);
      expect(entries()[0]).to.have.deep.nested.property('data.report.evidence', evidence);
    });

    it('shows nothing of an incident before it is on disk', async () => {
      const work = recording.recorder.report(injection);
      expect(recording.projections.statistics.read().total_incidents).to.equal(0);
      const { incident } = await work;
      expect(recording.projections.incidents.get(incident.id)?.json).to.equal(incident.json);
    });
  });

  describe('perform', () => {
    it('takes an incident to its end, and the record tells who did it', async () => {
      const { id } = await reported(airlock);
      const step = async (command: 'contain' | 'acknowledge' | 'resolve') =>
        parsed((await recording.recorder.perform(command, { id, caller: operator('ada'), note: command })).incident);
      recording.clock.milliseconds += 1000;
      expect(await step('contain')).to.deep.include({
        state: 'contained',
        contained_by: 'ada',
        containment_actions: ['log_alert'],
        note: 'contain',
      });
      expect(await step('acknowledge')).to.include({
        state: 'acknowledged',
        acknowledged_by: 'ada',
        note: 'acknowledge',
      });
      const resolved = await step('resolve');
      expect(resolved).to.include({
        state: 'resolved',
        resolved_by: 'ada',
        resolved_at: '2026-11-22T07:12:01.123Z',
        version: 5,
      });
      expect(events()).to.deep.equal([
        'incident.reported',
        'incident.contained',
        'alert.raised',
        'incident.acknowledged',
        'incident.resolved',
      ]);
      expect(recording.carriedOut).to.deep.equal([`log_alert engage ${id}`, `log_alert release ${id}`]);
    });

    it('given the state that it leads to, then nothing happens', async () => {
      const { id } = await reported();
      const first = await recording.recorder.perform('resolve', { id, caller: operator('ada') });
      const again = await recording.recorder.perform('resolve', { id, caller: operator('bob'), note: 'me too' });
      expect(again).to.deep.equal({ incident: first.incident, change: 'unchanged' });
      expect(events()).to.have.length(3);
    });

    it('given a state that does not take it, then refused with what is allowed, and nothing moves', async () => {
      const { id } = await reported();
      await recording.recorder.perform('resolve', { id });
      const error = await refusal(recording.recorder.perform('acknowledge', { id }));
      expect(error).to.include({ code: 'illegal_transition', status: 409 });
      expect(error.fields).to.deep.include({ state: 'resolved', allowed: [] });
      expect(events()).to.have.length(3);
    });

    it('given an incident that is not on record, then not found', async () => {
      expect(await refusal(recording.recorder.perform('resolve', { id: 'INC-20261122-000000000000' }))).to.include({
        code: 'not_found',
        message: 'incident not found',
      });
    });

    it('given another version than expected, then refused', async () => {
      const { id, version } = await reported();
      expect(await refusal(recording.recorder.perform('resolve', { id }, version - 1))).to.include({
        code: 'stale_version',
      });
      expect((await recording.recorder.perform('resolve', { id }, version)).change).to.equal('moved');
    });

    it('given many commands at once, then each decides on what the one before it left', async () => {
      const { id } = await reported();
      const outcomes = await Promise.allSettled([
        recording.recorder.perform('acknowledge', { id }),
        recording.recorder.perform('resolve', { id }),
        recording.recorder.perform('acknowledge', { id }),
        recording.recorder.perform('resolve', { id }),
      ]);
      const told = outcomes.map((outcome) =>
        outcome.status === 'fulfilled' ? outcome.value.change : outcome.reason.code,
      );
      expect(told).to.deep.equal(['moved', 'moved', 'illegal_transition', 'unchanged']);
    });
  });

  describe('reports that are sent twice', () => {
    const key = { key: 'k-1', fingerprint: 'f'.repeat(64) };

    it('given the same key and body, then the first incident as it is now, and one entry', async () => {
      const first = await recording.recorder.report(airlock, key);
      await recording.recorder.perform('acknowledge', { id: first.incident.id });
      const again = await recording.recorder.report(airlock, key);
      expect(again.change).to.equal('replayed');
      expect(parsed(again.incident)).to.include({ id: first.incident.id, state: 'acknowledged' });
      expect(events()).to.deep.equal(['incident.reported', 'incident.acknowledged']);
    });

    it('given the same key and body at the same time, then one incident', async () => {
      const outcomes = await Promise.all([1, 2, 3].map(() => recording.recorder.report(airlock, key)));
      expect(outcomes.map(({ change }) => change)).to.deep.equal(['created', 'replayed', 'replayed']);
    });

    it('given the same key and another body, then refused', async () => {
      await recording.recorder.report(airlock, key);
      const other = { ...key, fingerprint: '0'.repeat(64) };
      expect(await refusal(recording.recorder.report(airlock, other))).to.include({
        code: 'idempotency_mismatch',
        status: 422,
      });
    });

    it('remembers keys across restarts', async () => {
      const first = await recording.recorder.report(airlock, key);
      await recording.close();
      recording = await Recording.open(home);
      const again = await recording.recorder.report(airlock, key);
      expect(again).to.deep.equal({ incident: first.incident, change: 'replayed' });
    });

    it('given a dedup_key of an unresolved incident of that class and source, then an occurrence is added', async () => {
      const report = { ...airlock, dedup_key: 'host-7' };
      const first = await reported(report);
      recording.clock.milliseconds += 60_000;
      const again = await recording.recorder.report({ ...report, description: 'once more', evidence: { n: 2 } });
      expect(again.change).to.equal('recurred');
      expect(parsed(again.incident)).to.include({
        id: first.id,
        occurrences: 2,
        last_seen_at: '2026-11-22T07:13:00.123Z',
        description: first.description,
        state: 'open',
        version: 2,
      });
      expect(entries()[1]).to.have.nested.property('data.report.description', 'once more');
    });

    it('given the same dedup_key of another source or class, or of a resolved incident, then another incident', async () => {
      const report = { ...airlock, dedup_key: 'host-7' };
      const { id } = await reported(report);
      expect((await recording.recorder.report({ ...report, source: 'other' })).change).to.equal('created');
      expect((await recording.recorder.report({ ...report, class: 'tool_call_burst' })).change).to.equal('created');
      await recording.recorder.perform('resolve', { id });
      expect((await recording.recorder.report(report)).change).to.equal('created');
    });

    it('given many with one dedup_key at once and a resolve among them, then none is lost', async () => {
      const report = { ...airlock, dedup_key: 'burst' };
      const { id } = await reported(report);
      const work = Array.from({ length: 20 }, () => recording.recorder.report(report));
      await recording.recorder.perform('resolve', { id });
      await Promise.all(work);
      const all = recording.projections.list
        .read({ classes: [], states: [], severities: [], sources: [], limit: 1000 })
        .documents.map((json) => JSON.parse(Buffer.from(json).toString()) as { occurrences: number });
      expect(all.reduce((sum, { occurrences }) => sum + occurrences, 0)).to.equal(21);
    });
  });

  describe('after a restart', () => {
    it('has every incident as it was, whether or not the projections are still there, and carries nothing out again', async () => {
      for (let n = 0; n < 5; n++) await reported(n % 2 === 0 ? injection : { ...airlock, dedup_key: 'x' });
      const ids = entries()
        .filter(({ event }) => event === 'incident.reported')
        .map(({ data }) => String(data.incident));
      await recording.recorder.perform('acknowledge', { id: ids[0]! });
      await recording.recorder.perform('resolve', { id: ids[1]! });
      const before = [
        ids.map((id) => recording.projections.incidents.get(id)),
        recording.projections.statistics.read(),
      ];
      const places = ids.map((id) => recording.projections.entriesOf(id));
      for (const forget of [false, true]) {
        if (forget) recording.projections.reset();
        await recording.close();
        recording = await Recording.open(home);
        const after = [
          ids.map((id) => recording.projections.incidents.get(id)),
          recording.projections.statistics.read(),
        ];
        expect(after).to.deep.equal(before);
        expect(ids.map((id) => recording.projections.entriesOf(id))).to.deep.equal(places);
        expect(recording.carriedOut).to.deep.equal([]);
      }
      expect((await recording.recorder.perform('resolve', { id: ids[0]! })).change).to.equal('moved');
      expect(await verifyLog(Recording.logIn(home), HASH)).to.not.have.property('damage');
    });
  });

  it('keeps no more live actors than it may, and wakes the others when they are asked for', async () => {
    await recording.close();
    recording = await Recording.open(home, { liveActors: 4 });
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await reported(airlock)).id));
    expect(recording.incidents.figures.alive).to.equal(4);
    for (const id of ids) {
      const { incident } = await recording.recorder.perform('contain', { id });
      expect(parsed(incident).state).to.equal('contained');
      expect(recording.incidents.figures.alive).to.be.within(1, 4);
    }
    expect(recording.incidents.figures.alive).to.equal(4);
    for (const id of ids) await recording.recorder.perform('resolve', { id });
    expect(recording.incidents.figures.alive).to.equal(0);
    expect(recording.carriedOut).to.have.length(40);
  });
});
