import { expect } from 'chai';
import { sql } from 'kysely';
import { MINUTE } from '../../src/clock.ts';
import { type FleetDatabase, openDatabase } from '../../src/fleet/database.ts';
import { migrate } from '../../src/fleet/migrations.ts';
import { Upkeep } from '../../src/fleet/upkeep.ts';

describe('the upkeep of PGlite', () => {
  let db: FleetDatabase;
  const clock = { now: 0, monotonic: () => clock.now };

  beforeEach(async () => {
    clock.now = 0;
    db = await openDatabase({ folder: undefined });
    await migrate(db);
    await sql`
      INSERT INTO meta (machine, name, value) SELECT 'm', i::text, '' FROM generate_series(1, 2000) AS i`.execute(db);
  });
  afterEach(() => db.destroy());

  /** PostgreSQL counts a little later than it changes, unless it is asked to. */
  const change = async () => {
    await sql`UPDATE meta SET value = value || 'x' WHERE machine = 'm'`.execute(db);
    await sql`SELECT pg_stat_force_next_flush()`.execute(db);
  };
  const sizes = async () => {
    const { rows } = await sql<{ readonly bytes: number; readonly vacuums: number; readonly counted: number }>`
      SELECT pg_table_size(relid)::int AS bytes, vacuum_count::int AS vacuums,
        (SELECT reltuples::int FROM pg_class WHERE oid = relid) AS counted
      FROM pg_stat_user_tables WHERE relname = 'meta'`.execute(db);
    return rows[0]!;
  };

  it('keeps a table small in which all rows change again and again, once a minute', async () => {
    const upkeep = new Upkeep({ db, clock });
    await change();
    await upkeep.look();
    const { bytes, counted } = await sizes();
    expect(counted).to.be.within(2000, 2010);
    for (let round = 0; round < 10; round++) {
      await change();
      await upkeep.look();
    }
    expect((await sizes()).vacuums, 'within a minute').to.equal(1);
    const grown = (await sizes()).bytes;
    expect(grown, 'without it').to.be.above(3 * bytes);
    for (let round = 0; round < 10; round++) {
      clock.now += 1 * MINUTE;
      await upkeep.look();
      await change();
    }
    expect((await sizes()).vacuums).to.equal(11);
    expect((await sizes()).bytes).to.be.at.most(grown);
  });

  it('leaves a table alone that has changed little, and all of them while the disk is full', async () => {
    const upkeep = new Upkeep({ db, clock });
    await upkeep.look();
    const { vacuums } = await sizes();
    clock.now += 1 * MINUTE;
    await upkeep.look();
    await change();
    // So the thread of PGlite says that nothing is to be changed.
    await sql`SET default_transaction_read_only = on`.execute(db);
    clock.now += 1 * MINUTE;
    await upkeep.look();
    expect((await sizes()).vacuums).to.equal(vacuums);
    await sql`SET default_transaction_read_only = off`.execute(db);
    clock.now += 1 * MINUTE;
    await upkeep.look();
    expect((await sizes()).vacuums).to.equal(vacuums + 1);
  });
});
