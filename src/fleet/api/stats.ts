/** Statistics over machines: counts by kind, the last hours, and a range of time compared with the one before. */
import { type RawBuilder, sql } from 'kysely';
import { comparisonSchema, hoursSchema } from '../../api/stats/requests.ts';
import { DEFAULT_HOURS, rangeOf } from '../../api/stats/ranges.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import { parseTimestamp } from '../../api/request/timestamp.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { HOUR, MINUTE } from '../../clock.ts';
import {
  type ActivityReading,
  activityOf,
  type HourCount,
  hoursUpTo,
  LONG,
  SHORT,
} from '../../query/activity-counts.ts';
import {
  addCounted,
  type ComparedBy,
  comparisonOf,
  type ComparisonReading,
  type Counted,
  MOST_TIMED,
  nothingCounted,
  rangeBefore,
  type Step,
  STEPS,
  type Timed,
  type TimeRange,
} from '../../query/comparison-reading.ts';
import { statisticsOf } from '../../query/statistics.ts';
import type { FleetDatabase } from '../database.ts';
import { IN_SAMPLES, SAMPLE_PART, SAMPLE_PARTS } from '../migrations.ts';
import {
  ANY_RANK,
  COUNTED,
  countsOfCounted,
  countsOfIncidents,
  createdIn,
  sumOfCounts,
} from '../read-models/created-counts.ts';
import { markedHours } from '../read-models/marks.ts';
import { DAY_OF_HOURS } from '../read-models/sums.ts';
import type { FleetDependencies } from './dependencies.ts';
import { parameters } from './one-incident.ts';
import { allOf, anyText, onCreation, time } from './list-filter.ts';
import { type KeptSums, keyOfMachines } from './kept-sums.ts';
import { readingIn } from './reading.ts';
import type { FleetTotals } from './totals.ts';

type Machines = readonly string[] | undefined;

export const statisticsRoutes = (
  dependencies: FleetDependencies,
  totals: FleetTotals,
  kept: KeptSums,
): readonly ApiRoute[] => {
  const { db, clock } = dependencies;
  return [
    {
      method: 'GET',
      path: '/api/v1/stats',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        validate(nothingSchema, parameters(reading), 'parameter');
        const { machines } = reading;
        const { population, ...counts } = await totals.read(machines);
        const shown = statisticsOf({ ...counts, population: population.filter(({ isDrill }) => !isDrill) });
        const needs_attention = await totals.attention(machines, clock.now());
        respondJson(ctx, 200, JSON.stringify({ ...shown, needs_attention }));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/stats/hours',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const { hours } = validate(hoursSchema, parameters(reading), 'parameter');
        const [count, now] = [Number(hours?.[0] ?? DEFAULT_HOURS), clock.now()];
        const { machines } = reading;
        const key = `hours ${count} ${Math.floor(now / HOUR)} ${keyOfMachines(machines)}`;
        const activity = await kept.of(key, () => activityIn(db, machines, now, count));
        respondJson(ctx, 200, JSON.stringify(activity));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/stats/compare',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const { since, until, by } = validate(comparisonSchema, parameters(reading), 'parameter');
        const now = clock.now();
        const of = by?.[0] ?? 'class';
        const timeOf = (values?: readonly string[]) =>
          values?.[0] === undefined ? undefined : parseTimestamp(values[0]);
        const range = rangeOf(timeOf(since), timeOf(until) ?? now, of);
        const { machines } = reading;
        // The usual range ends now: to a minute it is the same one.
        const key = `compare ${of} ${Math.floor(range.since / MINUTE)} ${Math.floor(range.until / MINUTE)} ${keyOfMachines(machines)}`;
        const comparison = await kept.of(key, () => comparisonIn(db, machines, range, of, now));
        respondJson(ctx, 200, JSON.stringify(comparison));
      },
    },
  ];
};

