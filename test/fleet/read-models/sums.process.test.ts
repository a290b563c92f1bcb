/** Sums over all machines: what is answered with them is what is answered without, at any time. */
import { expect } from 'chai';
import { systemClock } from '../../../src/clock.ts';
import { Sums } from '../../../src/fleet/read-models/sums.ts';
import { MachineStory } from '../../bench/fleet/machine-story.ts';
import { AUDIT_KEY, MachineLog } from '../support/machine-log.ts';
import { onEachEngine } from '../support/engines.ts';
import { FleetReads } from '../api/support/fleet-reads.ts';

const MACHINES = ['a1', 'b2', 'c3'];
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

onEachEngine('sums over all machines', (engine) => {
  let fleet: FleetReads;
  let sums: Sums;
  // What took long is answered again for a while, whatever has come since.
  let later = 0;
  const end = Date.now();
  // The hours that are answered stay the same, also when one begins while this runs.
  const clock = { ...systemClock, now: () => end, monotonic: () => systemClock.monotonic() + later };
  const stories = MACHINES.map((_, at) => new MachineStory(at + 1, 120, end, AUDIT_KEY));

  before(async () => {
    fleet = await FleetReads.start(await engine.database(), undefined, { clock });
    sums = new Sums({ db: fleet.db, clock: systemClock });
    for (const [at, machine] of MACHINES.entries()) {
      await fleet.enrol(machine);
      await fleet.take(machine, stories[at]!.lines.slice(0, 400));
    }
  });
  after(() => fleet.stop());

  const paths = (): string[] => {
    const ranges = [
      [end - 30 * DAY - 1234, end + 17],
      [end - 20 * DAY, end - 3 * DAY],
      [end - 7 * HOUR, end - 5 * HOUR - 1],
      [end - 1_000_000, end - 100],
      [Math.floor(end / DAY) * DAY - 5 * DAY, Math.floor(end / DAY) * DAY - 4 * DAY],
      [Math.floor(end / HOUR) * HOUR - 30 * HOUR, Math.floor(end / HOUR) * HOUR],
    ].map(([since, until]) => `since=${new Date(since!).toISOString()}&until=${new Date(until!).toISOString()}`);
    const compared = ranges.flatMap((range) =>
      ['class', 'source', 'severity', 'hour'].map((by) => `/api/v1/stats/compare?by=${by}&${range}`),
    );
    return [...compared, '/api/v1/stats/hours?hours=168', '/api/v1/stats/hours?hours=5'];
  };
  /** What is answered, without what depends on the moment. */
  const answers = async (machines = ''): Promise<unknown[]> => {
    later += HOUR;
    const all: unknown[] = [];
    for (const path of paths()) {
      const { status, json } = await fleet.send('GET', `${path}${machines}`);
      expect(status, path).to.equal(200);
      all.push([
        path,
        JSON.parse(
          JSON.stringify(json, (name, value: unknown) =>
            name.startsWith('longest_waiting') || name.startsWith('oldest_waiting') ? typeof value : value,
          ),
        ),
      ]);
    }
    return all;
  };
  const ofEach = MACHINES.map((machine) => `&machine=${machine}`).join('');
  const marks = async (): Promise<number> => (await fleet.db.selectFrom('marks').selectAll().execute()).length;

  it('are made of marked hours, and answer as the rows of the machines do', async () => {
    expect(await marks()).to.be.greaterThan(0);
    const before = await answers();
    await sums.make();
    expect(await marks()).to.equal(0);
    expect(await answers(ofEach)).to.deep.equal(before);
    expect(await answers()).to.deep.equal(before);
    const kept = await fleet.db.selectFrom('created_sums').select('length').distinct().orderBy('length').execute();
    expect(kept).to.deep.equal([{ length: 1 }, { length: 24 }]);
  });

  it('are passed over where a machine has sent something since', async () => {
    for (const [at, machine] of MACHINES.entries()) await fleet.take(machine, stories[at]!.lines.slice(400), 401);
    expect(await marks()).to.be.greaterThan(0);
    const changed = await answers();
    expect(changed).to.deep.equal(await answers(ofEach));
    await sums.make();
    expect(await answers()).to.deep.equal(changed);
  });

  it('leave out a history that its machine has left', async () => {
    const other = new MachineStory(77, 40, end, AUDIT_KEY);
    await fleet.restart('a1', other.lines);
    const changed = await answers();
    expect(changed).to.deep.equal(await answers(ofEach));
    await sums.make();
    expect(await answers()).to.deep.equal(changed);
  });

  it('leave out an incident that a rewritten past has at another time', async () => {
    const log = new MachineLog('d4');
    log.report();
    log.report();
    const rewritten = log.copyThrough(2);
    rewritten.report();
    await fleet.enrol('d4');
    await fleet.take('d4', log.lines);
    await fleet.take('d4', rewritten.lines.slice(2), 3);
    await sums.make();
    const { event, timestamp, data } = JSON.parse(log.lines[2]!);
    delete data.seq;
    const moved = new Date(Date.parse(timestamp) + 5 * HOUR).toISOString();
    rewritten.append({ event, data, timestamp: moved } as unknown as Parameters<MachineLog['append']>[0]);
    await fleet.take('d4', rewritten.lines.slice(3), 4);
    const changed = await answers();
    expect(changed).to.deep.equal(await answers(`${ofEach}&machine=d4`));
    await sums.make();
    expect(await answers()).to.deep.equal(changed);
  });
});
