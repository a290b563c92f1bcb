/** What has changed at the fleet since somebody left: each entry once, whenever its machine has sent it. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { sql } from 'kysely';
import { OVERLAP } from '../../../src/fleet/api/stream-place.ts';
import type { DatabasePlace } from '../../../src/fleet/database.ts';
import { EventReader } from '../../support/event-reader.ts';
import { LocalService } from '../../support/local-service.ts';
import { TOKEN } from '../../support/service-client.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { onEachPlace } from '../support/engines.ts';
import { FleetReads } from './support/fleet-reads.ts';

const BERT = 'b'.repeat(64);

interface Shown {
  readonly machine: string;
  readonly id: string;
  readonly events: readonly { readonly seq: number }[];
}

interface Answer {
  readonly through: string;
  readonly complete: boolean;
  readonly next?: string;
  readonly changes: readonly Shown[];
  readonly others: readonly { readonly machine: string; readonly seq: number }[];
}

function changes(place: () => DatabasePlace, isServer: boolean): void {
  const directory = temporaryDirectories();
  let fleet: FleetReads;
  let lines: readonly string[];

  before(async () => {
    const home = new ServiceHome(directory());
    const recorder = await LocalService.start(home);
    for (let count = 0; count < 40; count++) await recorder.report({ class: 'tool_call_burst' });
    await recorder.stop();
    lines = readFileSync(home.log, 'utf8').trimEnd().split('\n');
  });

  beforeEach(async () => {
    fleet = await FleetReads.start(place(), {
      [TOKEN]: { name: 'ada', roles: ['reader', 'operator'], machines: 'any' },
      [BERT]: { name: 'bert', roles: ['reader'], machines: { site: 'paris' } },
    });
    await fleet.enrol('m-1', { site: 'berlin' });
    await fleet.enrol('m-2', { site: 'paris' });
  });

  afterEach(() => fleet.stop());

  const ask = (query: string, token = TOKEN) => fleet.send('GET', `/api/v1/incidents/changes?${query}`, { token });

  const isNews = (line: string): boolean =>
    ['incident.', 'service.', 'policy.'].some((one) => (JSON.parse(line) as { event: string }).event.startsWith(one));
  const namesOf = (machine: string, some: readonly string[]): readonly string[] =>
    some.filter(isNews).map((line) => `${machine} ${(JSON.parse(line) as { data: { seq: number } }).data.seq}`);

  /** All pages from a place on: what they show, and the place behind them. */
  async function read(
    query: string,
    token = TOKEN,
  ): Promise<{ readonly shown: readonly string[]; readonly through: string }> {
    const shown: string[] = [];
    for (let next = query; ;) {
      const { status, json, text } = await ask(next, token);
      expect(status, text).to.equal(200);
      const answer = json as Answer;
      for (const { machine, events } of answer.changes) shown.push(...events.map(({ seq }) => `${machine} ${seq}`));
      shown.push(...answer.others.map(({ machine, seq }) => `${machine} ${seq}`));
      expect(answer.complete).to.equal(answer.next === undefined);
      if (answer.next === undefined) return { shown: shown.toSorted(), through: answer.through };
      expect(answer.through).to.equal(answer.next);
      next = `after=${encodeURIComponent(answer.next)}`;
    }
  }

  const later = (through: string) => read(`after=${through}`);
  const openStream = () =>
    EventReader.open({
      host: '127.0.0.1',
      port: fleet.port,
      path: '/api/v1/events',
      headers: { authorization: `Bearer ${TOKEN}` },
    });

  it('shows what the fleet has taken since, of all machines, whatever the times of the entries are', async () => {
    await fleet.take('m-1', lines.slice(0, 10));
    const { through } = await read('since=2099-01-01T00:00:00Z');
    await fleet.take('m-2', lines.slice(0, 6));
    await fleet.take('m-1', lines.slice(10, 14), 11);
    const { json } = await ask(`after=${through}`);
    const [first] = (json as Answer).changes;
    expect(first).to.include.keys('machine', 'id', 'class', 'state', 'events', 'seq', 'at');
    const one = await later(through);
    expect(one.shown).to.deep.equal(
      [...namesOf('m-1', lines.slice(10, 14)), ...namesOf('m-2', lines.slice(0, 6))].toSorted(),
    );
    expect((await later(one.through)).shown).to.deep.equal([]);
    // Its entries are older than what is here already.
    await fleet.take('m-2', lines.slice(6, 9), 7);
    expect((await later(one.through)).shown).to.deep.equal(namesOf('m-2', lines.slice(6, 9)).toSorted());
    const all = await read('since=2020-01-01T00:00:00Z');
    expect(all.shown).to.deep.equal(
      [...namesOf('m-1', lines.slice(0, 14)), ...namesOf('m-2', lines.slice(0, 9))].toSorted(),
    );
  });

  it('goes on where the stream was', async () => {
    await fleet.take('m-1', lines.slice(0, 10));
    const reader = await openStream();
    await reader.until(() => reader.lastEventId !== '');
    await fleet.take('m-1', lines.slice(10, 12), 11);
    await reader.received(2);
    const [, second] = reader.events;
    reader.leave();
    await fleet.take('m-2', lines.slice(0, 4));
    expect((await later(second!.id)).shown).to.deep.equal(namesOf('m-2', lines.slice(0, 4)).toSorted());
  });

  it('says nothing of machines that its reader does not see, or that were not asked for', async () => {
    const { through } = await read('since=2020-01-01T00:00:00Z', BERT);
    await fleet.take('m-1', lines.slice(0, 5));
    await fleet.take('m-2', lines.slice(0, 5));
    const seen = await read(`after=${through}`, BERT);
    expect(seen.shown).to.deep.equal(namesOf('m-2', lines.slice(0, 5)).toSorted());
    expect(seen.through.split('.')).to.have.lengthOf(2);
    expect((await read(`after=${through}&site=berlin`)).shown).to.deep.equal(
      namesOf('m-1', lines.slice(0, 5)).toSorted(),
    );
    expect((await read(`after=${through}&site=berlin`, BERT)).shown).to.deep.equal([]);
    // Of one machine it is the recorder's, with its numbers.
    const { json } = await ask('after=3&machine=m-2');
    expect(json).to.include({ machine: 'm-2', after: 3, through: 5 });
  });

  it('gives each entry once in pages, while machines go on, and with more of them than a place names', async () => {
    await fleet.take('m-1', lines);
    for (let count = 0; count < 60; count++) {
      const name = `n-${String(count).padStart(2, '0')}`;
      await fleet.enrol(name);
      await fleet.take(name, lines.slice(0, 30));
    }
    // They have sent too lately to be named, however long that took: the answer ends before, and the next one has them.
    await sql`UPDATE entries SET stored_at = clock_timestamp() + interval '60 seconds'`.execute(fleet.db);
    await sql`UPDATE logs SET advanced_at = clock_timestamp() + interval '60 seconds'`.execute(fleet.db);
    const early = await read('since=2020-01-01T00:00:00Z');
    await sql`UPDATE entries SET stored_at = stored_at - interval '90 seconds'`.execute(fleet.db);
    await sql`UPDATE logs SET advanced_at = advanced_at - interval '90 seconds'`.execute(fleet.db);
    expect(early.shown).to.deep.equal([]);
    const first = await ask('since=2020-01-01T00:00:00Z');
    const { next, complete, changes: page } = first.json as Answer;
    expect(complete).to.equal(false);
    await fleet.take('n-00', lines.slice(30, 38), 31);
    const rest = await later(next!);
    const seen = page.flatMap(({ machine, events }) => events.map(({ seq }) => `${machine} ${seq}`));
    const others = (first.json as Answer).others.map(({ machine, seq }) => `${machine} ${seq}`);
    const names = Array.from({ length: 60 }, (_, count) => `n-${String(count).padStart(2, '0')}`);
    const expected = [...namesOf('m-1', lines), ...names.flatMap((name) => namesOf(name, lines.slice(0, 30)))];
    expect([...seen, ...others, ...rest.shown].toSorted()).to.deep.equal(expected.toSorted());
    expect((await later(rest.through)).shown).to.deep.equal(namesOf('n-00', lines.slice(30, 38)).toSorted());
  });

  if (isServer)
    for (const [how, within] of [
      ['a little', 0],
      // A commit that waits for a standby takes as long as that one is gone.
      ['much', OVERLAP + 500],
    ] as const)
      it(`has what becomes visible ${how} later than it was stored`, async () => {
        await fleet.take('m-1', lines.slice(0, 10));
        await fleet.take('m-2', lines.slice(0, 2));
        const reader = await openStream();
        await reader.until(() => reader.lastEventId !== '');
        let release: () => void = () => {};
        const held = new Promise<void>((resolve) => (release = resolve));
        let begun: () => void = () => {};
        const stored = new Promise<void>((resolve) => (begun = resolve));
        const late = fleet.db.transaction().execute(async (tx) => {
          await sql`INSERT INTO entries (machine, log, seq, at, event, line, stored_at)
          SELECT machine, log, 11, at, 'policy.reloaded', replace(${lines[0]!}, '"seq":1,', '"seq":11,'), clock_timestamp()
          FROM entries WHERE machine = 'm-1' AND seq = 1`.execute(tx);
          await sql`UPDATE logs SET through = 11, advanced_at = clock_timestamp() WHERE machine = 'm-1'`.execute(tx);
          begun();
          await held;
        });
        await stored;
        await pause(within);
        await fleet.take('m-2', lines.slice(2, 4), 3);
        await reader.received(2);
        const { through } = await read('since=2020-01-01T00:00:00Z');
        release();
        await late;
        expect((await later(through)).shown).to.deep.equal(['m-1 11']);
        const heard = (await reader.received(3)).map(({ data }) => (JSON.parse(data) as { machine: string }).machine);
        expect(heard).to.deep.equal(['m-2', 'm-2', 'm-1']);
        reader.leave();
      });

  it('never stores an entry earlier than the one before it', async () => {
    await fleet.take('m-1', lines.slice(0, 5));
    await sql`UPDATE logs SET advanced_at = clock_timestamp() + interval '1 hour'`.execute(fleet.db);
    await fleet.take('m-1', lines.slice(5, 9), 6);
    const { rows } = await sql<{ seq: number }>`SELECT seq FROM entries ORDER BY stored_at, seq`.execute(fleet.db);
    expect(rows.map(({ seq }) => seq)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const { rows: ahead } = await sql<{ ahead: boolean }>`
      SELECT min(stored_at) > clock_timestamp() AS ahead FROM entries WHERE seq > 5`.execute(fleet.db);
    expect(ahead[0]!.ahead).to.equal(true);
  });

  it('refuses what is no place', async () => {
    for (const query of [
      '',
      'after=x',
      'after=12.ab:1',
      'after=pxx',
      'since=yesterday',
      'after=1&since=2026-01-01T00:00:00Z',
    ])
      expect((await ask(query)).status, query).to.equal(400);
    expect((await ask('after=x&machine=m-1')).status).to.equal(400);
    const forged = Buffer.from(JSON.stringify(['1', '2', 'm', 'l', 'x'])).toString('base64url');
    expect((await ask(`after=p${forged}`)).status).to.equal(400);
  });
}

describe('What has changed at the fleet', function () {
  this.timeout(60_000);
  onEachPlace((place, name) => changes(place, name === 'PostgreSQL'));
});
