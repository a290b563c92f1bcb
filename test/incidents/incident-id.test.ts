import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { incidentId } from '../../src/incidents/incident-id.ts';

const free = (): boolean => false;

describe('incidentId', () => {
  const at = Date.parse('2026-11-22T07:12:00.123Z');

  it('tells the day, the millisecond of that day, and 20 random bits', () => {
    expect(incidentId(at, () => Buffer.from('f1d3e8', 'hex'), free)).to.equal('INC-20261122-18b827b1d3e8');
    expect((7 * 60 + 12) * 60_000 + 123).to.equal(0x18b827b);
  });

  it('sorts by time, through the day and into the next', () => {
    const times = [
      at,
      at + 1,
      at + 3_600_000,
      Date.parse('2026-11-22T23:59:59.999Z'),
      Date.parse('2026-11-23T00:00:00Z'),
    ];
    const ids = times.map((time) => incidentId(time, randomBytes, free));
    expect(ids).to.deep.equal(ids.toSorted());
    for (const id of ids) expect(id).to.match(/^INC-\d{8}-[0-9a-f]{12}$/);
  });

  it('is never one that is taken', () => {
    const drawn = ['000001', '000001', '000002'].map((hex) => Buffer.from(hex, 'hex'));
    const id = incidentId(
      at,
      () => drawn.shift()!,
      (one) => one.endsWith('00001'),
    );
    expect(id).to.equal('INC-20261122-18b827b00002');
  });
});
