/**
 * The hours whose sums over all machines are not what they were, since a machine has sent something.
 *
 * Sums over machines are rows that belong to no machine, and a batch touches the rows of one machine alone: so it leaves
 * marks there, in its own transaction, and `Sums` makes the sums of these hours again. Until then readers add up what the
 * machines have of a marked hour, and so their answers are exact at any time.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely';
import { HOUR } from '../../clock.ts';
import type { FleetTables } from '../schema.ts';

type Tx = Transaction<FleetTables>;

/** Whose sums: what happened in an hour (`hours`), or the incidents that were created in it. */
export type Marked = 'activity' | 'created';

/** What a batch has changed. Times are in milliseconds since the epoch. */
export interface Changed {
  /** The hours since the epoch whose counts are others now. */
  readonly activity: Iterable<number>;
  /** When the incidents were created that are others now. */
  readonly created: Iterable<number>;
}

/** Each row is new, so that no transaction waits for another, and none takes a mark away that it has not seen. */
const BATCH = sql`(random() * 1e15)::bigint`;

/** Marks the hours of a batch. */
export async function markChanged(
  tx: Tx,
  { machine, log }: { readonly machine: string; readonly log: string },
  { activity, created }: Changed,
): Promise<void> {
  const hours = [...new Set(activity)];
  const begun = [...new Set([...created].map((at) => Math.floor(at / HOUR)))];
  if (hours.length + begun.length === 0) return;
  const array = (values: readonly number[]): RawBuilder<unknown> => sql`${`{${values.join()}}`}::text::bigint[]`;
  await sql`
    INSERT INTO marks (machine, log, batch, activity, created)
    VALUES (${machine}, ${log}, ${BATCH}, ${array(hours)}, ${array(begun)})`.execute(tx);
}

/** Marks all hours of a machine: another history counts now, or its read models are made again. */
export async function markAll(tx: Tx, machine: string): Promise<void> {
  await sql`
    INSERT INTO marks (machine, log, batch, activity, created)
    SELECT ${machine}, '', ${BATCH}, ARRAY(SELECT DISTINCT hour FROM hours WHERE machine = ${machine}), ARRAY(
      SELECT DISTINCT floor(extract(epoch FROM created_at) / 3600)::bigint FROM incidents WHERE machine = ${machine})`.execute(
    tx,
  );
}

/** The marked hours, as a query with one column, `hour`. */
export const markedHours = (what: Marked): RawBuilder<unknown> =>
  sql`SELECT DISTINCT hour FROM marks CROSS JOIN unnest(${sql.ref(what)}) AS hour`;

/**
 * Takes marks away, those of the latest hours first. The rest is left as one row, which belongs to no machine.
 * @param most how many hours of each kind
 */
export async function takeMarks(
  tx: Tx,
  most: number,
): Promise<{ readonly hours: Readonly<Record<Marked, readonly number[]>>; readonly isAll: boolean }> {
  const { rows } = await sql<{ what: Marked; hour: number }>`
    WITH taken AS (DELETE FROM marks RETURNING activity, created)
    SELECT 'activity' AS what, unnest(activity) AS hour FROM taken
    UNION SELECT 'created', unnest(created) FROM taken ORDER BY hour DESC`.execute(tx);
  const of = (what: Marked): number[] => rows.filter((row) => row.what === what).map(({ hour }) => hour);
  const [activity, created] = [of('activity'), of('created')];
  const hours = { activity: activity.splice(0, most), created: created.splice(0, most) };
  const isAll = activity.length + created.length === 0;
  if (!isAll)
    await sql`
      INSERT INTO marks (machine, log, batch, activity, created)
      VALUES ('', '', ${BATCH}, ${activity}::bigint[], ${created}::bigint[])`.execute(tx);
  return { hours, isAll };
}
