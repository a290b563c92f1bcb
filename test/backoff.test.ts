import { expect } from 'chai';
import fc from 'fast-check';
import { Backoff, fullJitter } from '../src/backoff.ts';

describe('fullJitter', () => {
  it('is a whole number of milliseconds below a limit that doubles up to the longest', () => {
    fc.assert(
      fc.property(
        fc.nat(2000),
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 60_000 }),
        (misses, first, longest) => {
          const pause = fullJitter(misses, first, longest);
          expect(Number.isInteger(pause)).to.equal(true);
          expect(pause)
            .to.be.at.least(0)
            .and.below(Math.min(longest, first * 2 ** misses));
        },
      ),
    );
  });

  it('spreads over the whole range', () => {
    const pauses = Array.from({ length: 1000 }, () => fullJitter(3, 100, 10_000));
    expect(Math.min(...pauses)).to.be.below(100);
    expect(Math.max(...pauses)).to.be.above(700);
  });
});

describe('Backoff', () => {
  const most = (backoff: () => Backoff, misses: number): number => {
    const pauses = Array.from({ length: 300 }, () => {
      const one = backoff();
      for (let miss = 0; miss < misses; miss++) one.next();
      return one.next();
    });
    return Math.max(...pauses);
  };

  it('doubles its limit with each attempt, up to the longest', () => {
    expect(most(() => new Backoff(100, 1000), 0)).to.be.within(80, 99);
    expect(most(() => new Backoff(100, 1000), 1)).to.be.within(160, 199);
    expect(most(() => new Backoff(100, 1000), 9)).to.be.within(800, 999);
  });

  it('starts again after a success', () => {
    const tired = (): Backoff => {
      const backoff = new Backoff(10, 1000);
      for (let miss = 0; miss < 9; miss++) backoff.next();
      backoff.reset();
      return backoff;
    };
    expect(most(tired, 0)).to.be.below(10);
  });

  it('waits at least as long as it is asked to', () => {
    expect(new Backoff(1, 1).next(700)).to.equal(700);
  });

  it('stops waiting when its signal is aborted', async () => {
    const error = await new Backoff(1, 1).pause(AbortSignal.timeout(5), 60_000).catch((reason: unknown) => reason);
    expect(error).to.have.property('name', 'AbortError');
  });
});
