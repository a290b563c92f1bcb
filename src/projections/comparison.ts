/**
 * Compares the incidents that were reported in a range of time with those of the range of the same length before it: how
 * many there were, by class, source, severity or hour, and how long they took to be contained, acknowledged and resolved.
 *
 * All of it is read from the rows of the incidents, a few at a time, so that other requests are answered meanwhile. The
 * counts are exact. So are the times, up to `MOST_TIMED` incidents; of more, a sample is looked at, and the reading says so.
 */
import { ACTIONS, SEVERITIES } from '../../machines/vocabulary.ts';
import { HOUR } from '../clock.ts';
import type { Database, Statement } from './database.ts';

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
/** How many incidents of a range are counted between two turns, and of how many the times are read. */
const COUNTED_AT_ONCE = 500;
const TIMED_AT_ONCE = 32;
/** Of how many incidents of a range the times are read: of 20,000 it takes half a second, in small parts, as each may be long. */
const MOST_TIMED = 20_000;

const KEYS: Readonly<Record<ComparedBy, string>> = {
  class: 'class',
  source: 'source',
  severity: 'rank',
  // Numbers are bound as floating point.
  hour: `CAST((created_at - ?1) / ${HOUR} AS INTEGER)`,
};

/** What was counted of a range. */
interface Counted {
  count: number;
  readonly groups: Map<string, number>;
  /** How many groups were not told apart, and how many incidents they have. */
  rest: number;
  readonly waiting: Record<Step, { count: number; oldest: number | null }>;
}

const STEPS = ['contain', 'acknowledge', 'resolve'] as const;
type Step = (typeof STEPS)[number];

export class Comparison {
  readonly #hours: Statement;
  readonly #archived: Statement;
  readonly #times: Statement;
  readonly #counts: Readonly<Record<ComparedBy, Statement>>;

