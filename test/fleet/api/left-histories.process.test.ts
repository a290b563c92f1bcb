/** What a machine has left behind by going back: listed, and counted as it is listed. */
import { expect } from 'chai';
import { MachineLog } from '../support/machine-log.ts';
import { FleetReads } from './support/fleet-reads.ts';

describe('incidents of histories that a machine has left', () => {
  let fleet: FleetReads;

  before(async () => {
    fleet = await FleetReads.start({ folder: undefined });
    for (const name of ['one', 'two']) await fleet.enrol(name, { site: 'berlin' });
  });
  after(() => fleet.stop());

  it('count where they are listed', async () => {
    const log = new MachineLog('a');
    log.fill(20);
    const image = log.copyThrough(10);
    const [left, resolved] = [log.report(), log.report()];
    log.command(left, 'acknowledge');
    log.command(resolved, 'resolve');
    image.report();
    image.report();
    await fleet.take('one', log.lines);
    const other = new MachineLog('b').fill(9);
    await fleet.take('two', other.lines);
    const numbers = async () => {
      const all = await fleet.send('GET', '/api/v1/incidents?limit=1000');
      const list = all.json as { machine: string; state: string; class: string; contained_at?: string }[];
      const of = (state: string) => list.filter((incident) => incident.state === state).length;
      const resolvedCount = list.filter(({ state }) => state === 'resolved').length;
      const { json: stats } = await fleet.send('GET', '/api/v1/stats');
      const { json: machines } = await fleet.send('GET', '/api/v1/machines');
      const one = machines.find(({ machine }: { machine: string }) => machine === 'one');
      const open = await fleet.send('GET', '/api/v1/incidents?state=acknowledged&limit=1');
      return {
        listed: [
          list.length,
          list.length,
          of('acknowledged'),
          resolvedCount,
          list.filter(({ contained_at: at }) => at !== undefined).length,
          list.filter(({ machine, state }) => machine === 'one' && state !== 'resolved').length,
        ],
        counted: [
          Number(all.headers['x-total-count']),
          stats.total_incidents,
          Number(open.headers['x-total-count']),
          stats.resolved_count,
          stats.contained_count,
          one.incidents.unresolved,
        ],
      };
    };
    const before = await numbers();
    expect(before.counted).to.deep.equal(before.listed);
    await fleet.take('one', image.lines.slice(9), 10);
    // Sums that took long are kept for a while, each for its own.
    let after = await numbers();
    while (after.counted.join() !== after.listed.join()) after = await numbers();
    expect(after.listed[0]).to.equal(before.listed[0]! + 2);
    expect(after.counted).to.deep.equal(after.listed);
    // The history that it had left comes back, and the other one is left.
    const from = log.through + 1;
    log.report();
    await fleet.take('one', log.lines.slice(from - 1), from);
    let last = await numbers();
    while (last.counted[0] === after.counted[0]) last = await numbers();
    expect(last.listed[0]).to.equal(after.listed[0]! + 1);
    expect(last.counted).to.deep.equal(last.listed);
  });
});
