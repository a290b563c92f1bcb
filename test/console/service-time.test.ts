import { expect } from 'chai';
import { HOUR, SECOND } from '../../src/clock.ts';
import { compareClocks, serviceTime } from '../../src/console/service-time.ts';

describe('the time of the service', () => {
  const dated = (ahead: number): void => compareClocks(new Date(Date.now() + ahead).toUTCString());
  afterEach(() => dated(0));

  it('is the time of the browser while both agree', () => {
    for (const ahead of [0, -1.5 * SECOND, 1.5 * SECOND]) {
      dated(ahead);
      expect(serviceTime()).to.be.closeTo(Date.now(), 50);
    }
  });

  it('is that of its answers where the clocks differ', () => {
    dated(3 * HOUR);
    expect(serviceTime() - Date.now()).to.be.closeTo(3 * HOUR, SECOND + 50);
    dated(-3 * HOUR);
    expect(serviceTime() - Date.now()).to.be.closeTo(-3 * HOUR, SECOND + 50);
  });

  it('stays as it was when an answer has no date', () => {
    dated(3 * HOUR);
    compareClocks(null);
    compareClocks('yesterday');
    expect(serviceTime() - Date.now()).to.be.closeTo(3 * HOUR, SECOND + 50);
  });
});
