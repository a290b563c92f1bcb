/**
 * What has left the log, by what its `log.archived` entries tell.
 *
 * Such an entry stands in a segment that is archived in its turn one day. So each tells, beside its own, of all segments
 * that were archived before it: the last one in the log is enough. Ranges that follow on each other are told as one,
 * which keeps that short.
 */
import type { Head } from './entry.ts';
import type { ArchivedData, ArchivedRange, ArchivedSoFar } from '../domain/entries.ts';

const NOTHING: ArchivedSoFar = { ranges: [], entered: {} };

/** What these entries tell together, the oldest first. */
export function archivedSoFar(entries: readonly ArchivedData[]): ArchivedSoFar {
  const entered = entries.reduce((before, { earlier, entered: own }) => {
    const sum = { ...(earlier?.entered ?? before) };
    for (const [state, count] of Object.entries(own)) sum[state] = (sum[state] ?? 0) + count;
    return sum;
  }, NOTHING.entered);
  return { ranges: merged(entries.flatMap(rangesOf)), entered };
}

/** The ranges that a `log.archived` entry tells of. */
export const rangesOf = ({ first_seq, last_seq, prev_hash, last_hash, earlier }: ArchivedData): ArchivedRange[] => [
  { first_seq, last_seq, prev_hash, last_hash },
  ...(earlier?.ranges ?? []),
];

/**
 * Whether archived ranges hold all entries behind `after` up to the one that `before` ends with. Where one of them begins
 * or ends with these, the hashes have to agree.
 */
export function areArchived(after: Head, before: Head, ranges: readonly ArchivedRange[]): boolean {
  let { entries, hash } = after;
  while (entries < before.entries) {
    const next = ranges
      .filter(({ first_seq, last_seq }) => first_seq <= entries + 1 && last_seq > entries)
      .filter(({ first_seq, prev_hash }) => first_seq <= entries || prev_hash === hash)
      .reduce<ArchivedRange | undefined>((far, one) => (far && far.last_seq >= one.last_seq ? far : one), undefined);
    if (next === undefined) return false;
    // Of a range some files may have come back; the chain of their entries tells that they belong there.
    if (next.last_seq > before.entries) return true;
    ({ last_seq: entries, last_hash: hash } = next);
  }
  return hash === before.hash;
}

/** The same ranges, in order, those that follow on each other as one. */
function merged(ranges: readonly ArchivedRange[]): readonly ArchivedRange[] {
  const result: ArchivedRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first_seq - b.first_seq || b.last_seq - a.last_seq)) {
    const last = result.at(-1);
    if (last !== undefined && range.last_seq <= last.last_seq) continue;
    if (last !== undefined && range.first_seq === last.last_seq + 1 && range.prev_hash === last.last_hash)
      result[result.length - 1] = { ...last, last_seq: range.last_seq, last_hash: range.last_hash };
    else result.push(range);
  }
  return result;
}
