/** Everything of a fleet but its database is killed at random while it works. */
import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { MINUTE } from '../../src/clock.ts';
import { Postgres } from '../fleet/support/postgres.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { FleetUnderFault, onPostgres } from './support/fleet-under-fault.ts';
import { rounds } from './support/length.ts';

onPostgres('given a fleet whose processes are killed', () => {
  const directory = temporaryDirectories();
  let postgres: Postgres;
  let fleet: FleetUnderFault;

  before(async () => {
    postgres = await Postgres.start({ fsync: 'off' });
    fleet = await FleetUnderFault.start(directory(), postgres.database(), 2);
  });
  after(async () => {
    await fleet?.end();
    postgres?.end();
  });

  it('at random under load, then what recorders have acknowledged is there, once', async function () {
    this.timeout(rounds(4, 20) * MINUTE);
    for (const name of ['a', 'b', 'c']) (await fleet.add(name)).load();
    await fleet.takes(10);
    for (let kill = 0; kill < rounds(9, 300); kill++) {
      await pause(randomInt(50, 500));
      const machine = fleet.machines[randomInt(fleet.machines.length)]!;
      switch (kill % 3) {
        case 0: {
          const process = fleet.processes[randomInt(fleet.processes.length)]!;
          await process.kill();
          await process.start();
          break;
        }
        case 1:
          await machine.killShippers();
          machine.ship();
          break;
        default:
          await machine.killRecorder();
          await machine.recordAgain();
          machine.load();
      }
    }
    await fleet.expectNothingLost();
  });
});
