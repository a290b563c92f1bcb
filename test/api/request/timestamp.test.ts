import { expect } from 'chai';
import fc from 'fast-check';
import { parseTimestamp } from '../../../src/api/request/timestamp.ts';

describe('parseTimestamp', () => {
  const noon = Date.UTC(2026, 10, 22, 12);

  it('reads a time with its zone', () => {
    for (const text of [
      '2026-11-22T12:00:00Z',
      '2026-11-22t12:00:00z',
      '2026-11-22T12:00:00.000Z',
      '2026-11-22T13:30:00+01:30',
      '2026-11-21T23:00:00-13:00',
      '2026-11-22T12:00:00-00:00',
    ]) {
      expect(parseTimestamp(text), text).to.equal(noon);
    }
  });

  it('rounds up what is finer than a millisecond', () => {
    expect(parseTimestamp('2026-11-22T12:00:00.5Z')).to.equal(noon + 500);
    expect(parseTimestamp('2026-11-22T12:00:00.1230000Z')).to.equal(noon + 123);
    expect(parseTimestamp('2026-11-22T12:00:00.1230001Z')).to.equal(noon + 124);
    expect(parseTimestamp('2026-11-22T12:00:00.9999Z')).to.equal(noon + 1000);
  });

  it('refuses everything else', () => {
    for (const text of [
      '',
      '2026',
      '2026-11-22',
      '2026-11-22T12:00Z',
      '2026-11-22T12:00:00',
      '2026-11-22 12:00:00Z',
      '2026-11-22T12:00:00.Z',
      '2026-11-22T12:00:00,5Z',
      '2026-11-22T12:00:00 01:00',
      '2026-11-22T12:00:00+0100',
      '2026-11-22T12:00:00+24:00',
      '2026-02-29T12:00:00Z',
      '2026-04-31T12:00:00Z',
      '2026-13-01T12:00:00Z',
      '2026-11-22T24:00:00Z',
      '2026-11-22T12:60:00Z',
      '2016-12-31T23:59:60Z',
      '+002026-11-22T12:00:00Z',
      ' 2026-11-22T12:00:00Z',
      '2026-11-22T12:00:00Z\n',
    ]) {
      expect(parseTimestamp(text), text).to.equal(undefined);
    }
  });

  it('reads every time that JavaScript writes', () => {
    const time = fc.date({
      min: new Date('0000-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    });
    fc.assert(fc.property(time, (date) => parseTimestamp(date.toISOString()) === date.getTime()));
  });
});
