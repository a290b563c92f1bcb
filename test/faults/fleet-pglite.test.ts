/** A fleet on PGlite whose process, power or disk fails: what it has acknowledged is there. */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { MINUTE } from '../../src/clock.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { EmbeddedFleet } from './support/embedded-fleet.ts';
import { rounds } from './support/length.ts';
import { mounts } from './support/mounts.ts';
import { needs } from './support/needs.ts';
import { traced } from './support/traced.ts';

const MEBIBYTE = 1024 * 1024;

describe('given a fleet on PGlite', function limited() {
  this.timeout(rounds(4, 60) * MINUTE);
  const directory = temporaryDirectories();
  let fleet: EmbeddedFleet;
  afterEach(() => fleet?.end());

  it('that is killed at random under load, then what it has acknowledged is there, once', async () => {
    fleet = await EmbeddedFleet.make(directory());
    for (let kill = 0; kill < rounds(4, 60); kill++) {
      await fleet.start();
      await fleet.expectAcknowledged();
      await fleet.load(async () => {
        await fleet.takes();
        await pause(randomInt(1000));
        await fleet.kill();
      });
    }
    await fleet.expectNothingLost();
  });

  describe('whose power is cut', () => {
    needs('loop', 'mount');
    const file = mounts();

    it('under load, then what it has acknowledged is there, once', async () => {
      const disk = file.ext4(1536 * MEBIBYTE);
      fleet = await EmbeddedFleet.make(join(disk, 'fleet'));
      for (let cut = 0; cut < rounds(3, 30); cut++) {
        await fleet.start();
        await fleet.expectAcknowledged();
        await fleet.load(async () => {
          await fleet.takes();
          await pause(randomInt(1000));
          await fleet.pause();
          await file.cutPower(disk, () => fleet.kill());
        });
      }
      await fleet.expectNothingLost();
    });
  });

  describe('whose disk fails to sync once', () => {
    needs('strace');

    for (const [when, ordinal] of [
      [2, '2nd'],
      [30, '30th'],
    ] as const) {
      it(`the ${ordinal} time, then it says so, ends, and has lost nothing`, async () => {
        fleet = await EmbeddedFleet.make(directory());
        await fleet.start(traced(`fdatasync:error=EIO:when=${when}`).under);
        await fleet.load(() => fleet.ended);
        expect(await fleet.ended).to.equal(1);
        expect(fleet.said).to.include('the files of PGlite could not be synced (EIO)');
        await fleet.start();
        await fleet.expectAcknowledged();
        await fleet.load(() => fleet.takes());
        await fleet.expectNothingLost();
      });
    }
  });

  it('that is interrupted while it makes its database, then the next start makes it', async () => {
    const home = directory();
    for (const after of [500, 1500, 3000]) {
      fleet = new EmbeddedFleet(home);
      fleet.launch();
      await Promise.race([pause(after), fleet.listening.catch(() => undefined)]);
      await fleet.kill();
    }
    fleet = await EmbeddedFleet.make(home);
    await fleet.start();
    await fleet.load(() => fleet.takes());
    await fleet.expectNothingLost();
  });
});
