/** The database of a fleet fails while machines send. */
import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { sql } from 'kysely';
import { MINUTE, SECOND } from '../../src/clock.ts';
import { isUnreachable, openDatabase } from '../../src/fleet/database.ts';
import { Postgres } from '../fleet/support/postgres.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { DatabaseProxy } from './support/database-proxy.ts';
import { FleetUnderFault, onPostgres } from './support/fleet-under-fault.ts';
import { longOnly, rounds } from './support/length.ts';
import { mounts } from './support/mounts.ts';
import { needs } from './support/needs.ts';
import { until } from './support/until.ts';

const MEBIBYTE = 1024 * 1024;

onPostgres('given a fleet whose database fails', function limited() {
  this.timeout(rounds(4, 10) * MINUTE);
  const directory = temporaryDirectories();
  const ends: (() => unknown)[] = [];
  const mount = mounts();
  /** Before the mounts go. */
  const endAll = async (): Promise<void> => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  after(endAll);

  const begin = async (postgres: Postgres) => {
    ends.push(() => postgres.end());
    const proxy = await new DatabaseProxy(postgres.port).listen();
    ends.push(() => proxy.end());
    const fleet = await FleetUnderFault.start(directory(), proxy.url(postgres.database()), 1);
    ends.push(() => fleet.end());
    for (const name of ['a', 'b']) (await fleet.add(name)).load();
    await fleet.takes(50);
    return { fleet, proxy };
  };
  const healthIs = (fleet: FleetUnderFault, status: number): Promise<void> =>
    until(async () => (await fleet.processes[0]!.health()) === status);

  it('its primary is killed and the synchronous standby promoted: nothing acknowledged is lost', async () => {
    const primary = await Postgres.start({ fsync: 'off', synchronous_commit: 'on', wal_keep_size: '64MB' });
    const { fleet, proxy } = await begin(primary);
    for (let round = 0, server = primary; round < rounds(1, 5); round++) {
      const standby = await server.standby();
      ends.unshift(() => standby.end());
      await fleet.takes(50);
      await server.kill();
      // What the fleet has acknowledged to a shipper is what the shipper has said to nobody: only the standby has it now.
      standby.promote();
      proxy.turnTo(standby.port);
      await fleet.takes(50);
      server = standby;
    }
    expect(fleet.processes[0]!.hasEnded).to.equal(false);
    await fleet.expectNothingLost();
    await endAll();
  });

  it('it is gone for a while: machines go on recording, and the fleet takes it all afterwards', async () => {
    const postgres = await Postgres.start({ fsync: 'off' });
    const { fleet } = await begin(postgres);
    await postgres.kill();
    await healthIs(fleet, 503);
    await pause(rounds(10, 60) * SECOND);
    await Promise.all(fleet.machines.map((machine) => machine.ledger.check(machine.recorder).catch(() => {})));
    expect(fleet.processes[0]!.hasEnded).to.equal(false);
    postgres.start();
    await healthIs(fleet, 200);
    await fleet.takes(50);
    await fleet.expectNothingLost();
    await endAll();
  });

  it('the network is cut without a word: queries end, and new connections are made', async () => {
    const postgres = await Postgres.start({ fsync: 'off' });
    ends.push(() => postgres.end());
    const proxy = await new DatabaseProxy(postgres.port).listen();
    ends.push(() => proxy.end());
    const db = await openDatabase({ url: proxy.url(postgres.database()), connections: 2, silentWithin: 1000 });
    ends.push(() => db.destroy());
    const ask = (): Promise<object> => sql`SELECT 1 AS one`.execute(db);
    await Promise.all([ask(), ask()]);
    const faults = await Promise.all(
      [0, 1].map((own) =>
        db
          .transaction()
          .execute(async (tx) => {
            await sql`SELECT ${own}::int`.execute(tx);
            proxy.silence();
            await sql`SELECT 1`.execute(tx);
          })
          .catch((error: unknown) => error),
      ),
    );
    expect(faults.map(isUnreachable), String(faults)).to.deep.equal([true, true]);
    proxy.speak();
    expect(await ask()).to.deep.include({ rows: [{ one: 1 }] });
    await endAll();
  });

  longOnly('the network is cut without a word for a minute: machines are served again', async () => {
    const postgres = await Postgres.start({ fsync: 'off' });
    const { fleet, proxy } = await begin(postgres);
    proxy.silence();
    await pause(MINUTE);
    proxy.speak();
    await healthIs(fleet, 200);
    await fleet.takes(50).catch(() => fleet.takes(50));
    await fleet.expectNothingLost();
    await endAll();
  });

  describe('on a small disk', () => {
    needs('mount');

    it('that is full: it stores again once there is room', async () => {
      const place = mount.tmpfs(256 * MEBIBYTE);
      const postgres = await Postgres.start({ fsync: 'off', max_wal_size: '8MB', min_wal_size: '2MB' }, place);
      const { fleet } = await begin(postgres);
      const ballast = join(place, 'ballast');
      // The database writes meanwhile, and makes room: it is full when nothing more can be written.
      const some = Buffer.alloc(MEBIBYTE);
      expect(() => {
        for (;;) appendFileSync(ballast, some);
      }).to.throw('ENOSPC');
      const sizes = async (): Promise<number> =>
        (await Promise.all(fleet.machines.map(({ name }) => fleet.stored(name)))).reduce((sum, one) => sum + one, 0);
      // Nothing is stored for a while: it is full, and it may have ended over it.
      await until(async () => {
        const before = await sizes().catch(() => -1);
        await pause(2 * SECOND);
        return before === (await sizes().catch(() => -1));
      });
      expect(fleet.processes[0]!.hasEnded).to.equal(false);
      rmSync(ballast);
      if (!postgres.isRunning) postgres.start();
      await fleet.takes(50);
      await fleet.expectNothingLost();
      await endAll();
    });
  });
});
