/** Reports with the same values are one incident: `repeat` in a rule. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Repeat, Rule } from '../../machines/vocabulary.ts';
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import type { Report } from '../../src/domain/entries.ts';
import type { Incident } from '../../src/domain/incident.ts';
import type { Recorded } from '../../src/incidents/recorded.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

type Options = NonNullable<Parameters<typeof Recording.open>[1]>;

const repeat: Repeat = { same: ['source', 'evidence.path'], within: HOUR };
const rule = (given: Partial<Repeat> = {}): Rule => ({
  auto_contain: true,
  actions: ['freeze_agent'],
  default_severity: 'high',
  repeat: { ...repeat, ...given },
});
const report: Report = {
  class: 'integrity_violation',
  source: 'integrity-monitor',
  description: 'a file was changed',
  evidence: { path: '/usr/bin/agent', inode: 17 },
};

describe('a report that repeats another', () => {
  const directory = temporaryDirectories();
  let home: string;
  let options: Options;
  let recording: Recording;

  const open = async (given: Options): Promise<void> => {
    options = given;
    recording = await Recording.open(home, given);
  };
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
  const within = (given: Partial<Repeat> = {}): Options => ({ rules: { integrity_violation: rule(given) } });

  beforeEach(() => {
    home = directory();
    return open(within());
  });
  afterEach(() => recording.close());

  const report1 = (given: Partial<Report> = {}): Promise<Recorded> =>
    recording.recorder.report({ ...report, ...given });
  const reported = async (given: Partial<Report> = {}): Promise<Incident> => parsed((await report1(given)).incident);
  const wait = (milliseconds: number): void => {
    recording.clock.milliseconds += milliseconds;
  };
  const entries = (): { event: string; data: Record<string, unknown> }[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('is an occurrence of the incident, for as long as the violation lasts', async () => {
    const { id } = await reported();
    for (let n = 0; n < 200; n++) {
      wait(30 * SECOND);
      await report1({ evidence: { path: '/usr/bin/agent', inode: 18 + n } });
    }
    const { change, incident } = await report1();
    expect([change, parsed(incident).id, parsed(incident).occurrences]).to.deep.equal(['recurred', id, 202]);
  });

  it('is one only when all values are the same, and of the same class', async () => {
    const { id } = await reported();
    const others: Partial<Report>[] = [
      { source: 'other' },
      { evidence: { path: '/usr/bin/other' } },
      { evidence: { path: ['/usr/bin/agent'] } },
      { class: 'manifest_mismatch' },
    ];
    for (const other of others) expect((await report1(other)).change, JSON.stringify(other)).to.equal('created');
    expect((await reported()).id).to.equal(id);
  });

  it('is one for so long after the report before, and no longer', async () => {
    const { id } = await reported();
    wait(HOUR);
    expect((await reported()).id).to.equal(id);
    wait(HOUR + 1);
    const next = await reported();
    expect(next.id).to.not.equal(id);
    expect((await reported()).id).to.equal(next.id);
  });

  it('opens an incident of its own when a value is missing', async () => {
    for (const evidence of [{}, { path: { deeper: 1 } }])
      for (let n = 0; n < 2; n++)
        expect((await report1({ evidence })).change).to.equal('path' in evidence && n === 1 ? 'recurred' : 'created');
    const { class: ofClass, source, description } = report;
    const none = { class: ofClass, source, description };
    for (let n = 0; n < 2; n++) expect((await recording.recorder.report(none)).change).to.equal('created');
    expect(entries().filter(({ data }) => data.repeat !== undefined)).to.have.length(2);
  });

  it('may be recognised by description, by severity, and deep in the evidence', async () => {
    await reopen(within({ same: ['description', 'severity', 'evidence.a.b', 'evidence.list.1'] }));
    const evidence = { a: { b: null }, list: [1, 2.5] };
    const { id } = await reported({ evidence });
    expect((await reported({ evidence, severity: 'high' })).id).to.equal(id);
    for (const other of [
      { evidence, description: 'another' },
      { evidence, severity: 'low' } as const,
      { evidence: { ...evidence, a: { b: 0 } } },
      { evidence: { ...evidence, list: [1, 2] } },
      { evidence: { ...evidence, list: [1] } },
      { evidence: { a: 'b', list: [1, 2.5] } },
    ])
      expect((await report1(other)).change, JSON.stringify(other)).to.equal('created');
  });

  it('opens another incident once the first is resolved', async () => {
    const { id } = await reported();
    await recording.recorder.perform('resolve', { id });
    const next = await reported();
    expect(next.id).to.not.equal(id);
    expect((await reported()).id).to.equal(next.id);
  });

  it('does not count when it has a dedup_key: that says what it belongs to', async () => {
    const { id } = await reported();
    expect((await reported({ dedup_key: 'k' })).id).to.not.equal(id);
    expect((await reported({ dedup_key: 'j' })).id).to.not.equal(id);
    expect((await reported()).id).to.equal(id);
    expect(entries().filter(({ data }) => data.repeat !== undefined)).to.have.length(2);
  });

  it('is replayed under its Idempotency-Key, and counts once', async () => {
    const key = { key: 'k', fingerprint: 'f'.repeat(64) };
    const changes: string[] = [];
    for (let n = 0; n < 2; n++) changes.push((await recording.recorder.report(report, key)).change);
    changes.push((await recording.recorder.report(report, { ...key, key: 'l' })).change);
    changes.push((await recording.recorder.report(report, { ...key, key: 'l' })).change);
    expect(changes).to.deep.equal(['created', 'replayed', 'recurred', 'replayed']);
    expect((await reported()).occurrences).to.equal(3);
  });

  it('comes before a burst, which is not one of reports that repeat', async () => {
    await reopen({ ...within(), burst: { reports: 3, within: MINUTE } });
    const { id } = await reported();
    for (let n = 0; n < 5; n++) await reported();
    const other = await reported({ evidence: { path: '/b' } });
    expect(other.id).to.not.equal(id);
    await reported({ evidence: { path: '/c' } });
    // Now it is a burst: this is an occurrence of the newest, and so is what repeats it.
    const folded = await reported({ evidence: { path: '/d' } });
    expect(folded.occurrences).to.equal(2);
    wait(10 * MINUTE);
    expect((await reported({ evidence: { path: '/d' } })).id).to.equal(folded.id);
    expect((await reported()).id).to.equal(id);
  });

  it('counts for an escalation', async () => {
    await reopen({
      ...within(),
      escalate: [{ class: 'integrity_violation', reports: 3, within: MINUTE, to: 'critical' }],
    });
    const { id } = await reported();
    await reported();
    expect(await reported()).to.deep.include({
      id,
      severity: 'critical',
      escalated_by: { class: 'integrity_violation', reports: 3, within_ms: 60_000, to: 'critical' },
    });
  });

  it('brings an acknowledged incident back after attention_after, not before', async () => {
    await reopen(within({ within: 3 * HOUR }));
    const { id } = await reported();
    await recording.recorder.perform('acknowledge', { id });
    wait(HOUR - 1);
    expect(await reported()).to.include({ id, state: 'acknowledged' });
    wait(HOUR);
    expect(await reported()).to.include({ id, state: 'contained' });
  });

  it('is recognised after a restart, from a database that is made again, and whatever the clock does', async () => {
    const { id } = await reported();
    for (const again of [reopen, rebuild]) {
      wait(59 * MINUTE);
      await again();
      expect((await reported()).id).to.equal(id);
    }
    for (const off of [24 * HOUR, -24 * HOUR, 0]) {
      await reported();
      recording.clock.off = off;
      wait(59 * MINUTE);
      expect((await reported()).id).to.equal(id);
      await rebuild();
    }
    wait(61 * MINUTE);
    expect((await reported()).id).to.not.equal(id);
  });

  it('is one incident when many come at the same time', async () => {
    const incidents = await Promise.all(Array.from({ length: 20 }, () => reported()));
    expect(new Set(incidents.map(({ id }) => id)).size).to.equal(1);
    expect(Math.max(...incidents.map(({ occurrences }) => occurrences))).to.equal(20);
  });

  it('names its values by a short hash in the log, with the rule where it is an occurrence', async () => {
    const evidence = { path: 'x'.repeat(10_000) };
    for (let n = 0; n < 2; n++) await reported({ evidence });
    const [first, second] = entries().flatMap(({ event, data }) => (/incident\.re/.test(event) ? [data] : []));
    expect(first?.repeat)
      .to.match(/^[0-9a-f]{24}$/)
      .and.equal(second?.repeat);
    expect(first?.rule).to.not.have.property('repeat');
    expect(second?.rule).to.deep.include({ repeat: { ...repeat } });
  });

  it('leaves reports alone whose rule does not ask', async () => {
    await reopen({});
    for (let n = 0; n < 3; n++) expect((await report1()).change).to.equal('created');
    expect(entries().some(({ data }) => data.repeat !== undefined)).to.equal(false);
  });

  it('goes to the incident that somebody expects who remembers all reports', async function () {
    this.timeout(60_000);
    const step = fc.oneof(
      {
        weight: 10,
        arbitrary: fc.record({
          path: fc.constantFrom('/a', '/b', undefined),
          source: fc.constantFrom('one', 'two'),
          wait: fc.integer({ min: 0, max: 40 }),
        }),
      },
      { weight: 2, arbitrary: fc.constantFrom('restart' as const, 'rebuild' as const, 'resolve' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        await recording.close();
        home = directory();
        await open(within());
        const known = new Map<string, { id: string; at: number }>();
        const resolved = new Set<string>();
        let latest: string | undefined;
        let now = 0;
        for (const one of steps) {
          if (one === 'restart') await reopen();
          else if (one === 'rebuild') await rebuild();
          else if (one === 'resolve') {
            if (latest === undefined) continue;
            await recording.recorder.perform('resolve', { id: latest });
            resolved.add(latest);
          } else {
            wait(one.wait * MINUTE);
            now += one.wait;
            const key = `${one.source} ${one.path}`;
            const before = known.get(key);
            const isOccurrence =
              one.path !== undefined && before !== undefined && !resolved.has(before.id) && now - before.at <= 60;
            const evidence = one.path === undefined ? {} : { path: one.path };
            const { id } = await reported({ source: one.source, evidence });
            expect(id === before?.id).to.equal(isOccurrence);
            latest = id;
            known.set(key, { id, at: now });
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});
