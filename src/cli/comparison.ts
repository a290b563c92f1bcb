/** The comparison of a range of time with the one before, as a table. */
import { SECOND } from '../clock.ts';
import type { ComparedBy, ComparisonReading, TimeTaken } from '../query/comparison-reading.ts';
import { counted } from './terminal/counted.ts';
import { table } from './terminal/table.ts';

const WORDS = { contain: 'CONTAINED', acknowledge: 'ACKNOWLEDGED', resolve: 'RESOLVED' } as const;

export function comparisonLines(reading: ComparisonReading, by: ComparedBy): readonly string[] {
  const { range, before, incidents, groups, others, time_to, sample, archived = [] } = reading;
  const rows = [
    ...groups.map((group) => ({ ...group, name: group[by] ?? '' })),
    ...(others === undefined ? [] : [{ ...others, name: '(others)', change: others.now - others.before }]),
  ];
  const times = (Object.keys(WORDS) as (keyof typeof WORDS)[]).flatMap((step) =>
    (['now', 'before'] as const).map((when) => ({ step, when, taken: time_to[step][when] })),
  );
  return [
    `now     ${range.since} to ${range.until}: ${counted(incidents.now, 'incident')} (${signed(incidents.change)})`,
    `before  ${before.since} to ${before.until}: ${counted(incidents.before, 'incident')}`,
    ...archived.map((name) => `${name}: incidents that went to the archive are not counted`),
    '',
    ...table<(typeof rows)[number]>(
      [
        { header: by.toUpperCase(), value: ({ name }) => name, least: 12 },
        { header: 'NOW', value: ({ now }) => String(now) },
        { header: 'BEFORE', value: (row) => String(row.before) },
        { header: 'CHANGE', value: ({ change }) => signed(change) },
      ],
      rows,
    ),
    '',
    ...table<(typeof times)[number]>(
      [
        { header: 'UNTIL', value: ({ step }) => WORDS[step] },
        { header: 'RANGE', value: ({ when }) => when },
        { header: 'COUNT', value: ({ taken }) => String(taken.count) },
        { header: 'MEDIAN', value: ({ taken }) => duration(taken.median_ms) },
        { header: 'P95', value: ({ taken }) => duration(taken.p95_ms) },
        { header: 'WAITING', value: ({ taken }) => String(taken.waiting) },
        { header: 'LONGEST', value: ({ taken }) => duration(taken.longest_waiting_ms) },
      ],
      times,
    ),
    ...(sample === undefined
      ? []
      : Object.entries(sample).map(
          ([name, { timed, incidents: all }]) => `${name}: the times are those of ${timed} of ${all} incidents`,
        )),
  ];
}

const signed = (count: number): string => (count > 0 ? `+${count}` : String(count));

const UNITS = [
  ['d', 24 * 3600],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** A length of time in its two largest units: `1h 5m`, `42s`. */
function duration(milliseconds: TimeTaken['median_ms']): string {
  if (milliseconds === null) return '-';
  const seconds = Math.round(milliseconds / SECOND);
  const parts: string[] = [];
  let left = seconds;
  for (const [name, length] of UNITS) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0 || (parts.length > 0 && parts.length < 2)) parts.push(`${count}${name}`);
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? '0s' : parts.join(' ');
}