/** What happened in each of the last hours. */
async function activityIn(db: FleetDatabase, machines: Machines, now: number, hours: number): Promise<ActivityReading> {
  const { first, last, recent } = hoursUpTo(now, hours);
  const [counts, waiting] = await Promise.all([
    countsOfHours(db, machines, first, last),
    sql<{ length: number; beginning: number; count: number }>`
      SELECT w.length, floor(w.at / w.length)::bigint * w.length AS beginning, count(*) AS count
      FROM (
        SELECT u.at, CASE WHEN u.at < ${recent} THEN ${sql.lit(LONG)}::bigint ELSE ${sql.lit(SHORT)} END AS length
        FROM (
          SELECT date_part('epoch', i.created_at) * 1000 AS at
          FROM incidents i JOIN logs l ON l.machine = i.machine AND l.log = i.log AND l.active
          WHERE i.current AND i.waited ${machines === undefined ? sql`` : sql`AND i.machine = ${anyText(machines)}`}
        ) AS u
      ) AS w GROUP BY 1, 2`.execute(db),
  ]);
  return activityOf(now, hours, { counts, waiting: waiting.rows });
}

const ofMachines = (machines: Machines): RawBuilder<unknown> =>
  machines === undefined ? sql`` : sql`AND h.machine = ${anyText(machines)}`;

/**
 * The counts of some hours: of all machines the sums that are kept, but those of hours that have changed since, which are
 * added up like those of some machines. Each hour comes as one text: so many small rows would take longer than to add them.
 */
async function countsOfHours(
  db: FleetDatabase,
  machines: Machines,
  first: number,
  last: number,
): Promise<readonly HourCount[]> {
  const added = (where: RawBuilder<unknown>) => sql`
    SELECT h.hour, h.what, h.step, sum(h.count)::bigint AS count
    FROM hours h JOIN logs l ON l.machine = h.machine AND l.log = h.log AND l.active
    WHERE ${where} ${ofMachines(machines)} GROUP BY h.hour, h.what, h.step`;
  const within = sql`BETWEEN ${first}::bigint AND ${last}::bigint`;
  const counted =
    machines === undefined
      ? sql`
          WITH changed AS MATERIALIZED (
            ${markedHours('activity')} WHERE hour ${within}
          )
          SELECT s.hour, s.what, s.step, s.count FROM hour_sums s
          WHERE s.machine = '' AND s.hour ${within} AND s.hour NOT IN (SELECT hour FROM changed)
          UNION ALL (${added(sql`h.hour = ANY (ARRAY(SELECT hour FROM changed))`)})`
      : added(sql`h.hour ${within}`);
  const { rows } = await sql<{ hour: number; counts: string }>`
    SELECT hour, string_agg(concat_ws(' ', what, step, count), ',') AS counts FROM (${counted}) AS c GROUP BY hour`.execute(
    db,
  );
  return rows.flatMap(({ hour, counts }) =>
    counts.split(',').map((text) => {
      const [what, step, count] = text.split(' ') as [string, string, string];
      return { hour, what, step: Number(step), count: Number(count) };
    }),
  );
}

/** Compares a range with the one before it. @param now milliseconds since the epoch */
async function comparisonIn(
  db: FleetDatabase,
  machines: Machines,
  range: TimeRange,
  by: ComparedBy,
  now: number,
): Promise<ComparisonReading> {
  const both = async <Value>(read: (one: TimeRange, at: 'now' | 'before') => Promise<Value>) => {
    const [of, before] = await Promise.all([read(range, 'now'), read(rangeBefore(range), 'before')]);
    return { now: of, before };
  };
  const counted = await both((one) => countedIn(db, machines, one, by));
  const timed = await both((one, at) => timedIn(db, machines, one, counted[at].count));
  return comparisonOf(range, by, now, { counted, timed, archived: [] });
}

