import { expect } from 'chai';
import { archivedSoFar, areArchived } from '../../src/audit/archived-ranges.ts';
import type { ArchivedData, ArchivedRange } from '../../src/domain/log-entries.ts';

/** Entries from one to another of a log in which entry 7 has the hash `h7`. */
const range = (first_seq: number, last_seq: number): ArchivedRange => ({
  first_seq,
  last_seq,
  prev_hash: first_seq === 1 ? '' : `h${first_seq - 1}`,
  last_hash: `h${last_seq}`,
});

const told = (first: number, last: number, earlier?: ArchivedData['earlier']): ArchivedData => ({
  ...range(first, last),
  file: `audit.${first}.jsonl`,
  bytes: 1,
  incidents: 1,
  entered: { resolved: 1 },
  posture: {},
  posture_seq: last,
  notified: {},
  ...(earlier === undefined ? {} : { earlier }),
});

describe('archivedSoFar', () => {
  it('gives adjoining ranges as one', () => {
    expect(archivedSoFar([told(11, 20), told(1, 10), told(31, 40)]).ranges).to.deep.equal([
      range(1, 20),
      range(31, 40),
    ]);
  });

  it('tells once what was told twice', () => {
    const twice = archivedSoFar([told(1, 10), told(1, 10), told(11, 20, { ranges: [range(1, 10)], entered: {} })]);
    expect(twice.ranges).to.deep.equal([range(1, 20)]);
  });

  it('counts what all have told, and what was told before them', () => {
    expect(archivedSoFar([told(1, 10), told(11, 20)]).entered).to.deep.equal({ resolved: 2 });
    const earlier = { ranges: [range(1, 20)], entered: { resolved: 7, contained: 3 } };
    expect(archivedSoFar([told(11, 20), told(21, 30, earlier), told(31, 40)])).to.deep.equal({
      ranges: [range(1, 40)],
      entered: { resolved: 9, contained: 3 },
    });
  });
});

describe('areArchived', () => {
  const isArchived = (first: number, last: number, ...ranges: readonly ArchivedRange[]): boolean =>
    areArchived(
      { entries: first - 1, hash: range(first, last).prev_hash },
      { entries: last, hash: `h${last}` },
      ranges,
    );

  it('holds for what was archived, at once or one behind the other', () => {
    expect(isArchived(1, 20, range(1, 20))).to.equal(true);
    expect(isArchived(1, 30, range(21, 30), range(1, 10), range(11, 20))).to.equal(true);
    expect(isArchived(1, 30, range(1, 20), range(11, 30))).to.equal(true);
  });

  it('holds for a part of it, when the rest has come back', () => {
    expect(isArchived(11, 20, range(1, 30))).to.equal(true);
  });

  it('does not hold where an entry is missing that was not archived', () => {
    expect(isArchived(1, 21, range(1, 20))).to.equal(false);
    expect(isArchived(1, 30, range(1, 10), range(12, 30))).to.equal(false);
    expect(isArchived(2, 20, range(3, 20))).to.equal(false);
    expect(isArchived(1, 1)).to.equal(false);
  });

  it('does not hold for entries of another log', () => {
    expect(isArchived(1, 20, { ...range(1, 20), last_hash: 'other' })).to.equal(false);
    expect(isArchived(1, 20, { ...range(1, 20), prev_hash: 'other' })).to.equal(false);
    expect(isArchived(1, 20, range(1, 10), { ...range(11, 20), prev_hash: 'other' })).to.equal(false);
  });
});
