import { expect } from 'chai';
import { HOUR, MINUTE, SECOND, timestamp } from '../../src/clock.ts';
import type { ComparedBy } from '../../src/query/comparison-reading.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'prompt_injection', source: 'tool-firewall', description: 'a test' } as const;
/** Nothing contains it by itself. */
const OPEN = { ...REPORT, class: 'tool_call_burst', severity: 'low' } as const;

describe('Comparison', () => {
  const directory = temporaryDirectories();
  let recording: Recording;
  let begin: number;
  beforeEach(async () => {
    recording = await Recording.open(directory());
    begin = recording.clock.now();
  });
  afterEach(() => recording.close());

  const report = async (what: Parameters<Recording['recorder']['report']>[0] = OPEN): Promise<string> =>
    (await recording.recorder.report(what)).incident.id;
  const at = (time: number): void => {
    recording.clock.milliseconds = begin + time;
  };
  const perform = (name: 'acknowledge' | 'resolve', id: string) =>
    recording.recorder.perform(name, { id, caller: operator('ada') });
  let turns = 0;
  const read = (since: number, until: number, by: ComparedBy = 'class') =>
    recording.projections.comparison.read(
      { since: begin + since, until: begin + until },
      by,
      recording.clock.now(),
      async () => {
        turns += 1;
      },
    );

  it('is zeros and nulls where nothing was reported', async () => {
    const nothing = { count: 0, median_ms: null, p95_ms: null, waiting: 0, longest_waiting_ms: null };
    const both = { now: nothing, before: nothing };
    expect(await read(HOUR, 2 * HOUR)).to.deep.equal({
      range: { since: timestamp(begin + HOUR), until: timestamp(begin + 2 * HOUR) },
      before: { since: timestamp(begin), until: timestamp(begin + HOUR) },
      incidents: { now: 0, before: 0, change: 0 },
      groups: [],
      time_to: { contain: both, acknowledge: both, resolve: both },
    });
  });

  it('counts each range from its beginning to before its end, by class, source, severity and hour', async () => {
    await report();
    at(HOUR - 1);
    await report({ ...REPORT, source: 'canary' });
    at(HOUR);
    await report();
    await report();
    at(2 * HOUR);
    await report();
    const { incidents, groups } = await read(HOUR, 2 * HOUR);
    expect(incidents).to.deep.equal({ now: 2, before: 2, change: 0 });
    expect(groups).to.deep.equal([
      { class: 'tool_call_burst', now: 2, before: 1, change: 1 },
      { class: 'prompt_injection', now: 0, before: 1, change: -1 },
    ]);
    expect((await read(HOUR, 2 * HOUR, 'source')).groups).to.deep.equal([
      { source: 'tool-firewall', now: 2, before: 1, change: 1 },
      { source: 'canary', now: 0, before: 1, change: -1 },
    ]);
    const bySeverity = (await read(HOUR, 2 * HOUR, 'severity')).groups;
    expect(bySeverity[0]).to.deep.equal({ severity: 'low', now: 2, before: 1, change: 1 });
    expect((await read(2 * HOUR, 4 * HOUR, 'hour')).groups).to.deep.equal([
      { hour: timestamp(begin + 2 * HOUR), now: 1, before: 2, change: -1 },
      { hour: timestamp(begin + 3 * HOUR), now: 0, before: 2, change: -2 },
    ]);
  });

  it('says how long it took, and what still waits, which an average of what is done would hide', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 20; count++) ids.push(await report());
    for (const [index, id] of ids.slice(0, 19).entries()) {
      at((index + 1) * SECOND);
      await perform('acknowledge', id);
    }
    at(MINUTE);
    await perform('resolve', ids[0]!);
    at(HOUR);
    const { time_to } = await read(0, HOUR);
    expect(time_to.acknowledge.now).to.deep.equal({
      count: 19,
      median_ms: 10 * SECOND,
      p95_ms: 19 * SECOND,
      waiting: 1,
      longest_waiting_ms: HOUR,
    });
    expect(time_to.resolve.now).to.deep.equal({
      count: 1,
      median_ms: MINUTE,
      p95_ms: MINUTE,
      waiting: 19,
      longest_waiting_ms: HOUR,
    });
    expect(time_to.resolve.before).to.deep.include({ count: 0, waiting: 0, longest_waiting_ms: null });
  });

  it('takes the time to containment until the last action is confirmed', async () => {
    const id = await report(REPORT);
    const waiting = await report(REPORT);
    const actions = recording.incident(id)!.containment_actions!.filter((action) => action !== 'log_alert');
    for (const [index, action] of actions.entries()) {
      at((index + 1) * MINUTE);
      const news = { type: 'confirmed', attempted: false, receipt: { by: 'confirmation' } } as const;
      await recording.incidents.actor(id).send({ type: 'deliver', action, directive: 'engage', news });
    }
    at(HOUR);
    const { contain } = (await read(0, HOUR)).time_to;
    const took = actions.length * MINUTE;
    expect(recording.incident(waiting)?.containment?.status).to.equal('delivering');
    expect(contain.now).to.deep.equal({
      count: 1,
      median_ms: took,
      p95_ms: took,
      waiting: 1,
      longest_waiting_ms: HOUR,
    });
  });

  it('leaves drills out, and reads many incidents in parts', async () => {
    await recording.recorder.drill({ class: 'prompt_injection', asks: () => false });
    for (let count = 0; count < 2500; count++) await report();
    at(HOUR);
    turns = 0;
    const { incidents, time_to } = await read(0, HOUR);
    expect(incidents.now).to.equal(2500);
    expect(time_to.acknowledge.now).to.deep.include({ count: 0, waiting: 2500 });
    expect(turns).to.be.at.least(3 + 10);
  }).timeout(60_000);
});