/** How many were created in each hour of a range, which may begin at any time: by minutes, and one by one where two meet. */
async function countedByHour(db: FleetDatabase, { since, until }: TimeRange) {
  const hourOf = (at: RawBuilder<unknown>) => sql`((${at} - ${since}::bigint) / ${sql.lit(HOUR)})`;
  const minutes = (hour: RawBuilder<unknown>) => sql`
    SELECT to_timestamp(${hour} * 3600) AS begun, to_timestamp((${hour} + 1) * 3600) AS ended`;
  const [first, last] = [Math.floor(since / MINUTE), Math.floor(until / MINUTE)];
  const { rows } = await sql<{ value: number; count: number }>`
    WITH changed AS MATERIALIZED (
      ${markedHours('created')}
      WHERE hour >= ${Math.floor(since / HOUR)}::bigint AND hour <= ${Math.floor(until / HOUR)}::bigint
    ), met AS MATERIALIZED (
      SELECT ${first}::bigint + 60 * n AS minute FROM generate_series(0, ${Math.floor((last - first) / 60)}::bigint) AS n
      UNION SELECT ${last}::bigint
    ), counts AS (
      SELECT ${hourOf(sql`m.minute * ${sql.lit(MINUTE)}`)} AS value, m.count FROM minute_sums m
      WHERE m.machine = '' AND m.minute >= ${first}::bigint AND m.minute < ${last}::bigint
        AND m.minute NOT IN (SELECT minute FROM met) AND m.minute / 60 NOT IN (SELECT hour FROM changed)
      UNION ALL
      SELECT ${hourOf(sql`(extract(epoch FROM i.created_at) * 1000)::bigint`)}, 1 FROM ${createdIn(sql`
        SELECT to_timestamp(minute * 60) AS begun, to_timestamp((minute + 1) * 60) AS ended FROM met
        WHERE minute / 60 NOT IN (SELECT hour FROM changed)
        UNION ALL ${minutes(sql`hour`)} FROM changed`)}
      WHERE i.created_at >= ${time(since)} AND i.created_at < ${time(until)}
    )
    SELECT value, sum(count)::bigint AS count FROM counts GROUP BY value`.execute(db);
  return rows;
}

async function countedIn(db: FleetDatabase, machines: Machines, range: TimeRange, by: ComparedBy): Promise<Counted> {
  const keys = {
    class: sql`class`,
    source: sql`source`,
    severity: sql`rank`,
    hour: sql`floor((extract(epoch FROM i.created_at) * 1000 - ${range.since}::bigint) / ${HOUR}::bigint)::bigint`,
  };
  if (machines === undefined && by === 'hour') {
    const [hours, all] = await Promise.all([countedByHour(db, range), countedOfAll(db, range, sql`''`)]);
    const counted = nothingCounted();
    for (const row of all.rows) addCounted(counted, by, row);
    counted.groups.clear();
    for (const { value, count } of hours) counted.groups.set(String(value), count);
    return counted;
  }
  const { rows } =
    machines === undefined
      ? await countedOfAll(db, range, keys[by])
      : await sql<Record<string, unknown>>`
          SELECT value, ${countsOfCounted} FROM (
            SELECT ${keys[by]} AS value, i.state, i.waited, count(*) AS n, min(i.created_at) AS oldest
            FROM ${createdIn(
              sql`SELECT ${time(range.since)} AS begun, ${time(range.until)} AS ended`,
              sql`i.machine = ${anyText(machines)}`,
            )} GROUP BY 1, 2, 3
          ) AS i GROUP BY value`.execute(db);
  const counted = nothingCounted();
  for (const row of rows) addCounted(counted, by, row);
  return counted;
}

/**
 * Counts the incidents of all machines: by the sums of whole days and hours, and one by one in what is left at both ends and
 * in hours that have changed since their sum was made.
 */
