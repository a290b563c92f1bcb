/** The number of reports raises an incident: `escalate` in the policy. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { type IncidentClass, isMoreSevere, type Rule, type Severity } from '../../machines/vocabulary.ts';
import { HOUR, SECOND } from '../../src/clock.ts';
import type { Report } from '../../src/domain/entries.ts';
import type { Escalation } from '../../src/domain/escalation.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

type Options = NonNullable<Parameters<typeof Recording.open>[1]>;

const rule: Escalation = { class: 'prompt_injection', reports: 3, within: 300 * SECOND, to: 'critical' };
const BY = { class: 'prompt_injection', reports: 3, within_ms: 300_000, to: 'critical' };
const REASON = 'escalated to critical by the rule prompt_injection: 3 reports within 300 s';
const report: Report = { class: 'prompt_injection', source: 'agent', description: 'ignore all rules' };

describe('an escalation', () => {
  const directory = temporaryDirectories();
  let home: string;
  let options: Options;
  let recording: Recording;

  const open = async (given: Options): Promise<void> => {
    options = given;
    recording = await Recording.open(home, given);
  };
  /** Opens the same record again, at the same time. */
  const reopen = async (given: Options = options): Promise<void> => {
    const { milliseconds, off } = recording.clock;
    await recording.close();
    await open(given);
    recording.clock.milliseconds = milliseconds;
    recording.clock.off = off;
  };
  const rebuild = (): Promise<void> => {
    recording.projections.reset();
    return reopen();
  };

  beforeEach(() => {
    home = directory();
    return open({ escalate: [rule] });
  });
  afterEach(() => recording.close());

  const reported = async (given: Partial<Report> = {}): Promise<Incident> =>
    parsed((await recording.recorder.report({ ...report, ...given })).incident);
  const wait = (milliseconds: number): void => {
    recording.clock.milliseconds += milliseconds;
  };
  const entries = (): { event: string; data: Record<string, unknown> }[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  const alerts = (): (readonly [severity: unknown, reason: unknown])[] =>
    entries().flatMap(({ event, data }) => (event === 'alert.raised' ? [[data.severity, data.reason]] : []));

  it('raises the incident whose report crosses the line, alerts, and says by which rule', async () => {
    const [first, second] = [await reported(), await reported({ source: 'other' })];
    wait(300 * SECOND);
    const third = await reported();
    expect([first.severity, second.severity]).to.deep.equal(['high', 'high']);
    expect([first.escalated_by, second.escalated_by]).to.deep.equal([undefined, undefined]);
    expect(third).to.deep.include({ severity: 'critical', state: 'contained', escalated_by: BY });
    expect(third).to.not.have.property('reported_severity');
    expect(alerts().at(-1)).to.deep.equal(['critical', REASON]);
    expect(recording.incident(first.id)?.severity).to.equal('high');
    const entry = entries().findLast(({ event }) => event === 'incident.reported');
    expect(entry?.data).to.deep.include({ severity: 'critical', escalated_by: BY });
  });

  it('raises each further one while the line is crossed, and none after a pause', async () => {
    for (let n = 0; n < 3; n++) await reported();
    expect((await reported()).severity).to.equal('critical');
    wait(300 * SECOND + 1);
    expect((await reported()).severity).to.equal('high');
  });

  it('counts the reports of one class only', async () => {
    for (let n = 0; n < 5; n++) await reported({ class: 'tool_call_burst' });
    expect((await reported()).severity).to.equal('high');
  });

  it('counts occurrences, and raises the incident that they are about', async () => {
    const { id } = await reported({ dedup_key: 'k' });
    await reported({ dedup_key: 'k' });
    const third = await reported({ dedup_key: 'k' });
    expect(third).to.deep.include({ id, severity: 'critical', occurrences: 3, escalated_by: BY });
    expect(third.latest_report?.severity).to.equal('high');
    await reported({ dedup_key: 'k' });
    expect(alerts().filter(([, reason]) => reason === REASON)).to.have.length(1);
    expect(recording.projections.incidents.kindOf(id)).to.include({ severity: 'critical' });
  });

  it('counts no drill', async () => {
    for (const again of [() => Promise.resolve(), reopen, rebuild]) {
      for (let n = 0; n < 3; n++) await recording.recorder.drill({ class: 'prompt_injection', asks: () => false });
      await again();
      expect((await reported()).severity).to.equal('high');
      wait(HOUR);
    }
  });

  it('brings an acknowledged incident back', async () => {
    const { id } = await reported({ dedup_key: 'k' });
    await reported({ dedup_key: 'k' });
    await recording.recorder.perform('acknowledge', { id });
    expect(await reported({ dedup_key: 'k' })).to.include({ id, state: 'contained', severity: 'critical' });
  });

  it('leaves a report alone that says as much itself, and keeps what a lower one said', async () => {
    await reported();
    await reported();
    const asMuch = await reported({ severity: 'critical' });
    expect(asMuch.severity).to.equal('critical');
    expect(asMuch).to.not.have.property('escalated_by');
    const lower = await reported({ severity: 'low' });
    expect(lower).to.deep.include({ severity: 'critical', reported_severity: 'low', escalated_by: BY });
    expect(lower).to.not.have.property('default_severity');
  });

  it('is forgotten as the reason when a report raises the severity further', async () => {
    await reopen({ escalate: [{ ...rule, class: 'forbidden_airlock_request', to: 'high' }] });
    const airlock: Partial<Report> = { class: 'forbidden_airlock_request', dedup_key: 'k' };
    for (let n = 0; n < 2; n++) await reported(airlock);
    const raised = await reported(airlock);
    // Its rule does not contain by itself, at no severity.
    expect(raised).to.deep.include({ severity: 'high', state: 'open' });
    expect(raised.escalated_by?.to).to.equal('high');
    const further = await reported({ ...airlock, severity: 'critical' });
    expect(further.severity).to.equal('critical');
    expect(further).to.not.have.property('escalated_by');
    expect(alerts().map(([, reason]) => reason)).to.deep.equal([
      'escalated to high by the rule forbidden_airlock_request: 3 reports within 300 s',
      'reported again, now as critical',
    ]);
  });

  it('contains an incident that was left open, when the rule in force contains', async () => {
    const leavesOpen: Rule = { auto_contain: false, actions: ['freeze_agent'], default_severity: 'high' };
    await reopen({ escalate: [rule], rules: { prompt_injection: leavesOpen } });
    const { state } = await reported({ dedup_key: 'k' });
    expect(state).to.equal('open');
    await reopen({ escalate: [rule] });
    await reported({ dedup_key: 'other' });
    expect(await reported({ dedup_key: 'k' })).to.include({ state: 'contained', severity: 'critical' });
  });

  it('may have several rules for a class: the one that raises most applies', async () => {
    await reopen({
      escalate: [
        { ...rule, reports: 2, to: 'critical', within: 10 * SECOND },
        { ...rule, class: 'tool_call_burst', reports: 2, to: 'high' },
        { ...rule, class: 'tool_call_burst', reports: 4, to: 'critical' },
      ],
    });
    const severities: Severity[] = [];
    for (let n = 0; n < 4; n++) severities.push((await reported({ class: 'tool_call_burst' })).severity);
    expect(severities).to.deep.equal(['medium', 'high', 'high', 'critical']);
  });

  describe('is counted from the log', () => {
    it('over a restart, and from a database that is made again', async () => {
      for (const again of [reopen, rebuild]) {
        await reported();
        await again();
        await reported();
        await again();
        expect((await reported()).escalated_by, again.name).to.deep.equal(BY);
        wait(HOUR);
      }
    });

    it('with its result: what was raised stays so, whatever the policy says later', async () => {
      for (let n = 0; n < 2; n++) await reported();
      const { id } = await reported();
      recording.projections.reset();
      await reopen({});
      expect(recording.incident(id)).to.deep.include({ severity: 'critical', escalated_by: BY });
    });

    it('when the rule is new: what came before it counts', async () => {
      await reopen({});
      for (let n = 0; n < 2; n++) await reported();
      await reopen({ escalate: [rule] });
      expect((await reported()).escalated_by).to.deep.equal(BY);
    });

    it('when the rule comes into force while reports are on their way', async () => {
      await reopen({});
      const path = join(home, 'policy.yaml');
      const rules = [{ ...rule, within: '300s' }];
      writeFileSync(path, JSON.stringify({ version: 1, escalate: rules }));
      const before = reported();
      const reload = recording.record.policy.reload(recording.log);
      const meanwhile = reported();
      await reload;
      const after = await Promise.all([reported(), reported()]);
      expect((await before).severity).to.equal('high');
      expect((await meanwhile).severity).to.equal('high');
      expect(after.map(({ severity }) => severity)).to.deep.equal(['critical', 'critical']);
      wait(20 * SECOND);
      expect((await reported()).severity).to.equal('critical');
      wait(301 * SECOND);
      expect((await reported()).severity).to.equal('high');
    });

    for (const off of [-HOUR, HOUR]) {
      it(`when the clock is set ${off < 0 ? 'back' : 'forward'}: nothing is lost, nothing invented`, async () => {
        await reported();
        wait(200 * SECOND);
        await reported();
        recording.clock.off = off;
        wait(200 * SECOND);
        expect((await reported()).severity).to.equal('high');
        const step = entries().findLast(({ event }) => event === 'incident.reported')?.data.clock_step_ms;
        expect(step).to.equal(off);
        wait(SECOND);
        expect((await reported()).escalated_by).to.deep.equal(BY);
        await rebuild();
        wait(99 * SECOND);
        expect((await reported()).escalated_by).to.deep.equal(BY);
        wait(250 * SECOND);
        expect((await reported()).severity).to.equal('high');
      });
    }

    it('when the clock was set back while the service was down', async () => {
      await reported();
      await reported();
      recording.clock.off = -HOUR;
      await reopen();
      expect((await reported()).escalated_by).to.deep.equal(BY);
      wait(301 * SECOND);
      expect((await reported()).severity).to.equal('high');
    });

    it('also when reports come at the same time', async () => {
      const incidents = await Promise.all(Array.from({ length: 5 }, () => reported()));
      const raised = entries().flatMap(({ event, data }) =>
        event === 'incident.reported' ? [data.escalated_by !== undefined] : [],
      );
      expect(raised).to.deep.equal([false, false, true, true, true]);
      expect(incidents.filter(({ severity }) => severity === 'critical')).to.have.length(3);
    });

    it('and a report that was refused does not count', async () => {
      await reported();
      const tooLong = { ...report, evidence: { text: 'x'.repeat(1024 * 1024) } };
      const refused = await Promise.allSettled([
        recording.recorder.report(tooLong),
        recording.recorder.report(tooLong),
      ]);
      expect(refused.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
      expect((await reported()).severity).to.equal('high');
      expect((await reported()).severity).to.equal('critical');
    });

    it('as somebody does who counts the entries one by one', async function () {
      this.timeout(60_000);
      const classes = ['prompt_injection', 'tool_call_burst'] as const satisfies readonly IncidentClass[];
      const step = fc.oneof(
        {
          weight: 8,
          arbitrary: fc.record({
            kind: fc.constant('report'),
            class: fc.constantFrom(...classes),
            key: fc.constantFrom(undefined, 'a', 'b'),
            wait: fc.integer({ min: 0, max: 120 }),
          }),
        },
        { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('restart', 'rebuild') }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('clock'), off: fc.integer({ min: -7200, max: 7200 }) }) },
      );
      const escalation = fc.record({
        class: fc.constantFrom(...classes),
        reports: fc.integer({ min: 1, max: 5 }),
        within: fc.integer({ min: 1, max: 300 }).map((seconds) => seconds * SECOND),
        to: fc.constantFrom<Severity>('critical', 'high'),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(escalation, {
            selector: (one) => JSON.stringify({ ...one, to: 0 }),
            minLength: 1,
            maxLength: 4,
          }),
          fc.array(step, { maxLength: 25 }),
          async (escalate, steps) => {
            await recording.close();
            home = directory();
            await open({ escalate });
            /** When each report came, in seconds that no clock can change. */
            const times: { readonly class: IncidentClass; readonly at: number }[] = [];
            const severities = new Map<string, Severity>();
            let isRunning = true;
            let isStepped = false;
            let now = 0;
            for (const one of steps) {
              // A step is recorded with the next report: without one, nobody knows of it after the end.
              if ((one.kind === 'restart' || one.kind === 'rebuild') && isStepped) continue;
              if (one.kind === 'restart') await reopen();
              else if (one.kind === 'rebuild') await rebuild();
              else if ('off' in one) {
                // The service sees a step when it has seen the time before.
                if (!isRunning) continue;
                recording.clock.off = one.off * SECOND;
                isStepped = true;
              } else if ('class' in one) {
                wait(one.wait * SECOND);
                now += one.wait * SECOND;
                times.push({ class: one.class, at: now });
                const met = escalate.filter(
                  (each) =>
                    each.class === one.class &&
                    times.filter((time) => time.class === one.class && now - time.at <= each.within).length >=
                      each.reports,
                );
                const key = one.key === undefined ? {} : { dedup_key: one.key };
                const incident = await reported({ class: one.class, ...key });
                const own: Severity = one.class === 'prompt_injection' ? 'high' : 'medium';
                const before = severities.get(incident.id) ?? own;
                const expected = [own, before, ...met.map(({ to }) => to)].reduce((most, each) =>
                  isMoreSevere(each, most) ? each : most,
                );
                expect(incident.severity).to.equal(expected);
                severities.set(incident.id, incident.severity);
                isRunning = true;
                isStepped = false;
                continue;
              }
              if (one.kind !== 'clock') isRunning = false;
            }
          },
        ),
        { numRuns: 40 },
      );
    });
  });
});
