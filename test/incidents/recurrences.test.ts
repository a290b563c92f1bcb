import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Rule } from '../../machines/vocabulary.ts';
import { HOUR, MINUTE } from '../../src/clock.ts';
import type { EntryOf, Report } from '../../src/domain/entries.ts';
import type { DeliveryNews } from '../../src/domain/delivery.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { RecorderError } from '../../src/errors.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const report: Report = {
  class: 'forbidden_airlock_request',
  source: 'airlock',
  description: 'routine probe',
  dedup_key: '203.0.113.7',
};
const worse: Report = { ...report, description: '48 GB exfiltrated', severity: 'critical', evidence: { bytes: 48e9 } };

const contains: Rule = { auto_contain: true, actions: ['freeze_agent', 'log_alert'], default_severity: 'medium' };
const leavesOpen: Rule = { auto_contain: false, actions: ['log_alert'], default_severity: 'medium' };

const freeze = { engage: { url: parseTargetUrl('http://127.0.0.1:1/freeze')!, action: 'freeze' } };

describe('a report with the dedup_key of an unresolved incident', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;

  const open = async (rule: Rule = leavesOpen): Promise<void> => {
    recording = await Recording.open(home, {
      rules: { forbidden_airlock_request: rule },
      targets: { freeze_agent: freeze },
    });
  };

  /** Opens the same record again, under another rule, at the same time. */
  const reopen = async (rule: Rule = leavesOpen): Promise<void> => {
    const { milliseconds } = recording.clock;
    await recording.close();
    await open(rule);
    recording.clock.milliseconds = milliseconds;
  };

  beforeEach(() => {
    home = directory();
    return open();
  });
  afterEach(() => recording.close());

  const reported = async (given: Report = report): Promise<Incident> =>
    parsed((await recording.recorder.report(given)).incident);
  const performed = async (command: 'acknowledge' | 'resolve' | 'contain', id: string): Promise<Incident> =>
    parsed((await recording.recorder.perform(command, { id })).incident);
  const deliver = (id: string, news: DeliveryNews) =>
    recording.incidents.actor(id).send({ type: 'deliver', action: 'freeze_agent', directive: 'engage', news });
  const entries = (): { event: string; data: Record<string, unknown> }[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  const alerts = (): unknown[] =>
    entries().flatMap(({ event, data }) => (event === 'alert.raised' ? [[data.severity, data.reason]] : []));
  const found = (query: object): string[] =>
    recording.projections.list
      .read({ classes: [], states: [], severities: [], sources: [], limit: 10, ...query })
      .documents.map((document) => (JSON.parse(Buffer.from(document).toString()) as Incident).id);
  const withWord = (text: string): string[] => found({ words: [{ text, isBeginning: false }] });

  it('raises the severity to the highest seen, and is shown beside the first', async () => {
    const { id } = await reported({ ...report, severity: 'low' });
    const raised = await reported(worse);
    expect(raised).to.deep.include({
      id,
      severity: 'critical',
      description: 'routine probe',
      occurrences: 2,
      latest_report: { severity: 'critical', description: '48 GB exfiltrated', evidence: { bytes: 48e9 } },
    });
    const after = await reported({ ...report, severity: 'low', description: 'harmless' });
    expect(after).to.include({ severity: 'critical', description: 'routine probe' });
    expect(after.latest_report).to.deep.equal({ severity: 'low', description: 'harmless' });
  });

  it('is found by list, search and statistics under its new severity, after a restart as well', async () => {
    const { id } = await reported({ ...report, severity: 'low' });
    await reported(worse);
    const check = (): void => {
      expect(found({ severities: ['critical'] })).to.deep.equal([id]);
      expect(found({ severities: ['low'] })).to.deep.equal([]);
      expect([withWord('exfiltrated'), withWord('routine')]).to.deep.equal([[id], [id]]);
      const { by_severity, total_incidents } = recording.projections.statistics.read();
      expect([by_severity, total_incidents]).to.deep.equal([{ critical: 1, high: 0, medium: 0, low: 0 }, 1]);
      expect(recording.projections.incidents.kindOf(id)).to.include({ severity: 'critical' });
    };
    check();
    await reopen();
    check();
    recording.projections.reset();
    await reopen();
    check();
  });

  it('raises one alert when the severity rises, and none when it does not', async () => {
    await reported({ ...report, severity: 'low' });
    for (let n = 0; n < 3; n++) await reported(worse);
    expect(alerts()).to.deep.equal([['critical', 'reported again, now as critical']]);
  });

  it('contains when the rule in force would, once', async () => {
    const { id } = await reported();
    await reopen(contains);
    expect(await reported()).to.include({ id, state: 'contained', occurrences: 2 });
    expect(await reported()).to.deep.include({
      id,
      state: 'contained',
      containment_actions: ['freeze_agent', 'log_alert'],
      occurrences: 3,
    });
    expect(recording.carriedOut).to.deep.equal([`freeze_agent engage ${id}`, `log_alert engage ${id}`]);
    expect(alerts()).to.deep.equal([['medium', 'containment asked for log_alert']]);
    expect(recording.projections.posture.of('freeze_agent').holders).to.equal(1);
  });

  it('engages what the rule has more by now', async () => {
    const { id } = await reported();
    await performed('contain', id);
    await reopen(contains);
    const { containment, containment_actions } = await reported();
    expect(containment_actions).to.deep.equal(['log_alert', 'freeze_agent']);
    expect(containment?.actions.map(({ status }) => status)).to.deep.equal(['confirmed', 'pending']);
    await performed('resolve', id);
    expect(recording.projections.posture.of('freeze_agent').holders).to.equal(0);
  });

  it('asks again for containment that has failed or was lost', async () => {
    await reopen(contains);
    const { id } = await reported();
    await deliver(id, { type: 'refused', error: 'answered 401' });
    expect(recording.incident(id)?.containment?.status).to.equal('degraded');
    const again = await reported();
    expect(again.containment).to.nested.include({ status: 'delivering', 'actions[0].status': 'pending' });
    await deliver(id, { type: 'confirmed', attempted: true, receipt: { by: 'answer', status: 200 } });
    await reported();
    expect(recording.carriedOut.filter((one) => one.startsWith('freeze'))).to.have.length(2);
    await deliver(id, { type: 'lost', reason: 'silent' });
    expect((await reported()).containment?.status).to.equal('delivering');
    expect(recording.carriedOut.filter((one) => one.startsWith('freeze'))).to.have.length(3);
    const { containment } = recording.incident(id)!;
    recording.projections.reset();
    await reopen(contains);
    expect(recording.incident(id)?.containment).to.deep.equal(containment);
  });

  describe('when the incident is acknowledged', () => {
    it('needs attention when the severity rises: open without containment, contained with it', async () => {
      const { id } = await reported();
      await performed('acknowledge', id);
      expect(await reported(worse)).to.include({ id, state: 'open' });
      await performed('contain', id);
      await performed('acknowledge', id);
      expect(await reported({ ...worse, severity: 'critical' })).to.include({ state: 'acknowledged' });
    });

    it('keeps what is engaged, and engages nothing again', async () => {
      await reopen(contains);
      const { id } = await reported();
      await deliver(id, { type: 'confirmed', attempted: true, receipt: { by: 'answer', status: 200 } });
      await performed('acknowledge', id);
      const back = await reported(worse);
      expect(back).to.deep.include({ state: 'contained', severity: 'critical' });
      expect(back.containment?.status).to.equal('confirmed');
      expect(recording.carriedOut).to.have.length(2);
      const statistics = recording.projections.statistics.read();
      expect(statistics.contained_count).to.equal(1);
      await performed('acknowledge', id);
      await performed('resolve', id);
      expect(recording.projections.posture.of('freeze_agent').holders).to.equal(0);
      const before = recording.projections.statistics.read();
      recording.projections.reset();
      await reopen(contains);
      expect(recording.projections.statistics.read()).to.deep.equal(before);
    });

    it('needs attention after an hour without an occurrence, and not before', async () => {
      const { id } = await reported();
      await performed('acknowledge', id);
      for (let n = 0; n < 4; n++) {
        recording.clock.milliseconds += HOUR - MINUTE;
        expect(await reported()).to.include({ id, state: 'acknowledged' });
      }
      recording.clock.milliseconds += HOUR;
      expect(await reported()).to.include({ id, state: 'open' });
      const [recurred, alert] = entries().slice(-2) as unknown as readonly [
        EntryOf<'incident.recurred'>,
        EntryOf<'alert.raised'>,
      ];
      expect(recurred.data.attention).to.equal('silence');
      expect(alert.event).to.equal('alert.raised');
      expect(alert.data).to.include({
        incident: id,
        state: 'open',
        reason: 'reported again after a long time without an occurrence: it needs attention',
      });
      await reopen();
      expect(recording.incident(id)).to.include({ state: 'open' });
    });

    it('contains when the rule in force would, and stays acknowledged when nothing else is new', async () => {
      const { id } = await reported();
      await performed('acknowledge', id);
      await reopen(contains);
      expect(await reported()).to.include({ id, state: 'acknowledged' });
      expect(recording.projections.posture.of('freeze_agent').holders).to.equal(1);
    });
  });

  it('leaves If-Match valid, unless the severity rises', async () => {
    const { id, version } = await reported();
    for (let n = 0; n < 3; n++) await reported({ ...report, description: `again ${n}` });
    expect((await recording.recorder.perform('acknowledge', { id }, version)).change).to.equal('moved');
    const seen = recording.incident(id)!.version;
    await reopen();
    await reported();
    await reported(worse);
    const error: unknown = await recording.recorder.perform('resolve', { id }, seen).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(RecorderError).with.property('code', 'stale_version');
    await reported();
    expect((await recording.recorder.perform('resolve', { id }, seen + 3)).change).to.equal('moved');
  });

  it('leaves If-Match valid when deliveries have moved', async () => {
    await reopen(contains);
    const { id, version } = await reported();
    await deliver(id, { type: 'missed', error: 'no answer', wait: 500 });
    await deliver(id, { type: 'refused', error: 'answered 401' });
    expect((await recording.recorder.perform('acknowledge', { id }, version)).change).to.equal('moved');
  });
});