function countedOfAll(db: FleetDatabase, { since, until }: TimeRange, value: RawBuilder<unknown>) {
  const end = Math.floor(until / HOUR);
  const first = Math.min(Math.ceil(since / HOUR), end);
  const roundedUp = Math.ceil(first / DAY_OF_HOURS) * DAY_OF_HOURS;
  const lastDay = Math.floor(end / DAY_OF_HOURS) * DAY_OF_HOURS;
  const firstDay = Math.min(roundedUp, lastDay);
  const hasDays = roundedUp < lastDay;
  const [from, to] = hasDays ? [firstDay, lastDay] : [end, end];
  const dayOf = (hour: RawBuilder<unknown>) => sql`(${hour} / ${sql.lit(DAY_OF_HOURS)} * ${sql.lit(DAY_OF_HOURS)})`;
  // A range may be shorter than an hour, and hold none.
  const isWhole = first * HOUR >= since && first < end;
  const edges = isWhole
    ? sql`
        SELECT ${time(since)} AS begun, ${time(first * HOUR)} AS ended
        UNION ALL SELECT ${time(end * HOUR)}, ${time(until)}`
    : sql`SELECT ${time(since)} AS begun, ${time(until)} AS ended`;
  const last = isWhole ? end : first;
  return sql<Record<string, unknown>>`
    WITH changed AS MATERIALIZED (
      ${markedHours('created')} WHERE hour >= ${first}::bigint AND hour < ${last}::bigint
    ), single AS MATERIALIZED (
      SELECT hour FROM generate_series(${first}::bigint, ${Math.min(from, last) - 1}::bigint) AS hour
      UNION ALL SELECT hour FROM generate_series(${Math.max(to, first)}::bigint, ${last - 1}::bigint) AS hour
      UNION ALL SELECT day + hour FROM (
        SELECT DISTINCT ${dayOf(sql`hour`)} AS day FROM changed WHERE hour >= ${from}::bigint AND hour < ${to}::bigint
      ) AS d CROSS JOIN generate_series(0, ${sql.lit(DAY_OF_HOURS - 1)}) AS hour
    ), parts AS (
      SELECT ${value} AS value, ${COUNTED} FROM created_sums
      WHERE machine = '' AND length = ${sql.lit(DAY_OF_HOURS)} AND beginning >= ${from}::bigint AND beginning < ${to}::bigint
        AND beginning NOT IN (SELECT ${dayOf(sql`hour`)} FROM changed)
      UNION ALL
      SELECT ${value}, ${COUNTED} FROM created_sums
      WHERE machine = '' AND length = 1 AND beginning = ANY (ARRAY(SELECT hour FROM single EXCEPT SELECT hour FROM changed))
      UNION ALL
      SELECT ${value}, ${countsOfIncidents} FROM ${createdIn(sql`
        ${edges}
        UNION ALL SELECT to_timestamp(hour * 3600), to_timestamp((hour + 1) * 3600) FROM changed`)} GROUP BY 1
    )
    SELECT value, ${sumOfCounts} FROM parts GROUP BY value`.execute(db);
}

/** How many incidents a sample has, nearly. */
const SAMPLED = 5000;

/**
 * How long incidents of a range took. Of many, some of 1,024 parts of them are a sample. The times of all come as one text:
 * so many rows would take longer to read than to find.
 */
async function timedIn(db: FleetDatabase, machines: Machines, range: TimeRange, incidents: number): Promise<Timed> {
  const taken: Record<Step, number[]> = { contain: [], acknowledge: [], resolve: [] };
  if (incidents === 0) return { taken, count: 0, isSample: false };
  const isSample = incidents > MOST_TIMED;
  const parts = Math.max(1, Math.floor((SAMPLE_PARTS * SAMPLED) / incidents));
  const rows = sql`
    SELECT i.machine, i.created_at, i.confirmed_at, i.acknowledged_at, i.resolved_at FROM incidents i
    WHERE i.current AND i.drill = 0 AND ${allOf(onCreation(range))}`;
  const ofScope = machines === undefined ? sql`true` : sql`i.machine = ${anyText(machines)}`;
  const sampled = isSample
    ? sql`generate_series(0, ${parts - 1}::int) AS part CROSS JOIN LATERAL (
        ${rows} AND ${sql.raw(SAMPLE_PART)} = part AND ${sql.raw(IN_SAMPLES)} OFFSET 0) AS i`
    : sql`(${rows} AND ${ANY_RANK} AND ${ofScope}) AS i`;
  const took = (ended: string) =>
    sql`string_agg((date_part('epoch', ${sql.ref(ended)} - i.created_at) * 1000)::bigint::text, ',')`;
  const { rows: all } = await sql<{ count: number; contain: string; acknowledge: string; resolve: string }>`
    SELECT count(*) AS count, ${took('i.confirmed_at')} AS contain, ${took('i.acknowledged_at')} AS acknowledge,
      ${took('i.resolved_at')} AS resolve
    FROM ${sampled} WHERE ${ofScope}`.execute(db);
  const [found] = all;
  for (const step of STEPS) {
    // The clock may have been set back.
    for (const text of (found?.[step] ?? '').split(',')) if (text !== '') taken[step].push(Math.max(0, Number(text)));
  }
  return { taken, count: Number(found?.count), isSample };
}
