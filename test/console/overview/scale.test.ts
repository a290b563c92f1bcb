import { expect } from 'chai';
import { scaleOf } from '../../../src/console/overview/scale.ts';

describe('the scale of the hours', () => {
  it('fits all of them where they are alike', () => {
    expect(scaleOf([3, 5, 8, 7, 0])).to.deep.equal({ top: 8, marks: [0, 2, 4, 6, 8] });
  });

  it('does not let a burst flatten the rest', () => {
    const hours = [...Array.from({ length: 23 }, (_, hour) => 3 + (hour % 12)), 303];
    expect(scaleOf(hours).top).to.be.within(12, 20);
  });

  it('counts in whole steps, from nothing on', () => {
    expect(scaleOf([])).to.deep.equal({ top: 1, marks: [0, 1] });
    expect(scaleOf([1])).to.deep.equal({ top: 1, marks: [0, 1] });
    expect(scaleOf([319]).marks).to.deep.equal([0, 100, 200, 300, 400]);
  });
});
