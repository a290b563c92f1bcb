import { expect } from 'chai';
import { HOUR } from '../../src/clock.ts';
import { IncidentChanges } from '../../src/incidents/incident-changes.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const burst = { class: 'tool_call_burst', source: 'agent', description: 'x' } as const;

describe('what has changed', () => {
  const directory = temporaryDirectories();
  let recording: Recording;

  beforeEach(async () => {
    recording = await Recording.open(directory());
  });
  afterEach(() => recording.close());

  const changes = () => new IncidentChanges(recording.log, recording.projections, () => undefined);
  const after = (seq: number) => changes().read({ after: seq }, true);
  const report = async (more: object = {}): Promise<string> =>
    (await recording.recorder.report({ ...burst, ...more })).incident.id;
  const end = (): number => recording.log.status.entries;

  it('is said by incident, with who did it and what it was before, without the noise of deliveries', async () => {
    const old = await report({ dedup_key: 'a' });
    const place = end();
    const fresh = await report();
    const { recorder, incidents } = recording;
    const deliver = { type: 'deliver', action: 'freeze_agent', directive: 'engage' } as const;
    await incidents.actor(old).send({ ...deliver, news: { type: 'overdue', waited: 1, after: 1, first: true } });
    await incidents
      .actor(old)
      .send({ ...deliver, news: { type: 'confirmed', attempted: false, receipt: { by: 'confirmation' } } });
    await recorder.perform('acknowledge', { id: old, caller: operator('ada'), note: 'seen' });
    await recorder.release({ id: old, action: 'freeze_agent', reason: 'it is needed', caller: operator('bob') });
    const page = await after(place);
    expect(page).to.include({ after: place, through: end(), complete: true }).and.not.have.property('next');
    expect(page.changes.map(({ id, was, state }) => [id, was, state])).to.deep.equal([
      [fresh, undefined, 'contained'],
      [old, 'contained', 'acknowledged'],
    ]);
    const [, { events, seq, at }] = page.changes as [unknown, (typeof page.changes)[number]];
    expect(events.map(({ event, by, note }) => [event, by, note])).to.deep.equal([
      ['containment.overdue', undefined, undefined],
      ['incident.acknowledged', 'ada', 'seen'],
      ['containment.released', 'bob', 'it is needed'],
    ]);
    expect(events.at(-1)).to.include({ seq, at, role: 'operator', action: 'freeze_agent' });
    expect(await after(end())).to.deep.include({ changes: [], others: [], complete: true });
  });

  it('counts further reports that are only counted', async () => {
    await report({ dedup_key: 'a' });
    const place = end();
    for (let n = 0; n < 5; n++) await report({ dedup_key: 'a' });
    const [one] = (await after(place)).changes;
    expect(one?.events).to.have.length(1);
    expect(one?.events[0]).to.include({ event: 'incident.recurred', count: 5, seq: one?.seq });
  });

  it('begins with a time, also where the clock was set back', async () => {
    const { clock, log } = recording;
    await report();
    clock.milliseconds += HOUR;
    const since = clock.now();
    const second = await report();
    const later = await changes().read({ since }, true);
    expect(later.changes.map(({ id }) => id)).to.deep.equal([second]);
    const place = end();
    clock.milliseconds -= 2 * HOUR;
    const jump = {
      by_ms: -2 * HOUR,
      since: new Date(since).toISOString(),
      after_seq: place,
      found: 'running',
    } as const;
    await log.append([{ timestamp: new Date(clock.now()).toISOString(), event: 'clock.jumped', data: jump }]);
    const third = await report();
    const all = await changes().read({ since: since - 1 }, true);
    expect(all.changes.map(({ id }) => id)).to.deep.equal([second, third]);
    expect(all.others.map(({ event }) => event)).to.include('clock.jumped');
    expect(await changes().read({ since: since + HOUR }, true)).to.deep.include({ changes: [], complete: true });
  });

  it('comes in bounded pages, each of which says where the next begins', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 1200; n++) ids.push(await report({ source: `s${n % 7}` }));
    const seen: string[] = [];
    let pages = 0;
    for (let next: number | undefined = 0; next !== undefined; pages++) {
      const page = await after(next);
      expect(page.after).to.equal(next);
      seen.push(...page.changes.map(({ id }) => id));
      expect(page.complete).to.equal(page.next === undefined);
      ({ next } = page);
    }
    expect(pages).to.be.above(1);
    expect([...new Set(seen)]).to.deep.equal(ids);
  }).timeout(60_000);

  it('shows the beginnings of long descriptions, and a page holds a bounded part of the log and of its texts', async () => {
    await report({ description: '\u{1f525}'.repeat(600) });
    for (let n = 0; n < 30; n++) await report({ source: `s${n}`, description: 'x'.repeat(240_000) });
    const page = await after(0);
    expect(page.changes[0]?.description).to.equal(`${'\u{1f525}'.repeat(500)}…`);
    expect(page.changes.length).to.be.within(10, 29);
    expect(page.complete).to.equal(false);

    const id = await report({ dedup_key: 'long' });
    const place = end();
    for (let n = 0; n < 200; n++) {
      await recording.incidents.actor(id).send({ type: 'note' }, { note: `${n} ${'x'.repeat(4000)}` });
    }
    const [first] = (await after(place)).changes;
    expect(first?.events.length).to.be.within(100, 150);
  }).timeout(20_000);

  it('refuses what is behind the end of the log', async () => {
    const error = await after(end() + 1).catch((one: unknown) => one);
    expect(error).to.include({ code: 'gone' });
  });
});
