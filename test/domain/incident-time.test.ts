import { expect } from 'chai';
import { DAY } from '../../src/clock.ts';
import { timeOfIncident } from '../../src/domain/incident-time.ts';
import { incidentId } from '../../src/incidents/incident-id.ts';

describe('the time of an incident', () => {
  const now = Date.parse('2026-11-22T07:12:00.123Z');
  const midnight = Date.parse('2026-11-22T00:00:00Z');

  it('is in its identifier, to the millisecond', () => {
    const id = incidentId(
      now,
      (bytes) => Buffer.alloc(bytes, 0xab),
      () => false,
    );
    expect(timeOfIncident(id)).to.deep.equal({ from: now, to: now });
  });

  it('is its day where the identifier is from before it held the millisecond', () => {
    expect(timeOfIncident('INC-20261122-ff2a9c01d3e8')).to.deep.equal({ from: midnight, to: midnight + DAY - 1 });
  });

  it('is nothing where there is no identifier', () => {
    for (const id of ['', 'INC-20261322-4f2a9c01d3e8', 'INC-20261122-4F2A9C01D3E8', 'x', 'INC-20261122-4f2a9c01d3e80'])
      expect(timeOfIncident(id), id).to.equal(undefined);
  });
});
