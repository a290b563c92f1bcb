/** Compares the incidents of a range of time with those of the range before it: what is counted, and how it is shown. Pure. */
import { SEVERITIES } from '../../machines/vocabulary.ts';
import { HOUR } from '../clock.ts';

/** By what incidents are grouped. */
export const COMPARED_BY = ['class', 'source', 'severity', 'hour'] as const;
export type ComparedBy = (typeof COMPARED_BY)[number];

/** From `since` on, before `until`: milliseconds since the epoch. */
export interface TimeRange {
  readonly since: number;
  readonly until: number;
}

/** How long incidents took, and those that still wait: without them, what never ends would look as if it were fast. */
export interface TimeTaken {
  /** How many came to their end. */
  readonly count: number;
  /** Of these, in milliseconds; null when there are none. */
  readonly median_ms: number | null;
  readonly p95_ms: number | null;
  /** How many have not come to their end now. */
  readonly waiting: number;
  /** How long the one that has waited longest has waited until now. */
  readonly longest_waiting_ms: number | null;
}

interface NowAndBefore<Value> {
  readonly now: Value;
  readonly before: Value;
}

/** How many incidents of one group there were. `change`: how many more than before. */
export type ComparedGroup = { readonly [Name in ComparedBy]?: string } & NowAndBefore<number> & {
    readonly change: number;
  };

/** Which share of the incidents the times are from. */
export interface Sample {
  readonly incidents: number;
  readonly timed: number;
}

/** Times are RFC 3339. */
export interface ComparisonReading {
  readonly range: { readonly since: string; readonly until: string };
  readonly before: { readonly since: string; readonly until: string };
  readonly incidents: NowAndBefore<number> & { readonly change: number };
  /** The largest groups first; by hour, in their order, an hour of the range beside the one of the same place before. */
  readonly groups: readonly ComparedGroup[];
  /** The groups that are too many to be listed, together. */
  readonly others?: NowAndBefore<number> & { readonly groups: number };
  readonly time_to: {
    readonly contain: NowAndBefore<TimeTaken>;
    readonly acknowledge: NowAndBefore<TimeTaken>;
    readonly resolve: NowAndBefore<TimeTaken>;
  };
  /** There when the times are those of a sample. */
  readonly sample?: Partial<NowAndBefore<Sample>>;
  /** The ranges from which incidents may have gone to the archive: these are not counted. */
  readonly archived?: readonly ('now' | 'before')[];
}

/** How many groups are listed. */
const MOST_GROUPS = 200;
/** How many groups of a range are told apart; more sources than this count among the others. */
const MOST_TOLD_APART = 10_000;
/** How many hours are compared: six weeks. */
export const MOST_COMPARED_HOURS = 1008;
/** Of how many incidents of a range the times are read: of 20,000 it takes half a second, in small parts, as each may be long. */
export const MOST_TIMED = 20_000;

/** What was counted of a range. */
export interface Counted {
  count: number;
  readonly groups: Map<string, number>;
  /** How many groups were not told apart, and how many incidents they have. */
  rest: number;
  readonly waiting: Record<Step, { count: number; oldest: number | null }>;
}

export const STEPS = ['contain', 'acknowledge', 'resolve'] as const;
export type Step = (typeof STEPS)[number];

/** A range of which nothing was counted yet. */
export const nothingCounted = (): Counted => {
  const nothing = () => ({ count: 0, oldest: null });
  return {
    count: 0,
    groups: new Map(),
    rest: 0,
    waiting: { contain: nothing(), acknowledge: nothing(), resolve: nothing() },
  };
};

/** The times that were read of a range: how long incidents took, in milliseconds, and of how many. */
export interface Timed {
  readonly taken: Record<Step, number[]>;
  readonly count: number;
  readonly isSample: boolean;
}

/** The range of the same length before a range. */
export const rangeBefore = ({ since, until }: TimeRange): TimeRange => ({ since: 2 * since - until, until: since });

/**
 * The comparison as the API shows it.
 * @param now milliseconds since the epoch
 */
