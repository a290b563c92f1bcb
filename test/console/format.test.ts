import { expect } from 'chai';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/clock.ts';
import { age, shortMoment, counted, duration, inOneUnit, relative, spelled } from '../../src/console/format.ts';

describe('the words of the console', () => {
  it('spell the vocabulary out', () => {
    expect(spelled('policy_bypass_attempt')).to.equal('Policy bypass attempt');
    expect([counted(1, 'incident'), counted(0, 'incident'), counted(1000, 'incident')]).to.deep.equal([
      '1 incident',
      '0 incidents',
      '1,000 incidents',
    ]);
  });

  for (const [milliseconds, words] of [
    [-5, '0 s'],
    [0, '0 s'],
    [7, '7 ms'],
    [42 * SECOND, '42 s'],
    [200 * SECOND, '3 min 20 s'],
    [10 * MINUTE - 400, '10 min'],
    [59.6 * MINUTE, '1 h'],
    [90 * MINUTE, '1 h 30 min'],
    [26 * HOUR, '26 h'],
    [52 * HOUR, '2 d 4 h'],
  ] as const) {
    it(`give ${milliseconds} ms as ${words}`, () => expect(duration(milliseconds)).to.equal(words));
  }

  it('give the marks of an axis in one unit', () => {
    const marks = [1, 100, SECOND, 10 * MINUTE, 10 * HOUR, 115.7 * DAY, 1000 * DAY].map(inOneUnit);
    expect(marks).to.deep.equal(['1 ms', '100 ms', '1 s', '10 min', '10 h', '116 d', '1,000 d']);
  });

  it('say how long ago something was, and how far ahead', () => {
    const at = (distance: number): string => relative(0, distance);
    expect(at(0)).to.equal('just now');
    expect(at(45 * SECOND)).to.equal('45 s ago');
    expect(at(5 * MINUTE)).to.equal('5 min ago');
    expect(at(23 * HOUR)).to.equal('23 h ago');
    expect(at(49 * HOUR)).to.equal('2 d ago');
    expect(at(-3 * HOUR)).to.equal('in 3 h');
  });

  it('are ages in one unit, and short times that say their day when it is another', () => {
    const now = Date.UTC(2026, 10, 30, 12);
    const before = (seconds: number): number => now - seconds * 1000;
    expect([22, 17 * 60, 3600, 4 * 86_400].map((seconds) => age(before(seconds), now))).to.deep.equal([
      '22 s',
      '17 min',
      '1 h',
      '4 d',
    ]);
    expect(shortMoment(before(60), now)).to.match(/^\d\d:\d\d:\d\d$/);
    expect(shortMoment(before(10 * 86_400), now)).to.match(/^20 Nov \d\d:\d\d$/);
    expect(shortMoment(before(400 * 86_400), now)).to.equal('2025-10-26');
  });
});
