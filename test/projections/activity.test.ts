import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { CLASSES } from '../../machines/vocabulary.ts';
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import { Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const report = { class: 'forbidden_airlock_request', source: 'airlock', description: 'a host' } as const;

describe('Activity', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;
  beforeEach(async () => {
    home = directory();
    recording = await Recording.open(home);
  });
  afterEach(() => recording.close());

  const read = (hours: number) => recording.projections.activity.read(recording.clock.now(), hours);
  const reportOne = async (): Promise<string> => (await recording.recorder.report(report)).incident.id;
  const within = (actual: number | null, expected: number): void => {
    expect(actual, `${actual} for ${expected}`).to.be.within(expected * 0.9, expected * 1.1);
  };

  it('is all zeros and nulls where nothing has happened', () => {
    const reading = read(3);
    expect(reading.reported).to.deep.equal({ critical: [0, 0, 0], high: [0, 0, 0], medium: [0, 0, 0], low: [0, 0, 0] });
    const nothing = { count: 0, median_ms: null, p90_ms: null, hourly_median_ms: [null, null, null] };
    expect(reading.time_to_resolution).to.deep.equal(nothing);
    expect(reading.time_to_containment).to.deep.equal({ ...nothing, waiting: 0, oldest_waiting_ms: null });
  });

  it('counts reports in their hour, by severity', async () => {
    await reportOne();
    await recording.recorder.report({ ...report, class: CLASSES[0] });
    recording.clock.milliseconds += 2 * HOUR;
    await reportOne();
    await reportOne();
    const { reported, from } = read(3);
    expect(reported.medium).to.deep.equal([1, 0, 2]);
    expect(reported.critical).to.deep.equal([1, 0, 0]);
    expect(Date.parse(from) % HOUR).to.equal(0);
    expect(read(1).reported.medium).to.deep.equal([2]);
  });

  it('takes an incident that is contained by an entry of the log alone, which nobody confirms', () => {
    const action = { action: 'log_alert', status: 'recorded', via: 'log', attempts: 0 };
    const containment = { status: 'confirmed', actions: [action] };
    const at = new Date(recording.clock.now()).toISOString();
    const incident = { created_at: at, severity: 'low', containment };
    recording.projections.activity.add([{ before: undefined, now: { incident } } as never]);
    expect(read(1).reported.low).to.deep.equal([1]);
    expect(read(1).time_to_containment.count).to.equal(0);
  });

  it('tells how long resolving took, to a tenth', async () => {
    const durations = [20 * SECOND, 7 * MINUTE, 8 * MINUTE, 9 * MINUTE, 3 * HOUR];
    for (const milliseconds of durations) {
      const id = await reportOne();
      recording.clock.milliseconds += milliseconds;
      await recording.recorder.perform('resolve', { id });
    }
    const { count, median_ms, p90_ms, hourly_median_ms } = read(24).time_to_resolution;
    expect(count).to.equal(5);
    within(median_ms, 8 * MINUTE);
    within(p90_ms, 3 * HOUR);
    within(hourly_median_ms.at(-1)!, 3 * HOUR);
  });

  it('tells how long it took until all actions of an incident were confirmed', async () => {
    const alone = await reportOne();
    const { id: incident } = (await recording.recorder.report({ ...report, class: 'tool_call_burst' })).incident;
    recording.clock.milliseconds += 5 * MINUTE;
    // An alert is confirmed by being in the log, an agent is frozen when its service says so.
    await recording.recorder.perform('contain', { id: alone });
    expect(read(24).time_to_containment.count).to.equal(1);
    within(read(24).time_to_containment.median_ms, 5 * MINUTE);
    recording.clock.milliseconds += 3 * HOUR;
    const news = { type: 'confirmed', attempted: false, receipt: { by: 'confirmation' } } as const;
    const message = { type: 'deliver', action: 'freeze_agent', directive: 'engage', news } as const;
    await recording.incidents.actor(incident).send(message);
    const { count, p90_ms } = read(24).time_to_containment;
    expect(count).to.equal(2);
    within(p90_ms, 3 * HOUR);
  });

  it('counts those that are not contained yet for as long as they have waited, until they are, or are resolved', async () => {
    const burst = { ...report, class: 'tool_call_burst' } as const;
    const confirm = (incident: string) =>
      recording.incidents.actor(incident).send({
        type: 'deliver',
        action: 'freeze_agent',
        directive: 'engage',
        news: { type: 'confirmed', attempted: false, receipt: { by: 'confirmation' } },
      });
    const ids: string[] = [];
    for (let n = 0; n < 9; n++) ids.push((await recording.recorder.report(burst)).incident.id);
    recording.clock.milliseconds += 30 * SECOND;
    await confirm(ids[0]!);
    recording.clock.milliseconds += 3 * HOUR;
    const waiting = read(1).time_to_containment;
    expect(waiting).to.include({ count: 0, waiting: 8 });
    within(waiting.oldest_waiting_ms, 3 * HOUR);
    recording.clock.milliseconds += 47 * HOUR;
    within(read(1).time_to_containment.oldest_waiting_ms, 50 * HOUR);
    recording.clock.milliseconds -= 47 * HOUR;
    within(read(24).time_to_containment.median_ms, 3 * HOUR);
    for (const id of ids.slice(1, 8)) await confirm(id);
    expect(read(24).time_to_containment).to.include({ count: 8, waiting: 1 });
    await recording.recorder.perform('resolve', { id: ids[8]! });
    expect(read(24).time_to_containment).to.include({ count: 8, waiting: 0, oldest_waiting_ms: null });
  });

  it('takes a clock that was set back for no time', async () => {
    const id = await reportOne();
    recording.clock.milliseconds -= 10 * MINUTE;
    await recording.recorder.perform('resolve', { id });
    recording.clock.milliseconds += 10 * MINUTE;
    expect(read(24).time_to_resolution).to.include({ count: 1, median_ms: 0 });
  });

  it('is rebuilt from the log as it was', async () => {
    for (let n = 0; n < 20; n++) {
      const id = await reportOne();
      recording.clock.milliseconds += 7 * MINUTE;
      if (n % 3 === 0) await recording.recorder.perform('resolve', { id });
    }
    const before = read(24);
    expect(before.reported.medium.reduce((sum, count) => sum + count)).to.equal(20);
    const { milliseconds } = recording.clock;
    await recording.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(home, `audit.sqlite${suffix}`), { force: true });
    recording = await Recording.open(home);
    recording.clock.milliseconds = milliseconds;
    expect(read(24)).to.deep.equal(before);
  });
});
