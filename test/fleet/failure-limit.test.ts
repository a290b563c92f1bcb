import { expect } from 'chai';
import { FailureLimit } from '../../src/fleet/failure-limit.ts';

describe('a limit of failures', () => {
  it('lets some through, then one each time that one is forgotten, and others as before', () => {
    let time = 1000;
    const limit = new FailureLimit({ most: 3, forgetAfter: 6000, now: () => time });
    const attempt = (name: string): number | undefined => {
      try {
        limit.require(name);
      } catch (error) {
        return (error as { fields: { retry_after: number } }).fields.retry_after;
      }
      limit.failed(name);
      return undefined;
    };
    expect([1, 2, 3].map(() => attempt('a'))).to.deep.equal([undefined, undefined, undefined]);
    expect(attempt('a')).to.equal(6);
    expect(attempt('b')).to.equal(undefined);
    time += 5000;
    expect(attempt('a')).to.equal(1);
    time += 1000;
    expect(attempt('a')).to.equal(undefined);
    expect(attempt('a')).to.equal(6);
    time += 60_000;
    expect([1, 2, 3, 4].map(() => attempt('a'))).to.deep.equal([undefined, undefined, undefined, 6]);
  });

  it('keeps few names', () => {
    const limit = new FailureLimit({ most: 1, forgetAfter: 6000, now: () => 0 });
    for (let n = 0; n <= 10_000; n++) limit.failed(`address-${n}`);
    expect(() => limit.require('address-1')).to.throw('too many');
    expect(() => limit.require('address-0')).not.to.throw();
  });
});
