import { expect } from 'chai';
import { ClockWatch } from '../../src/audit/clock-watch.ts';
import { HOUR, SECOND } from '../../src/clock.ts';
import { FixedClock } from '../support/fixed-clock.ts';

/** A clock of a machine that can sleep: `monotonic` stands still meanwhile. */
class SleepyClock extends FixedClock {
  asleep = 0;

  override now(): number {
    return super.now() + this.asleep;
  }

  sinceBoot(): number {
    return this.milliseconds + this.asleep;
  }
}

describe('the watch over the clock', () => {
  let clock: SleepyClock;
  let watch: ClockWatch;

  beforeEach(() => {
    clock = new SleepyClock();
    watch = new ClockWatch(clock);
    watch.begin(undefined);
  });

  const after = (milliseconds: number, off = 0, asleep = 0) => {
    clock.milliseconds += milliseconds;
    clock.off += off;
    clock.asleep += asleep;
    return watch.look(7);
  };

  for (const [what, by] of [
    ['an hour forward', HOUR],
    ['an hour back', -HOUR],
    ['three seconds forward', 3 * SECOND],
  ] as const) {
    it(`says by how much it went ${what}, and since when`, () => {
      expect(after(SECOND)).to.equal(undefined);
      const jumped = after(SECOND, by);
      expect(jumped).to.deep.equal({
        timestamp: new Date(clock.now()).toISOString(),
        event: 'clock.jumped',
        data: { by_ms: by, since: '2026-11-22T07:12:01.123Z', after_seq: 7, found: 'running' },
      });
      expect(after(SECOND)).to.equal(undefined);
      expect(watch.isUncertain).to.equal(true);
      after(61 * SECOND);
      expect(watch.isUncertain).to.equal(false);
    });
  }

  it('takes no sleep, no slow adjustment and no late look for a jump', () => {
    expect(after(SECOND, 0, 9 * HOUR)).to.equal(undefined);
    for (let n = 0; n < 1000; n++) expect(after(SECOND, 80)).to.equal(undefined);
    for (let n = 0; n < 1000; n++) expect(after(SECOND, -80)).to.equal(undefined);
    expect(after(10 * 60 * SECOND, 50 * SECOND)).to.equal(undefined);
    expect(after(SECOND, 1.5 * SECOND)).to.equal(undefined);
    expect(watch.isUncertain).to.equal(false);
  });

  it('finds at a start that the clock is behind the last entry, and only that', () => {
    const last = { seq: 41, timestamp: '2026-11-23T07:12:00.123Z' };
    const jumped = new ClockWatch(clock).begin(last);
    expect(jumped?.data).to.deep.equal({ by_ms: -24 * HOUR, since: last.timestamp, after_seq: 41, found: 'start' });
    for (const timestamp of ['2026-11-22T07:12:01.123Z', '2020-01-01T00:00:00.000Z']) {
      expect(new ClockWatch(clock).begin({ seq: 1, timestamp })).to.equal(undefined);
    }
  });
});