export function comparisonOf(
  range: TimeRange,
  by: ComparedBy,
  now: number,
  {
    counted,
    timed,
    archived,
  }: {
    readonly counted: NowAndBefore<Counted>;
    readonly timed: NowAndBefore<Timed>;
    readonly archived: readonly ('now' | 'before')[];
  },
): ComparisonReading {
  const timeTo = (step: Step): NowAndBefore<TimeTaken> => ({
    now: takenOf(timed.now.taken[step], counted.now.waiting[step], now),
    before: takenOf(timed.before.taken[step], counted.before.waiting[step], now),
  });
  const sample = {
    ...(timed.now.isSample && { now: { incidents: counted.now.count, timed: timed.now.count } }),
    ...(timed.before.isSample && { before: { incidents: counted.before.count, timed: timed.before.count } }),
  };
  return {
    range: inWords(range),
    before: inWords(rangeBefore(range)),
    incidents: changed(counted.now.count, counted.before.count),
    ...groupsOf(by, range, counted),
    time_to: { contain: timeTo('contain'), acknowledge: timeTo('acknowledge'), resolve: timeTo('resolve') },
    ...(Object.keys(sample).length > 0 && { sample }),
    ...(archived.length > 0 && { archived }),
  };
}

/** How long after the report a time is. The clock may have been set back. */
export const lengthOf = (time: unknown, begun: number): number => Math.max(0, Date.parse(String(time)) - begun);

/** Adds a group of a part of the incidents. */
export function addCounted(counted: Counted, by: ComparedBy, row: Readonly<Record<string, unknown>>): void {
  const count = Number(row.count);
  if (count === 0) return;
  counted.count += count;
  const value = by === 'severity' ? SEVERITIES[Number(row.value)]! : String(row.value);
  const known = counted.groups.get(value);
  if (known !== undefined || counted.groups.size < MOST_TOLD_APART) counted.groups.set(value, (known ?? 0) + count);
  else counted.rest += count;
  for (const step of STEPS) {
    const waiting = counted.waiting[step];
    waiting.count += Number(row[step]);
    const oldest = row[`${step}_oldest`];
    if (oldest !== null) waiting.oldest = Math.min(waiting.oldest ?? Infinity, Number(oldest));
  }
}

/** The groups of both ranges: the largest now first, or by hour in their order. */
function groupsOf(
  by: ComparedBy,
  range: TimeRange,
  { now, before }: NowAndBefore<Counted>,
): Pick<ComparisonReading, 'groups' | 'others'> {
  const of = (value: string): [now: number, before: number] => [
    now.groups.get(value) ?? 0,
    before.groups.get(value) ?? 0,
  ];
  if (by === 'hour') {
    const hours = Array.from({ length: Math.ceil((range.until - range.since) / HOUR) }, (_, at) => at);
    return {
      groups: hours.map((at) => ({
        hour: new Date(range.since + at * HOUR).toISOString(),
        ...changed(...of(String(at))),
      })),
    };
  }
  const values = [...new Set([...now.groups.keys(), ...before.groups.keys()])]
    .map((value) => ({ value, ...changed(...of(value)) }))
    .toSorted((one, other) => other.now - one.now || other.before - one.before || (one.value < other.value ? -1 : 1));
  const groups = values.slice(0, MOST_GROUPS).map(({ value, ...counts }) => ({ [by]: value, ...counts }));
  const rest = values.slice(MOST_GROUPS);
  if (rest.length === 0 && now.rest + before.rest === 0) return { groups };
  const others = {
    groups: rest.length,
    now: rest.reduce((sum, one) => sum + one.now, now.rest),
    before: rest.reduce((sum, one) => sum + one.before, before.rest),
  };
  return { groups, others };
}

const changed = (now: number, before: number) => ({ now, before, change: now - before });

function takenOf(taken: number[], { count, oldest }: Counted['waiting'][Step], now: number): TimeTaken {
  taken.sort((one, other) => one - other);
  return {
    count: taken.length,
    median_ms: percentile(taken, 0.5),
    p95_ms: percentile(taken, 0.95),
    waiting: count,
    longest_waiting_ms: oldest === null ? null : Math.max(0, now - oldest),
  };
}

/** The least of the sorted values that this share of them does not exceed; null when there are none. */
const percentile = (sorted: readonly number[], share: number): number | null =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;

const inWords = ({ since, until }: TimeRange) => ({
  since: new Date(since).toISOString(),
  until: new Date(until).toISOString(),
});
