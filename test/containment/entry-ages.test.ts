import { expect } from 'chai';
import fc from 'fast-check';
import { HOUR, SECOND } from '../../src/clock.ts';
import { EntryAges } from '../../src/containment/entry-ages.ts';
import { FixedClock } from '../support/fixed-clock.ts';

describe('EntryAges', () => {
  it('given entries from before the start, then they are as old as their times say, from then on', () => {
    const clock = new FixedClock();
    const ages = new EntryAges(clock, 10);
    const askedAt = clock.now() - HOUR;
    clock.milliseconds += 5 * SECOND;
    clock.off = -7 * HOUR;
    expect(ages.of({ askedSeq: 10, askedAt })).to.equal(HOUR + 5 * SECOND);
    expect(ages.of({ askedSeq: 1, askedAt: askedAt + 9 * HOUR })).to.equal(5 * SECOND);
  });

  it('given any jumps of the wall clock, then an age is right to a second for the first minutes', () => {
    const jump = fc.integer({ min: -1e9, max: 1e9 });
    fc.assert(
      fc.property(fc.array(fc.option(jump), { minLength: 2, maxLength: 120 }), (jumps) => {
        const clock = new FixedClock();
        const ages = new EntryAges(clock, 0);
        const written: { askedSeq: number; askedAt: number; at: number }[] = [];
        for (const [index, off] of jumps.entries()) {
          clock.milliseconds += SECOND / 2;
          written.push({ askedSeq: index + 1, askedAt: clock.now(), at: clock.milliseconds });
          clock.milliseconds += SECOND / 2;
          ages.note(index + 1);
          if (off !== null) clock.off += off;
        }
        for (const { at, ...entry } of written) {
          expect(ages.of(entry)).to.be.within(clock.milliseconds - at - SECOND, clock.milliseconds - at + SECOND);
        }
      }),
    );
  });

  it('given a clock that runs well, then the age of any entry of a day is exact', () => {
    const clock = new FixedClock();
    const ages = new EntryAges(clock, 0);
    const written: { askedSeq: number; askedAt: number }[] = [];
    for (let second = 1; second <= 86_400; second++) {
      clock.milliseconds += SECOND;
      if (second % 500 === 0) written.push({ askedSeq: second, askedAt: clock.now() });
      ages.note(second);
    }
    for (const entry of written) expect(ages.of(entry)).to.equal(clock.now() - entry.askedAt);
  });

  it('given that the clock has jumped since, then the age of an old entry is roughly right', () => {
    const clock = new FixedClock();
    const ages = new EntryAges(clock, 0);
    const askedAt = clock.now();
    for (let second = 1; second <= 86_400; second++) {
      clock.milliseconds += SECOND;
      ages.note(second);
    }
    clock.off = -1000 * HOUR;
    expect(ages.of({ askedSeq: 1, askedAt })).to.be.within(20 * HOUR, 24 * HOUR);
  });
});
