import { expect } from 'chai';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { EntryMetrics } from '../../src/metrics/entry-metrics.ts';
import { samplesOf } from './support/samples.ts';
import { ENTRY_EVENTS, type EntryEvent, isAboutIncident, type StoredEntry } from '../../src/domain/entries.ts';
import type { IncidentRecord, TakenEntry } from '../../src/domain/incident.ts';

const REPORTED_AT = '2026-11-22T07:12:00.000Z';

const entry = (event: string, data: object = {}, timestamp = REPORTED_AT): StoredEntry =>
  ({ event, timestamp, data: { seq: 1, ...data } }) as StoredEntry;

const about = (event: string, data: object, timestamp?: string): StoredEntry =>
  entry(event, { incident: 'INC-1', ...data }, timestamp);

/** The entry with the change that the actor of `INC-1` made from it. Other incidents have no actor. */
const taken = (of: StoredEntry): TakenEntry => {
  if (!isAboutIncident(of) || of.data.incident !== 'INC-1') return { entry: of };
  const now = { incident: { id: 'INC-1', created_at: REPORTED_AT } } as IncidentRecord;
  return { entry: of, change: { before: undefined, now } };
};

/** What is shown after these entries. */
async function counted(entries: readonly StoredEntry[]): Promise<ReadonlyMap<string, number>> {
  const registry = new Registry();
  new EntryMetrics(registry).count(entries.map(taken));
  return samplesOf(await registry.metrics());
}

describe('metrics of the audit log’s entries', () => {
  it('begin at 0, so that the first of a kind is seen as an increase', async () => {
    const samples = await counted([]);
    expect(samples.get('incident_recorder_audit_entries_total{event="log.repaired"}')).to.equal(0);
    expect(samples.get('incident_recorder_transitions_total{state="resolved"}')).to.equal(0);
    const failed = 'incident_recorder_deliveries_total{action="freeze_agent",directive="engage",outcome="failed"}';
    expect(samples.get(failed)).to.equal(0);
  });

  it('count every entry under its event, whatever they are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...ENTRY_EVENTS)), async (events) => {
        const samples = await counted(
          events.map((event) => entry(event, { state: 'open', action: 'freeze_agent', directive: 'engage' })),
        );
        for (const event of ENTRY_EVENTS) {
          const expected = events.filter((one) => one === event).length;
          expect(samples.get(`incident_recorder_audit_entries_total{event="${event}"}`)).to.equal(expected);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('count a transition when a state is entered, and none when an incident recurs or raises an alert', async () => {
    const events: readonly EntryEvent[] = [
      'incident.reported',
      'alert.raised',
      'incident.recurred',
      'incident.noted',
      'incident.assigned',
      'incident.snoozed',
      'incident.woken',
      'incident.reopened',
    ];
    const contained = events.map((event) => about(event, { state: 'contained' }));
    const samples = await counted([...contained, about('incident.resolved', { state: 'resolved' })]);
    expect(samples.get('incident_recorder_transitions_total{state="contained"}')).to.equal(1);
    expect(samples.get('incident_recorder_transitions_total{state="resolved"}')).to.equal(1);
    expect(samples.get('incident_recorder_transitions_total{state="open"}')).to.equal(0);
  });

  it('count what comes of deliveries, and no sign of life that belongs to none', async () => {
    const delivery = { action: 'freeze_agent', directive: 'engage' };
    const samples = await counted([
      about('containment.attempted', delivery),
      about('containment.attempted', delivery),
      about('containment.confirmed', delivery),
      about('containment.confirmed', { ...delivery, directive: 'release' }),
      entry('containment.heard', delivery),
    ]);
    const series = (directive: string, outcome: string): number | undefined =>
      samples.get(
        `incident_recorder_deliveries_total{action="freeze_agent",directive="${directive}",outcome="${outcome}"}`,
      );
    expect([
      series('engage', 'attempted'),
      series('engage', 'confirmed'),
      series('release', 'confirmed'),
    ]).to.deep.equal([2, 1, 1]);
    expect([...samples.keys()].filter((name) => name.includes('outcome="heard"'))).to.deep.equal([]);
  });

  it('measure the time from a report to each confirmation that an action is in force', async () => {
    const confirmed = (id: string, directive: string, at: string): StoredEntry =>
      entry('containment.confirmed', { incident: id, action: 'freeze_agent', directive }, at);
    const samples = await counted([
      confirmed('INC-1', 'engage', '2026-11-22T07:12:02.000Z'),
      confirmed('INC-1', 'release', '2026-11-22T08:12:02.000Z'),
      confirmed('INC-archived', 'engage', '2026-11-22T08:12:02.000Z'),
    ]);
    const name = 'incident_recorder_containment_seconds';
    expect(samples.get(`${name}_count{action="freeze_agent"}`)).to.equal(1);
    expect(samples.get(`${name}_sum{action="freeze_agent"}`)).to.equal(2);
    expect(samples.get(`${name}_bucket{le="1",action="freeze_agent"}`)).to.equal(0);
    expect(samples.get(`${name}_bucket{le="2.5",action="freeze_agent"}`)).to.equal(1);
  });

  it('take a clock that was set back for no time at all', async () => {
    const data = { action: 'freeze_agent', directive: 'engage' };
    const samples = await counted([about('containment.confirmed', data, '2026-11-22T07:00:00.000Z')]);
    expect(samples.get('incident_recorder_containment_seconds_sum{action="freeze_agent"}')).to.equal(0);
  });
});
