/** How incidents that were created in a time are counted for comparisons: all, and those that wait for a step. */
import { type RawBuilder, sql } from 'kysely';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { STEPS } from '../../query/comparison-reading.ts';

/** Any severity, of rows `i`: the index of severities has what was created in a time, in as many parts. */
export const ANY_RANK: RawBuilder<unknown> = sql`i.rank = ANY(ARRAY[${sql.join(SEVERITIES.map((_, rank) => sql.lit(rank)))}]::smallint[])`;

const WAITS = {
  contain: sql`i.waited`,
  acknowledge: sql`i.state IN ('open', 'contained')`,
  resolve: sql`i.state <> 'resolved'`,
} as const;

/** The columns of `created_sums` that are counted. `…_oldest` are milliseconds since the epoch, or null. */
export const COUNTED: RawBuilder<unknown> = sql.join([
  sql`count`,
  ...STEPS.flatMap((step) => [sql.ref(step), sql.ref(`${step}_oldest`)]),
]);

/** Counts incidents, rows `i`. */
export const countsOfIncidents: RawBuilder<unknown> = sql.join([
  sql`count(*) AS count`,
  ...STEPS.flatMap((step) => [
    sql`count(*) FILTER (WHERE ${WAITS[step]}) AS ${sql.ref(step)}`,
    sql`(extract(epoch FROM min(i.created_at) FILTER (WHERE ${WAITS[step]})) * 1000)::bigint AS ${sql.ref(`${step}_oldest`)}`,
  ]),
]);

/** The same of incidents that were counted by `state` and `waited` before: rows `i` with `n` and the `oldest` of each. */
export const countsOfCounted: RawBuilder<unknown> = sql.join([
  sql`sum(i.n)::bigint AS count`,
  ...STEPS.flatMap((step) => [
    sql`coalesce(sum(i.n) FILTER (WHERE ${WAITS[step]}), 0)::bigint AS ${sql.ref(step)}`,
    sql`(extract(epoch FROM min(i.oldest) FILTER (WHERE ${WAITS[step]})) * 1000)::bigint AS ${sql.ref(`${step}_oldest`)}`,
  ]),
]);

/** Adds up counts. */
export const sumOfCounts: RawBuilder<unknown> = sql.join([
  sql`sum(count)::bigint AS count`,
  ...STEPS.flatMap((step) => [
    sql`sum(${sql.ref(step)})::bigint AS ${sql.ref(step)}`,
    sql`min(${sql.ref(`${step}_oldest`)}) AS ${sql.ref(`${step}_oldest`)}`,
  ]),
]);

/** The incidents that were created in spans of time (`begun`, `ended`), which `spans` selects: rows `i`. */
export const createdIn = (
  spans: RawBuilder<unknown>,
  condition: RawBuilder<unknown> = sql`true`,
): RawBuilder<unknown> => sql`
  (${spans}) AS span CROSS JOIN LATERAL (
    SELECT i.created_at, i.machine, i.class, i.source, i.rank, i.state, i.waited FROM incidents i
    WHERE i.current AND i.drill = 0 AND ${ANY_RANK} AND i.created_at >= span.begun AND i.created_at < span.ended
      AND ${condition} OFFSET 0
  ) AS i`;
