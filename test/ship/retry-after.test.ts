import { expect } from 'chai';
import { BandwidthLimit } from '../../src/ship/bandwidth-limit.ts';
import { retryAfterOf } from '../../src/ship/errors.ts';

describe('Retry-After', () => {
  const now = Date.parse('2026-11-30T12:00:00Z');
  for (const [header, wait] of [
    [undefined, 0],
    ['7', 7000],
    ['Mon, 30 Nov 2026 12:00:10 GMT', 10_000],
    ['Mon, 30 Nov 2026 11:00:00 GMT', 0],
    ['soon', 0],
    ['999999999', 3_600_000],
  ] as const) {
    it(`${header} is ${wait} ms`, () => {
      expect(retryAfterOf(header, now)).to.equal(wait);
    });
  }
});

describe('the bandwidth limit', () => {
  it('lets a second’s worth pass at once, and the rest at the rate', async () => {
    let now = 0;
    const limit = new BandwidthLimit(1000, { monotonic: () => now });
    const { signal } = new AbortController();
    const atOnce = (bytes: number): Promise<boolean> =>
      Promise.race([limit.take(bytes, signal).then(() => true), new Promise<boolean>((r) => setImmediate(r, false))]);
    expect(await atOnce(1000)).to.equal(true);
    const since = performance.now();
    await limit.take(100, signal);
    expect(performance.now() - since).to.be.at.least(95);
    now = 10_000;
    expect(await atOnce(900)).to.equal(true);
  });
});
