/** Machines that are not as the fleet knows them: another clock, an old image, two shippers. */
import { join } from 'node:path';
import { expect } from 'chai';
import { HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import { Postgres } from '../fleet/support/postgres.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { FleetUnderFault, onPostgres } from './support/fleet-under-fault.ts';
import { rounds } from './support/length.ts';
import { libfaketime, needs } from './support/needs.ts';
import { until } from './support/until.ts';

onPostgres('given a fleet with machines that are not as they were', function limited() {
  this.timeout(rounds(4, 30) * MINUTE);
  const directory = temporaryDirectories();
  let postgres: Postgres;
  let fleet: FleetUnderFault;

  before(async () => {
    postgres = await Postgres.start({ fsync: 'off' });
  });
  after(() => postgres?.end());
  beforeEach(async () => {
    fleet = await FleetUnderFault.start(directory(), postgres.database());
  });
  afterEach(() => fleet?.end());

  describe('by a clock that is wrong', () => {
    needs('libfaketime');

    for (const [how, offset] of [
      // Far enough to be wrong, and not so far that a delivery is overdue once it is right.
      ['ahead', 90],
      ['behind', -90],
    ] as const) {
      it(`${how}, its entries are stored as they are, and the fleet says so until it is right`, async () => {
        const clock = { LD_PRELOAD: libfaketime(), FAKETIME: `${offset > 0 ? '+' : ''}${offset}s` };
        const wrong = await fleet.add('wrong', clock);
        const right = await fleet.add('right');
        for (const machine of fleet.machines) machine.load();
        await fleet.takes(rounds(50, 5000));
        const skewed = async () => (await fleet.alarms('wrong')).filter(({ kind }) => kind === 'clock_skew');
        await until(async () => (await skewed()).length === 1);
        const [{ detail } = { detail: {} }] = await skewed();
        const { clock_skew_ms: skew } = detail as { readonly clock_skew_ms: number };
        expect(skew / SECOND).to.be.closeTo(offset, 10);
        await fleet.expectNothingLost();
        await wrong.killShippers();
        await wrong.killRecorder();
        wrong.clock = {};
        await wrong.recordAgain();
        wrong.ship();
        wrong.load();
        await until(async () => (await skewed())[0]!.closed_at !== null);
        await fleet.expectNothingLost();
        expect(await fleet.alarms(right.name)).to.deep.equal([]);
      });
    }
  });

  describe('by a log whose beginning is archived', () => {
    needs('libfaketime');

    it('what is written then comes like all before', async () => {
      const segments = { AUDIT_SEGMENT_BYTES: '20000' };
      const machine = await fleet.add('old', { LD_PRELOAD: libfaketime(), FAKETIME: '-3d', ...segments });
      machine.load();
      await fleet.takes(60);
      await machine.rest();
      await machine.killShippers();
      await machine.killRecorder();
      machine.clock = segments;
      await machine.record();
      const before = new Date(Date.now() - 25 * HOUR).toISOString();
      // It verifies its log first.
      await until(async () => (await machine.recorder.post('/api/v1/archive', { before })).status === 200);
      expect((await machine.recorder.send('GET', '/api/v1/log')).status).to.equal(410);
      machine.ship();
      for (let count = 0; count < 5; count++)
        expect((await machine.recorder.report({ description: `after ${count}` })).status).to.equal(201);
      await until(async () => {
        const { headers } = await machine.recorder.send('HEAD', '/api/v1/log?archived=true');
        return (await fleet.stored('old')) === Number(headers['log-entries']);
      });
      expect((await fleet.alarms('old')).filter(({ kind }) => kind === 'log_diverged')).to.deep.equal([]);
    });
  });

  it('restored from an old image, both histories are kept, and the fleet says from where they differ', async () => {
    const machine = await fleet.add('restored');
    machine.load();
    await fleet.takes(50);
    await machine.rest();
    const putBack = machine.image(join(directory(), 'image'));
    const shared = machine.lines;
    machine.load();
    await fleet.takes(rounds(200, 20_000));
    await machine.rest();
    const left = await fleet.caughtUp(machine);
    const acknowledged = machine.ledger.accounts.filter(({ standing }) => standing === 'acknowledged');
    await machine.killRecorder();
    putBack();
    await machine.record();
    machine.ship();
    for (let count = 0; count < 20; count++)
      expect((await machine.recorder.report({ description: `after ${count}` })).status).to.equal(201);
    const again = await fleet.caughtUp(machine, left.length - shared.length);
    expect(again.slice(0, shared.length)).to.deep.equal(shared);

    const logs = await fleet.core.db
      .selectFrom('logs')
      .select(['log', 'active', 'through', 'diverged_from', 'diverged_at_seq'])
      .where('machine', '=', 'restored')
      .orderBy('ordinal')
      .execute();
    expect(logs.map(({ active, through }) => ({ active, through }))).to.deep.equal([
      { active: false, through: left.length },
      { active: true, through: again.length },
    ]);
    expect(logs[1]).to.deep.include({ diverged_from: logs[0]!.log, diverged_at_seq: shared.length + 1 });
    const linesOf = async (log: string): Promise<readonly string[]> => {
      const rows = await fleet.core.db
        .selectFrom('entries')
        .select('line')
        .where('machine', '=', 'restored')
        .where('log', '=', log)
        .orderBy('seq')
        .execute();
      return rows.map(({ line }) => line);
    };
    expect(await linesOf(logs[0]!.log)).to.deep.equal(left);
    expect(await linesOf(logs[1]!.log)).to.deep.equal(again.slice(shared.length));
    const alarms = await fleet.alarms('restored');
    expect(alarms.filter(({ kind }) => kind === 'log_diverged').map(({ detail }) => detail)).to.have.length(1);
    expect(alarms.find(({ kind }) => kind === 'log_diverged')!.detail).to.include({
      first_differing_seq: shared.length + 1,
      history: logs[1]!.log,
      left: logs[0]!.log,
    });
    // What only the old history shows is shown still, each incident once.
    const shown = await fleet.core.db
      .selectFrom('incidents as i')
      .innerJoin('documents as d', (on) =>
        on.onRef('d.machine', '=', 'i.machine').onRef('d.log', '=', 'i.log').onRef('d.id', '=', 'i.id'),
      )
      .select('d.document')
      .where('i.machine', '=', 'restored')
      .where('i.current', '=', true)
      .execute();
    const descriptions = shown.map(({ document }) => (JSON.parse(document) as { description: string }).description);
    const expected = [
      ...acknowledged.map(({ report }) => report.description),
      ...Array.from({ length: 20 }, (_, n) => `after ${n}`),
    ];
    expect(descriptions.toSorted()).to.deep.equal(expected.toSorted());
    await fleet.expectSameWhenMadeAgain();
  });

  it('with two shippers, nothing is doubled and no divergence found', async () => {
    const machine = await fleet.add('twice');
    machine.ship();
    machine.load();
    for (let round = 0; round < rounds(2, 40); round++) {
      await fleet.takes(rounds(200, 1000));
      await machine.killShippers();
      machine.ship();
      machine.ship();
    }
    await fleet.takes(rounds(200, 1000));
    await fleet.expectNothingLost();
  });
});
