/** What one reporter could do to others: use their keys, look like them, lower severities, send floods. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Rule } from '../../machines/vocabulary.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import type { Caller } from '../../src/domain/caller.ts';
import type { Idempotency, Report } from '../../src/domain/entries.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { RecorderError } from '../../src/errors.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

type Options = NonNullable<Parameters<typeof Recording.open>[1]>;

const report: Report = { class: 'tool_call_burst', source: 'svc-a', description: 'a report' };
const key = { key: 'alert-2026-11-30-0042', fingerprint: 'f'.repeat(64) };

describe('a reporter', () => {
  const directory = temporaryDirectories();
  let home: string;
  let options: Options;
  let recording: Recording;

  const open = async (given: Options = {}): Promise<void> => {
    options = given;
    recording = await Recording.open(home, given);
  };
  const reopen = async (given: Options = options): Promise<void> => {
    const { milliseconds } = recording.clock;
    await recording.close();
    await open(given);
    recording.clock.milliseconds = milliseconds;
  };

  beforeEach(async () => {
    home = directory();
    await open();
  });
  afterEach(() => recording.close());

  const reported = async (given: Report = report): Promise<Incident> =>
    parsed((await recording.recorder.report(given)).incident);
  const log = (): string => readFileSync(Recording.logIn(home), 'utf8');
  const entries = (): { event: string; data: Record<string, unknown> }[] =>
    log()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  const alerts = (): unknown[] =>
    entries().flatMap(({ event, data }) => (event === 'alert.raised' ? [data.reason] : []));

  describe('with a token of its own', () => {
    const canary: Caller = { principal: 'canary', role: 'reporter', by: 'canary' };
    const other: Caller = { principal: 'other', role: 'reporter', by: 'other' };
    const shared: Caller = { principal: 'service-token', role: 'reporter' };
    const ALL = [canary, other, shared];
    const send = (given: Report, caller: Caller | undefined, idempotency?: Idempotency) =>
      recording.recorder.report(given, idempotency, 0, caller);

    it('uses dedup_key for itself: nobody else reports an occurrence of its incident', async () => {
      const same = { ...report, dedup_key: 'k' };
      const first = await Promise.all(ALL.map((caller) => send(same, caller)));
      expect(first.map(({ change }) => change)).to.deep.equal(['created', 'created', 'created']);
      await reopen();
      const again = await Promise.all(ALL.map((caller) => send(same, caller)));
      expect(again.map(({ change }) => change)).to.deep.equal(['recurred', 'recurred', 'recurred']);
      expect(again.map(({ incident }) => incident.id)).to.deep.equal(first.map(({ incident }) => incident.id));
      expect(again.map(({ incident }) => parsed(incident).reported_by)).to.deep.equal(ALL.map((one) => one.principal));
    });

    it('uses an idempotency key for itself', async () => {
      const first = await Promise.all(ALL.map((caller) => send(report, caller, key)));
      expect(first.map(({ change }) => change)).to.deep.equal(['created', 'created', 'created']);
      await reopen();
      const different = await send(report, { ...other, principal: 'third' }, { ...key, fingerprint: '0'.repeat(64) });
      expect(different.change).to.equal('created');
      const again = await Promise.all(ALL.map((caller) => send(report, caller, key)));
      expect(again.map(({ change, incident }) => [change, incident.id])).to.deep.equal(
        first.map(({ incident }) => ['replayed', incident.id]),
      );
    });

    it('does not meet what is on record without a principal, and the shared token does', async () => {
      const same = { ...report, dedup_key: 'k' };
      const { incident: old } = await send(same, undefined, key);
      expect(parsed(old).reported_by).to.equal(undefined);
      await reopen();
      expect((await send(same, canary, key)).change).to.equal('created');
      expect(await send(same, shared)).to.have.nested.property('incident.id', old.id);
      expect((await send(same, shared, key)).change).to.equal('replayed');
    });

    it('has its own bursts', async () => {
      await reopen({ burst: { reports: 3, within: MINUTE } });
      for (const caller of [canary, other]) for (let n = 0; n < 3; n++) await send(report, caller);
      await reopen();
      const [of, ofOther] = [await send(report, canary), await send(report, other)];
      expect([of.change, ofOther.change]).to.deep.equal(['recurred', 'recurred']);
      expect([parsed(of.incident).reported_by, parsed(ofOther.incident).reported_by]).to.deep.equal([
        'canary',
        'other',
      ]);
      expect((await send(report, shared)).change).to.equal('created');
    });
  });

  describe('with an idempotency key', () => {
    it('uses it for itself: another source may use the same', async () => {
      const first = await recording.recorder.report(report, key);
      const other = await recording.recorder.report(
        { ...report, source: 'svc-b' },
        { ...key, fingerprint: '0'.repeat(64) },
      );
      expect(other.change).to.equal('created');
      await reopen();
      const again = await recording.recorder.report(report, key);
      expect([again.change, again.incident.id]).to.deep.equal(['replayed', first.incident.id]);
    });

    it('leaves neither the key nor the fingerprint in the log', async () => {
      await recording.recorder.report({ ...report, dedup_key: 'k' }, key);
      await recording.recorder.report({ ...report, dedup_key: 'k' }, { ...key, key: 'alert-2026-11-30-0043' });
      expect(log()).to.not.include('alert-2026').and.not.include(key.fingerprint);
      expect(entries().map(({ data }) => data.idempotency)).to.deep.equal([undefined, undefined]);
    });

    it('finds what it reported under the key in an old entry, and nobody else does', async () => {
      const id = 'INC-20261122-000000000001';
      const data = { incident: id, version: 1, state: 'contained', severity: 'medium', report } as const;
      const rule: Rule = { auto_contain: true, actions: ['freeze_agent'], default_severity: 'medium' };
      const intents = [{ action: 'freeze_agent', directive: 'engage', via: 'poll' }] as const;
      const timestamp = '2026-11-22T07:12:00.123Z';
      await recording.log.append([
        { timestamp, event: 'incident.reported', data: { ...data, rule, intents, idempotency: key } },
      ]);
      recording.projections.reset();
      await reopen();
      const again = await recording.recorder.report(report, key);
      expect([again.change, again.incident.id]).to.deep.equal(['replayed', id]);
      const other = await recording.recorder.report({ ...report, source: 'svc-b' }, key);
      expect(other.change).to.equal('created');
      const error: unknown = await recording.recorder
        .report(report, { ...key, fingerprint: '0'.repeat(64) })
        .catch((reason: unknown) => reason);
      expect(error).to.have.property('code', 'idempotency_mismatch');
    });
  });

  describe('with a name', () => {
    const suspicious = async (source: string): Promise<boolean> =>
      (await reported({ ...report, source })).source_suspicious === true;

    it('is suspicious when that mixes scripts, also in later reports and after a restart', async () => {
      for (const source of ['\u0430irlock', 'airl\u03bfck', 'a' + '\u0301'.repeat(9)]) {
        expect(await suspicious(source), source).to.equal(true);
      }
      await reopen();
      expect(await suspicious('\u0430irlock')).to.equal(true);
      for (const source of ['airlock', 'Überwachung', 'воздушный шлюз', 'エアロックA', '气闸 2']) {
        expect(await suspicious(source), source).to.equal(false);
      }
    });

    it('is suspicious when that looks like another on record', async () => {
      expect(await suspicious('airlock-1')).to.equal(false);
      const lookalikes = ['AIRLOCK-1', 'airlock-l', 'air1ock-1', '\uff41irlock-1', 'a\u0131rlock-1', 'airlock\u20101'];
      for (const source of lookalikes) expect(await suspicious(source), source).to.equal(true);
      expect(await suspicious('airlock-2')).to.equal(false);
      await reopen();
      expect(await suspicious('airlock-1')).to.equal(false);
      expect(await suspicious('AIRLOCK-1')).to.equal(true);
      recording.projections.reset();
      await reopen();
      expect(await suspicious('airlock-1')).to.equal(false);
      expect(await suspicious('AIRLOCK-1')).to.equal(true);
    });
  });

  describe('that lowers the severity', () => {
    const critical: Rule = { auto_contain: false, actions: ['log_alert'], default_severity: 'critical' };
    const low: Report = { class: 'unauthorized_access', source: 'attestor', description: 'd', severity: 'low' };

    it('leaves that of the class visible, and raises an alert where it is critical', async () => {
      await reopen({ rules: { unauthorized_access: critical } });
      const incident = await reported(low);
      expect(incident).to.include({ severity: 'low', default_severity: 'critical' });
      expect(alerts()).to.deep.equal(['reported as low; its class is critical']);
      expect(await reported({ ...report, severity: 'low' })).to.include({ default_severity: 'medium' });
      expect(await reported({ ...report, severity: 'high' })).to.not.have.property('default_severity');
      expect(alerts()).to.have.length(1);
      await reopen();
      expect(recording.incident(incident.id)).to.include({ severity: 'low', default_severity: 'critical' });
    });

    it('can be forbidden to by the rule', async () => {
      await reopen({ rules: { unauthorized_access: { ...critical, min_severity: 'high' } } });
      const incident = await reported({ ...low, dedup_key: 'k' });
      expect(incident).to.include({ severity: 'high', reported_severity: 'low', default_severity: 'critical' });
      const raised = await reported({ ...low, severity: 'critical', dedup_key: 'k' });
      expect(raised).to.include({ id: incident.id, severity: 'critical' });
      expect(raised).to.not.have.any.keys('default_severity', 'reported_severity');
    });
  });

  describe('that floods', () => {
    const burst = { reports: 5, within: MINUTE };
    const changes = async (count: number, given: Report = report): Promise<string[]> => {
      const made: string[] = [];
      for (let n = 0; n < count; n++) made.push((await recording.recorder.report(given)).change);
      return made;
    };
    const times = (created: number, recurred: number): string[] => [
      ...Array<string>(created).fill('created'),
      ...Array<string>(recurred).fill('recurred'),
    ];

    it('has further reports of a burst folded into its newest incident, with one alert', async () => {
      await reopen({ burst });
      expect(await changes(12)).to.deep.equal(times(5, 7));
      expect(alerts()).to.deep.equal(['a burst of reports: further ones are occurrences of this incident']);
      expect(await changes(2, { ...report, source: 'svc-b' })).to.deep.equal(times(2, 0));
      expect(await changes(2, { ...report, class: 'prompt_injection' })).to.deep.equal(times(2, 0));
      expect(recording.projections.statistics.read().total_incidents).to.equal(9);
      recording.clock.milliseconds += 3 * MINUTE;
      expect(await changes(1)).to.deep.equal(times(1, 0));
    });

    it('has its severities, its keys and its newest incident kept in a burst', async () => {
      await reopen({ burst });
      const keyed = await reported({ ...report, dedup_key: 'k' });
      await changes(6);
      const worse = await reported({ ...report, severity: 'critical' });
      expect(worse).to.include({ severity: 'critical', occurrences: 4 });
      expect(await reported({ ...report, dedup_key: 'k' })).to.include({ id: keyed.id, occurrences: 2 });
      await recording.recorder.perform('resolve', { id: worse.id });
      const opened = await reported();
      expect(opened).to.include({ occurrences: 1 });
      expect(await reported()).to.include({ id: opened.id, occurrences: 2 });
    });

    it('stays in its burst over a restart', async () => {
      await reopen({ burst });
      await changes(3);
      await reopen();
      expect(await changes(4)).to.deep.equal(times(2, 2));
      await changes(5);
      recording.clock.milliseconds += 30 * SECOND;
      await reopen();
      expect(await changes(3)).to.deep.equal(times(0, 3));
      expect(alerts()).to.have.length(1);
    });

    it('has a report open an incident each, unless the policy folds bursts', async () => {
      expect(await changes(12)).to.deep.equal(times(12, 0));
    });

    it('may send as many bytes a day as the policy says, with one alert', async () => {
      const send = async (source: string, bytes: number): Promise<unknown> =>
        recording.recorder.report({ ...report, source }, undefined, bytes).then(
          ({ change }) => change,
          (error: unknown) => (error instanceof RecorderError ? [error.status, error.fields.retry_after] : error),
        );
      await reopen({ report_bytes_per_day: 10_000 });
      recording.clock.milliseconds = Date.parse('2026-11-23T22:00:00Z');
      expect(await send('svc-a', 6000)).to.equal('created');
      expect(await send('svc-a', 6000)).to.deep.equal([429, 7200]);
      expect(await send('svc-a', 6000)).to.deep.equal([429, 7200]);
      expect(await send('svc-b', 6000)).to.equal('created');
      expect(alerts()).to.deep.equal(['the source has reported more than 10000 bytes today; it is refused']);
      recording.clock.milliseconds += 2 * HOUR;
      expect(await send('svc-a', 10_000)).to.equal('created');
      recording.clock.milliseconds += DAY;
      expect(await send('svc-a', 10_000)).to.equal('created');
    });

    it('has what it sent before a restart counted', async () => {
      for (let n = 0; n < 10; n++) await reported({ ...report, description: 'x'.repeat(1000) });
      await reopen({ report_bytes_per_day: 10_000 });
      const error: unknown = await recording.recorder
        .report(report, undefined, 1000)
        .catch((reason: unknown) => reason);
      expect(error).to.have.property('code', 'quota_exceeded');
    });
  });
});