  constructor(database: Database) {
    this.#hours = database.prepare(
      'SELECT min(first) AS first, max(last) AS last FROM hours WHERE hour BETWEEN ? AND ?',
    );
    this.#archived = database.prepare('SELECT 1 FROM archived_ranges WHERE since < ? AND until >= ? LIMIT 1');
    const counts = (key: string): Statement =>
      database.prepare(`
        SELECT ${key} AS value, max(number) AS last, count(*) AS looked, sum(is_in) AS count,
          sum(is_in AND is_waited_for) AS contain,
          min(CASE WHEN is_in AND is_waited_for THEN created_at END) AS contain_oldest,
          sum(is_in AND state IN ('open', 'contained')) AS acknowledge,
          min(CASE WHEN is_in AND state IN ('open', 'contained') THEN created_at END) AS acknowledge_oldest,
          sum(is_in AND state <> 'resolved') AS resolve,
          min(CASE WHEN is_in AND state <> 'resolved' THEN created_at END) AS resolve_oldest
        FROM (
          SELECT number, class, rank, source, state, created_at,
            drill = 0 AND created_at >= ?1 AND created_at < ?2 AS is_in,
            CASE state WHEN 'resolved' THEN 0 ELSE EXISTS (
              SELECT 1 FROM deliveries WHERE incident = number AND wait > 0 AND action IN (${ACTIONS.map((action) => `'${action}'`).join(', ')})
            ) END AS is_waited_for
          FROM incidents WHERE number BETWEEN ?3 AND ?4 ORDER BY number LIMIT ${COUNTED_AT_ONCE}
        ) GROUP BY 1`);
    this.#counts = {
      class: counts(KEYS.class),
      source: counts(KEYS.source),
      severity: counts(KEYS.severity),
      hour: counts(KEYS.hour),
    };
    // A sample by the numbers themselves would see only every other incident of those that take two entries each.
    this.#times = database.prepare(`
      SELECT number, created_at, document ->> '$.acknowledged_at' AS acknowledged,
        document ->> '$.resolved_at' AS resolved,
        CASE document ->> '$.containment.status' WHEN 'confirmed' THEN (
          SELECT max(value ->> '$.confirmed_at') FROM json_each(document, '$.containment.actions')
        ) END AS contained
      FROM incidents
      WHERE number BETWEEN ?1 AND ?2 AND created_at >= ?3 AND created_at < ?4 AND drill = 0
        AND ((number * 2654435761) >> 16) % ?5 = 0
      ORDER BY number LIMIT ${TIMED_AT_ONCE}`);
  }

  /**
   * Compares a range with the one before it.
   * @param now milliseconds since the epoch
   * @param turn awaited before each part of the work; what it throws ends the work
   */
  async read(range: TimeRange, by: ComparedBy, now: number, turn: () => Promise<void>): Promise<ComparisonReading> {
    const before: TimeRange = { since: 2 * range.since - range.until, until: range.since };
    const rest = async (): Promise<void> => {
      await turn();
      await new Promise(setImmediate);
    };
    const counted = { now: await this.#count(range, by, rest), before: await this.#count(before, by, rest) };
    const timed = {
      now: await this.#time(range, counted.now.count, rest),
      before: await this.#time(before, counted.before.count, rest),
    };
    const timeTo = (step: Step): NowAndBefore<TimeTaken> => ({
      now: takenOf(timed.now.taken[step], counted.now.waiting[step], now),
      before: takenOf(timed.before.taken[step], counted.before.waiting[step], now),
    });
    const ranges = (['now', 'before'] as const).filter((name) => {
      const { since, until } = name === 'now' ? range : before;
      return this.#archived.get(until, since) !== undefined;
    });
    const sample = {
      ...(timed.now.isSample && { now: { incidents: counted.now.count, timed: timed.now.count } }),
      ...(timed.before.isSample && { before: { incidents: counted.before.count, timed: timed.before.count } }),
    };
    return {
      range: inWords(range),
      before: inWords(before),
      incidents: changed(counted.now.count, counted.before.count),
      ...groupsOf(by, range, counted),
      time_to: { contain: timeTo('contain'), acknowledge: timeTo('acknowledge'), resolve: timeTo('resolve') },
      ...(Object.keys(sample).length > 0 && { sample }),
      ...(ranges.length > 0 && { archived: ranges }),
    };
  }

  async #count({ since, until }: TimeRange, by: ComparedBy, rest: () => Promise<void>): Promise<Counted> {
    const nothing = () => ({ count: 0, oldest: null });
    const counted: Counted = {
      count: 0,
      groups: new Map(),
      rest: 0,
      waiting: { contain: nothing(), acknowledge: nothing(), resolve: nothing() },
    };
    const { first, last } = this.#numbersBetween(since, until);
    for (let from = first; from <= last;) {
      await rest();
      let [looked, highest] = [0, from];
      for (const row of this.#counts[by].all(since, until, from, last)) {
        looked += Number(row.looked);
        highest = Math.max(highest, Number(row.last));
        add(counted, by, row);
      }
      if (looked < COUNTED_AT_ONCE) break;
      from = highest + 1;
    }
    return counted;
  }

  /** Reads how long incidents took, each in milliseconds. @param incidents how many there are in the range */
  async #time({ since, until }: TimeRange, incidents: number, rest: () => Promise<void>) {
    const taken: Record<Step, number[]> = { contain: [], acknowledge: [], resolve: [] };
    const every = Math.max(1, Math.ceil(incidents / MOST_TIMED));
    const { first, last } = incidents === 0 ? NONE : this.#numbersBetween(since, until);
    let count = 0;
    for (let from = first; from <= last;) {
      await rest();
      const rows = this.#times.all(from, last, since, until, every);
      for (const { created_at, contained, acknowledged, resolved } of rows) {
        const begun = Number(created_at);
        if (contained !== null) taken.contain.push(lengthOf(contained, begun));
        if (acknowledged !== null) taken.acknowledge.push(lengthOf(acknowledged, begun));
        if (resolved !== null) taken.resolve.push(lengthOf(resolved, begun));
      }
      count += rows.length;
      if (rows.length < TIMED_AT_ONCE) break;
      from = Number(rows.at(-1)!.number) + 1;
    }
    return { taken, count, isSample: every > 1 };
  }

  /** Which numbers the incidents of this time can have. */
  #numbersBetween(since: number, until: number): { readonly first: number; readonly last: number } {
    const row = this.#hours.get(Math.floor(since / HOUR), Math.floor((until - 1) / HOUR));
    return row === undefined || row.first === null ? NONE : { first: Number(row.first), last: Number(row.last) };
  }
}

/** No numbers. */
const NONE = { first: 1, last: 0 };

/** How long after the report a time is. The clock may have been set back. */
const lengthOf = (time: unknown, begun: number): number => Math.max(0, Date.parse(String(time)) - begun);

/** Adds a group of a part of the incidents. */
function add(counted: Counted, by: ComparedBy, row: Readonly<Record<string, unknown>>): void {
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
