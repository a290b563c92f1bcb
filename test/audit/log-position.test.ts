import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { isInLog, isOfEntry, type LogPosition, parsePosition, writePosition } from '../../src/audit/log-position.ts';

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('a place in a log', () => {
  const [here, elsewhere, entry, other] = ['here', 'elsewhere', 'entry', 'other'].map(hashOf) as [
    string,
    string,
    string,
    string,
  ];
  const isHere = (position: LogPosition): boolean => isInLog(position, here) && isOfEntry(position, here, entry);

  it('is in the log and behind the entry that it was written for, and in no other', () => {
    const place = parsePosition(writePosition(here, 17, entry))!;
    expect(place.seq).to.equal(17);
    expect(isHere(place)).to.equal(true);
    expect(isInLog(place, elsewhere)).to.equal(false);
    expect(isInLog(place, undefined)).to.equal(false);
    expect(isOfEntry(place, here, other)).to.equal(false);
    expect(isHere(parsePosition(writePosition(here, 0, ''))!)).to.equal(true);
  });

  it('may name the log by its identity, or by the beginning of it', () => {
    for (const log of [here, here.slice(0, 8), here.slice(0, 20)]) expect(isHere({ log, seq: 17 })).to.equal(true);
    expect(parsePosition(`${here}:17`)).to.deep.equal({ log: here, seq: 17 });
    expect(parsePosition(`${here.slice(0, 7)}:17`)).to.equal(undefined);
  });

  it('may be a bare number, which is a place in any log', () => {
    expect(parsePosition('17')).to.deep.equal({ seq: 17 });
    expect(isHere({ seq: 17 }) && isInLog({ seq: 17 }, undefined)).to.equal(true);
    expect(writePosition(undefined, 17, entry)).to.equal('17');
  });

  it('is refused when it is anything else', () => {
    for (const text of ['', ':', '-1', '1.5', `${here}:`, `${here}0:1`, 'x'.repeat(12) + ':1', `${here}:1:2`, '1 ']) {
      expect(parsePosition(text), text).to.equal(undefined);
    }
  });
});
