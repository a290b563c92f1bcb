/** Searches for words of reports and for what was added to them later, as few incidents and as many. */
import { expect } from 'chai';
import { sql } from 'kysely';
import { FleetReads } from './support/fleet-reads.ts';
import { onEachEngine } from '../support/engines.ts';
import { MachineLog } from '../support/machine-log.ts';

/** What counts as few: all of them, some, none. */
const BOUNDS = [undefined, 4, 0];

onEachEngine('a search for words', (engine) => {
  const log = new MachineLog('a');
  const reported: { readonly id: string; readonly process: string; readonly isSeen: boolean }[] = [];
  const fleets: FleetReads[] = [];
  let first = 0;

  before(async () => {
    for (let count = 0; count < 24; count++) {
      const process = count % 8 === 0 ? 'rare' : 'bash';
      reported.push({ id: log.report({ process }), process, isSeen: count % 3 === 0 });
    }
    first = log.through;
    for (const { id, isSeen } of reported) if (isSeen) log.command(id, 'acknowledge');
    const place = await engine.database();
    // PGlite is one process's, and one database's of it: one fleet after the other has a bound of its own there.
    for (const few of 'url' in place ? BOUNDS : [BOUNDS[1]]) {
      fleets.push(await FleetReads.start(place, undefined, few === undefined ? {} : { few }));
    }
    await fleets[0]!.enrol('a1');
    await fleets[0]!.take('a1', log.lines.slice(0, first));
  });
  after(async () => {
    for (const fleet of fleets) await fleet.stop();
  });

  const idsFoundBy = async (fleet: FleetReads, query: string): Promise<readonly string[]> => {
    const ids: string[] = [];
    for (let path = `/api/v1/incidents?${query}`; ;) {
      const { status, json, headers } = await fleet.send('GET', path);
      expect(status, path).to.equal(200);
      ids.push(...(json as { readonly id: string }[]).map(({ id }) => id));
      const next = /<([^>]+)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
      if (next === undefined) return ids.toSorted();
      path = next;
    }
  };

  it('finds incidents that have all of it, wherever', async () => {
    const rows = async () =>
      (await sql<{ at: string }>`SELECT ctid::text AS at FROM words ORDER BY id`.execute(fleets[0]!.db)).rows;
    const before = await rows();
    expect(before).to.have.lengthOf(reported.length);
    await fleets[0]!.take('a1', log.lines.slice(first), first + 1);
    // What a report says is in the index once.
    expect(await rows()).to.deep.equal(before);
    const idsOf = (admits: (one: (typeof reported)[number]) => boolean): readonly string[] =>
      reported.filter(admits).map(({ id }) => id);
    const searches: readonly (readonly [string, readonly string[]])[] = [
      ['rules', idsOf(() => true)],
      ['seen', idsOf(({ isSeen }) => isSeen)],
      ['rare', idsOf(({ process }) => process === 'rare')],
      ['rules seen', idsOf(({ isSeen }) => isSeen)],
      ['rare seen', idsOf(({ isSeen, process }) => isSeen && process === 'rare')],
      ['bash see* by:ada', idsOf(({ isSeen, process }) => isSeen && process === 'bash')],
      ['by:ada evidence.process:rare', idsOf(({ isSeen, process }) => isSeen && process === 'rare')],
      ['seen rare nobody', []],
      [reported[3]!.id.replaceAll('-', ' '), [reported[3]!.id]],
    ];
    for (const fleet of fleets) {
      for (const [words, expected] of searches) {
        for (const sort of ['severity', '-created', 'created', 'source']) {
          const found = await idsFoundBy(fleet, `q=${encodeURIComponent(words)}&sort=${sort}&limit=5`);
          expect(found, `${words}, by ${sort}`).to.deep.equal(expected.toSorted());
        }
      }
    }
  });

  it('finds an incident by its identifier', async () => {
    const [{ id }] = reported as [(typeof reported)[number]];
    for (const fleet of fleets)
      expect((await fleet.send('GET', `/api/v1/incidents/get?id=${id}`)).json.id).to.equal(id);
  });
});
