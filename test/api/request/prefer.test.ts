import { expect } from 'chai';
import fc from 'fast-check';
import { preferredWait } from '../../../src/api/request/prefer.ts';

describe('the preference to wait', () => {
  for (const [header, seconds] of [
    ['wait=1', 1],
    ['wait=35', 35],
    ['wait=40', 40],
    ['wait=41', 40],
    ['wait=100000', 40],
    ['Wait=5', 5],
    ['WAIT = 5', 5],
    ['wait="5"', 5],
    ['wait=5; hard', 5],
    ['wait=5;a=b;c="d,e"', 5],
    ['respond-async, wait=5', 5],
    ['respond-async; x="wait=7", wait=5', 5],
    ['return=minimal; foo="a, wait=9", wait=5', 5],
    [' wait=5 , handling=lenient', 5],
    ['wait=5, wait=9', 5],
    ['foo="a\\", wait=9", wait=5', 5],
    [',, wait=5', 5],
    ['wait=0, wait=9', 0],
    ['wait=0', 0],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['wait=1e1', undefined],
    ['wait=soon', undefined],
    ['wait', undefined],
    ['wait=', undefined],
    ['wait=""', undefined],
    ['wait=5 6', undefined],
    ['waits=5', undefined],
    ['await=5', undefined],
    ['respond-async', undefined],
    ['foo="wait=5"', undefined],
    ['foo; wait=5', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const) {
    it(`is ${seconds === undefined ? 'none' : `${seconds} s`} in ${JSON.stringify(header)}`, () => {
      expect(preferredWait(header)).to.equal(seconds);
    });
  }

  it('is a whole number from 0 to 40 or none, whatever the header is', () => {
    const part = fc.constantFrom('wait', '=', '"', '\\', ',', ';', ' ', '5', '99', 'foo', '\t');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
        ),
        (header) => {
          const seconds = preferredWait(header);
          if (seconds !== undefined) expect(Number.isInteger(seconds) && seconds >= 0 && seconds <= 40).to.equal(true);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('is found in linear time', () => {
    for (const unit of ['"', 'a=', '"\\', ' ', ',;', 'wait']) preferredWait(unit.repeat(16_000));
  }).timeout(2000);
});
