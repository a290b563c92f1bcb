import { expect } from 'chai';
import { summarizeArchive, areArchived } from '../../src/audit/archived-ranges.ts';
import type { ArchivedData, ArchivedRange } from '../../src/domain/entries.ts';

/** A range of a log in which entry 7 has the hash `h7`. */
const range = (first_seq: number, last_seq: number): ArchivedRange => ({
  first_seq,
  last_seq,
  prev_hash: first_seq === 1 ? '' : `h${first_seq - 1}`,
  last_hash: `h${last_seq}`,
});

const archivedEntry = (first: number, last: number, earlier?: ArchivedData['earlier']): ArchivedData => ({
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

describe('summarizeArchive', () => {
  it('merges adjacent ranges', () => {
    expect(summarizeArchive([archivedEntry(11, 20), archivedEntry(1, 10), archivedEntry(31, 40)]).ranges).to.deep.equal(
      [range(1, 20), range(31, 40)],
    );
  });

  it('counts a range once that two entries repeat', () => {
    const twice = summarizeArchive([
      archivedEntry(1, 10),
      archivedEntry(1, 10),
      archivedEntry(11, 20, { ranges: [range(1, 10)], entered: {} }),
    ]);
    expect(twice.ranges).to.deep.equal([range(1, 20)]);
  });

  it('adds up the counts of all entries, and of the earlier ones that they repeat', () => {
    expect(summarizeArchive([archivedEntry(1, 10), archivedEntry(11, 20)]).entered).to.deep.equal({ resolved: 2 });
    const earlier = { ranges: [range(1, 20)], entered: { resolved: 7, contained: 3 } };
    expect(
      summarizeArchive([archivedEntry(11, 20), archivedEntry(21, 30, earlier), archivedEntry(31, 40)]),
    ).to.deep.equal({
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

  it('holds for what was archived, at once or in parts', () => {
    expect(isArchived(1, 20, range(1, 20))).to.equal(true);
    expect(isArchived(1, 30, range(21, 30), range(1, 10), range(11, 20))).to.equal(true);
    expect(isArchived(1, 30, range(1, 20), range(11, 30))).to.equal(true);
  });

  it('holds for a part of it, when the rest is back in place', () => {
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
