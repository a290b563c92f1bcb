/** A fleet on PGlite whose process, power or disk fails: what it has acknowledged is there. */
import { randomInt } from 'node:crypto';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
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
import { until } from './support/until.ts';

const MEBIBYTE = 1024 * 1024;

/** Leaves so much room on a disk. */
function fill(place: string, ballast: string, left: number): void {
  const { bavail, bsize } = statfsSync(place);
  // The fleet writes meanwhile, so there may be less room by now; what it has not got is full all the same.
  const attempt = (): void => writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - left * MEBIBYTE)));
  try {
    attempt();
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).to.equal('ENOSPC');
  }
}

describe('given a fleet on PGlite', function limited() {
  this.timeout(rounds(6, 60) * MINUTE);
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

  describe('on a small disk', () => {
    needs('loop', 'mount');
    const disk = mounts();
    const FULL =
      '{"error":"the database can only be read now: its disk is full, or it is a standby; nothing was stored"}';

    it('that it fills by itself, then it goes on when there is room, and has lost nothing', async () => {
      const place = disk.tmpfs(136 * MEBIBYTE);
      fleet = await EmbeddedFleet.make(join(place, 'fleet'));
      await fleet.start();
      await fleet.load(async () => {
        await until(async () => (await fleet.health()).code === 503);
        expect((await fleet.health()).said).to.match(
          /"degraded","reasons":\["the disk of the database has less than 64 MiB/,
        );
        await until(() => Promise.resolve(fleet.refusals.size > 0));
        // What is stored can be read.
        await fleet.through();
        disk.remount(place, `size=${400 * MEBIBYTE}`);
        await until(async () => (await fleet.health()).code === 200);
        await fleet.takes();
      });
      expect([...fleet.refusals]).to.deep.equal([`5 ${FULL}`]);
      await fleet.expectNothingLost();
    });

    // All of it at once, in the middle of whatever it does. What is left is used up by tables, or by the log of changes.
    for (const [kind, left] of [
      ['tmpfs', 0],
      ['ext4', 8],
    ] as const) {
      it(`that others fill up to ${left} MiB (${kind}), then it refuses or ends, and has lost nothing`, async () => {
        const place = disk[kind](300 * MEBIBYTE);
        const ballast = join(place, 'ballast');
        fleet = await EmbeddedFleet.make(join(place, 'fleet'));
        for (let round = 0; round < rounds(1, 10); round++) {
          await fleet.start();
          await fleet.expectAcknowledged();
          await fleet.load(async () => {
            await fleet.takes();
            await pause(randomInt(200));
            fill(place, ballast, left);
            let hasEnded = false;
            void fleet.ended.then(() => (hasEnded = true));
            await until(() => Promise.resolve(hasEnded || fleet.refusals.size > 0));
            if (hasEnded) expect(fleet.said).to.match(/^incident-fleet: PGlite has failed: .*No space left on device/);
            // It stops as it should, or says why it can't make its last checkpoint.
            const code = await fleet.stop();
            if (code !== 0)
              expect(fleet.said).to.match(/^incident-fleet: PGlite has failed: .*No space left on device/);
            // A start without room says so as well, or has all.
            const start = await fleet.start().catch(String);
            if (start === undefined) await fleet.expectAcknowledged();
            else expect(start).to.match(/PGlite has failed: .*No space left on device|its disk is full/);
            await fleet.stop();
            rmSync(ballast);
          });
          for (const refusal of fleet.refusals) expect(refusal).to.match(/^5 .*"the (?:disk of the )?database .*full/);
          fleet.refusals.clear();
        }
        await fleet.start();
        await fleet.expectAcknowledged();
        await fleet.load(() => fleet.takes());
        await fleet.expectNothingLost();
      });
    }

    for (const size of [20, 48]) {
      it(`of ${size} MiB at its first start, then it says so, and starts when there is room`, async () => {
        const place = disk.tmpfs(size * MEBIBYTE);
        const home = join(place, 'fleet');
        mkdirSync(home);
        fleet = new EmbeddedFleet(home);
        fleet.launch();
        expect(await fleet.ended).to.equal(1);
        expect(fleet.said).to.match(
          /^incident-fleet: .*(?:no space left on the disk|No space left on device|its disk is full)/,
        );
        disk.remount(place, `size=${400 * MEBIBYTE}`);
        fleet = await EmbeddedFleet.make(home);
        await fleet.start();
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
