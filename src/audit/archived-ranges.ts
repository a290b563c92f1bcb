/**
 * Which entries have left the log, according to its `log.archived` entries.
 *
 * A `log.archived` entry is in a segment that will be archived itself one day. So each such entry repeats all earlier
 * ones, and the last is enough. Adjacent ranges are merged, which keeps the entries short.
 */
import type { Head } from './entry.ts';
import type { ArchivedData, ArchivedRange, ArchiveSummary } from '../domain/entries.ts';

const NOTHING: ArchiveSummary = { ranges: [], entered: {} };

/** Sums up `log.archived` entries, given oldest first: the merged ranges, and the counts of all of them. */
export function summarizeArchive(entries: readonly ArchivedData[]): ArchiveSummary {
  const entered = entries.reduce((before, { earlier, entered: own }) => {
    const sum = { ...(earlier?.entered ?? before) };
    for (const [state, count] of Object.entries(own)) sum[state] = (sum[state] ?? 0) + count;
    return sum;
  }, NOTHING.entered);
  return { ranges: merged(entries.flatMap(rangesOf)), entered };
}

/** The ranges in a `log.archived` entry: its own, and those of the earlier entries that it repeats. */
export const rangesOf = ({
  first_seq,
  last_seq,
  prev_hash,
  last_hash,
  since,
  until,
  earlier,
}: ArchivedData): ArchivedRange[] => [
  { first_seq, last_seq, prev_hash, last_hash, ...timesOf(since, until) },
  ...(earlier?.ranges ?? []),
];

/**
 * Whether archived ranges cover all entries between two heads. Where a range begins at `after` or ends at `before`, the
 * hashes must agree.
 * @param after the end of the chain before the missing entries
 * @param before the end of the chain with the missing entries
 */
export function areArchived(after: Head, before: Head, ranges: readonly ArchivedRange[]): boolean {
  let { entries, hash } = after;
  while (entries < before.entries) {
    const next = ranges
      .filter(({ first_seq, last_seq }) => first_seq <= entries + 1 && last_seq > entries)
      .filter(({ first_seq, prev_hash }) => first_seq <= entries || prev_hash === hash)
      .reduce<ArchivedRange | undefined>((far, one) => (far && far.last_seq >= one.last_seq ? far : one), undefined);
    if (next === undefined) return false;
    // Some files of the range may be back in place. The chain of their entries proves that they belong there.
    if (next.last_seq > before.entries) return true;
    ({ last_seq: entries, last_hash: hash } = next);
  }
  return hash === before.hash;
}

/** Sorts the ranges and merges adjacent ones. */
function merged(ranges: readonly ArchivedRange[]): readonly ArchivedRange[] {
  const result: ArchivedRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first_seq - b.first_seq || b.last_seq - a.last_seq)) {
    const last = result.at(-1);
    if (last !== undefined && range.last_seq <= last.last_seq) continue;
    if (last !== undefined && range.first_seq === last.last_seq + 1 && range.prev_hash === last.last_hash)
      result[result.length - 1] = joined(last, range);
    else result.push(range);
  }
  return result;
}

/** Two adjacent ranges as one. It begins at any time when that of one of them is not known. */
function joined(range: ArchivedRange, next: ArchivedRange): ArchivedRange {
  const { first_seq, prev_hash, since } = range;
  const { last_seq, last_hash } = next;
  const until = [range.until ?? '', next.until ?? ''].toSorted().at(-1);
  const first = since === undefined || next.since === undefined ? undefined : [since, next.since].toSorted()[0];
  return { first_seq, last_seq, prev_hash, last_hash, ...timesOf(first, until === '' ? undefined : until) };
}

const timesOf = (since: string | undefined, until: string | undefined): Pick<ArchivedRange, 'since' | 'until'> => ({
  ...(since === undefined ? {} : { since }),
  ...(until === undefined ? {} : { until }),
});
