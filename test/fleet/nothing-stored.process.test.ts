/** A fleet whose database can only be read: its disk is full, or it is a standby. */
import { expect } from 'chai';
import { sql } from 'kysely';
import { SECOND } from '../../src/clock.ts';
import { FleetAlarms } from '../../src/fleet/alarms.ts';
import type { FleetCore } from '../../src/fleet/fleet.ts';
import { migrate } from '../../src/fleet/migrations.ts';
import { onEachEngine } from './support/engines.ts';

onEachEngine('a database that can only be read', (engine) => {
  let core: FleetCore;

  before(async () => {
    core = await engine.core();
  });
  after(() => core.db.destroy());

  it('needs no change where it has the layout of the program', async () => {
    const { db } = core;
    const moved = await db.connection().execute(async (one) => {
      await sql`SET default_transaction_read_only = on`.execute(one);
      try {
        return await migrate(one);
      } finally {
        await sql`SET default_transaction_read_only = off`.execute(one);
      }
    });
    expect(moved.from).to.equal(moved.to);
  });

  it('calls no machine silent before it could be heard again', async () => {
    const { db, enrolment } = core;
    const secret = await enrolment.invite('oven-1', {}, 'test');
    await enrolment.enrol({ machine: 'oven-1', secret, token_sha256: 'a'.repeat(64), public_key: 'key' });
    await sql`UPDATE machines SET enrolled_at = clock_timestamp() - interval '1 hour'`.execute(db);
    const clock = { now: 0, monotonic: () => clock.now };
    const said: string[] = [];
    const log = { error: (_: object, text: string) => void said.push(text), info: () => {} };
    const silentAfter = 30 * SECOND;
    const alarms = new FleetAlarms({ db, clock, silentAfter, log });
    clock.now = silentAfter;
    await sql`ALTER TABLE fleet_incidents RENAME TO not_there`.execute(db);
    try {
      expect(await alarms.look().catch(String)).to.include('fleet_incidents');
    } finally {
      await sql`ALTER TABLE not_there RENAME TO fleet_incidents`.execute(db);
    }
    clock.now += silentAfter - SECOND;
    await alarms.look();
    expect(said).to.deep.equal([]);
    clock.now += 10 * SECOND;
    await alarms.look();
    expect(said).to.deep.equal(['A MACHINE IS SILENT']);
  });
});
