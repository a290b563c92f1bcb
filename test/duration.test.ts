import { expect } from 'chai';
import { DAY, HOUR, MINUTE, SECOND } from '../src/clock.ts';
import { parseDuration } from '../src/duration.ts';

const ALL = ['ms', 's', 'm', 'h', 'd', 'w'] as const;

describe('parseDuration', () => {
  for (const [text, milliseconds] of [
    ['500ms', 500],
    ['0s', 0],
    ['5s', 5 * SECOND],
    ['007m', 7 * MINUTE],
    ['90m', 90 * MINUTE],
    ['2h', 2 * HOUR],
    ['7d', 7 * DAY],
    ['2w', 14 * DAY],
    ['999999999ms', 999_999_999],
  ] as const) {
    it(`reads ${text}`, () => expect(parseDuration(text, ALL)).to.equal(milliseconds));
  }

  for (const text of [
    '',
    '5',
    's',
    '1.5s',
    '-5s',
    '+5s',
    ' 5s',
    '5s ',
    '5S',
    '5 s',
    '1h30m',
    '1e3s',
    '1000000000s',
    '٥s',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseDuration(text, ALL)).to.equal(undefined));
  }

  it('refuses a unit that is not among the given ones', () => {
    expect(parseDuration('1d', ['s', 'm'])).to.equal(undefined);
    expect(parseDuration('1m', ['ms', 's'])).to.equal(undefined);
  });
});
