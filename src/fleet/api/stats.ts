/** Statistics over machines: counts by kind, the last hours, and a range of time compared with the one before. */
import { sql } from 'kysely';
import { comparisonSchema, hoursSchema } from '../../api/stats/requests.ts';
import { DEFAULT_HOURS, rangeOf } from '../../api/stats/ranges.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { nothingSchema } from '../../api/request/fields.ts';
import { parseTimestamp } from '../../api/request/timestamp.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { HOUR, MINUTE } from '../../clock.ts';
import { type ActivityReading, activityOf, hoursUpTo, LONG, SHORT } from '../../query/activity-counts.ts';
import {
  addCounted,
  type ComparedBy,
  comparisonOf,
  type ComparisonReading,
  type Counted,
  lengthOf,
  MOST_TIMED,
  nothingCounted,
  rangeBefore,
  type Step,
  type Timed,
  type TimeRange,
} from '../../query/comparison-reading.ts';
import { statisticsOf } from '../../query/statistics.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { parameters } from './one-incident.ts';
import { allOf, anyText, type Condition, onCreation } from './list-filter.ts';
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
  const ofMachines = machines === undefined ? sql`` : sql`AND h.machine = ${anyText(machines)}`;
  const isActive = sql`EXISTS (SELECT 1 FROM logs l WHERE l.machine = h.machine AND l.log = h.log AND l.active)`;
  const counts = await sql<{ hour: number; what: string; step: number; count: number }>`
    SELECT h.hour, h.what, h.step, sum(h.count)::bigint AS count FROM hours h
    WHERE h.hour BETWEEN ${first} AND ${last} AND ${isActive} ${ofMachines}
    GROUP BY h.hour, h.what, h.step`.execute(db);
  const waiting = await sql<{ length: number; beginning: number; count: number }>`
    SELECT h.length, h.beginning, sum(h.count)::bigint AS count FROM waiting h
    WHERE ((h.length = ${LONG} AND h.beginning < ${recent}) OR (h.length = ${SHORT} AND h.beginning >= ${recent}))
      AND h.count > 0 AND ${isActive} ${ofMachines}
    GROUP BY h.length, h.beginning`.execute(db);
  return activityOf(now, hours, { counts: counts.rows, waiting: waiting.rows });
}

/** Compares a range with the one before it. @param now milliseconds since the epoch */
async function comparisonIn(
  db: FleetDatabase,
  machines: Machines,
  range: TimeRange,
  by: ComparedBy,
  now: number,
): Promise<ComparisonReading> {
  const before = rangeBefore(range);
  const counted = {
    now: await countedIn(db, machines, range, by),
    before: await countedIn(db, machines, before, by),
  };
  const timed = {
    now: await timedIn(db, machines, range, counted.now.count),
    before: await timedIn(db, machines, before, counted.before.count),
  };
  return comparisonOf(range, by, now, { counted, timed, archived: [] });
}

const within = (machines: Machines, range: TimeRange): Condition =>
  allOf([
    sql`i.current AND i.drill = 0`,
    ...onCreation(range),
    ...(machines === undefined ? [] : [sql`i.machine = ${anyText(machines)}`]),
  ]);

async function countedIn(db: FleetDatabase, machines: Machines, range: TimeRange, by: ComparedBy): Promise<Counted> {
  const keys = {
    class: sql`i.class`,
    source: sql`i.source`,
    severity: sql`i.rank`,
    hour: sql`floor((extract(epoch FROM i.created_at) * 1000 - ${range.since}::bigint) / ${HOUR}::bigint)::bigint`,
  };
  const oldest = (condition: Condition) =>
    sql`extract(epoch FROM min(i.created_at) FILTER (WHERE ${condition})) * 1000`;
  const waits = sql`i.waited`;
  const unattended = sql`i.state IN ('open', 'contained')`;
  const unresolved = sql`i.state <> 'resolved'`;
  const { rows } = await sql<Record<string, unknown>>`
    SELECT ${keys[by]} AS value, count(*) AS count,
      count(*) FILTER (WHERE ${waits}) AS contain, ${oldest(waits)} AS contain_oldest,
      count(*) FILTER (WHERE ${unattended}) AS acknowledge, ${oldest(unattended)} AS acknowledge_oldest,
      count(*) FILTER (WHERE ${unresolved}) AS resolve, ${oldest(unresolved)} AS resolve_oldest
    FROM incidents i WHERE ${within(machines, range)} GROUP BY 1`.execute(db);
  const counted = nothingCounted();
  for (const row of rows) addCounted(counted, by, row);
  return counted;
}

async function timedIn(db: FleetDatabase, machines: Machines, range: TimeRange, incidents: number): Promise<Timed> {
  const taken: Record<Step, number[]> = { contain: [], acknowledge: [], resolve: [] };
  if (incidents === 0) return { taken, count: 0, isSample: false };
  const every = Math.max(1, Math.ceil(incidents / MOST_TIMED));
  const { rows } = await sql<{
    created_at: Date;
    confirmed_at: Date | null;
    acknowledged_at: Date | null;
    resolved_at: Date | null;
  }>`
    SELECT i.created_at, i.confirmed_at, i.acknowledged_at, i.resolved_at FROM incidents i
    WHERE ${within(machines, range)} AND ((i.number * 2654435761) >> 16) % ${every}::bigint = 0`.execute(db);
  const add = (step: Step, at: Date | null, begun: Date): void => {
    if (at !== null) taken[step].push(lengthOf(at.toISOString(), begun.getTime()));
  };
  for (const { created_at, confirmed_at, acknowledged_at, resolved_at } of rows) {
    add('contain', confirmed_at, created_at);
    add('acknowledge', acknowledged_at, created_at);
    add('resolve', resolved_at, created_at);
  }
  return { taken, count: rows.length, isSample: every > 1 };
}
