/**
 * What lists still show of histories that a machine has left: statistics count the history that it goes on with, and these
 * incidents are of none of that. A history that was left does not change, so they are counted when a machine leaves it.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { CONTAINMENT_STATUS } from '../../domain/incident-columns.ts';
import type { FleetTables } from '../schema.ts';

/** A row as `stats` has them; `incomplete` under `recovery` for those that are not complete. */
interface LeftCount {
  readonly log: string;
  readonly kind: 'population' | 'entered' | 'containment' | 'recovery' | 'resolution';
  readonly name: string;
  readonly count: number;
}

interface Row {
  readonly log: string;
  readonly class: string;
  readonly rank: number;
  readonly state: string;
  readonly drill: number;
  readonly containment: number;
  readonly recovery: number;
  readonly resolution: string | null;
  readonly contained: boolean;
  readonly acknowledged: boolean;
  readonly resolved: boolean;
  readonly count: number;
}

/** Counts for one machine what lists show of the histories that it has left. */
export async function countLeft(tx: Transaction<FleetTables>, machine: string): Promise<void> {
  await tx.deleteFrom('left_counts').where('machine', '=', machine).execute();
  const { rows } = await sql<Row>`
    SELECT i.log, i.class, i.rank, i.state, i.drill, i.containment, i.recovery, i.resolution,
      i.contained, i.acknowledged_at IS NOT NULL AS acknowledged,
      i.resolved_at IS NOT NULL AS resolved, count(*) AS count
    FROM logs l JOIN incidents i ON i.machine = l.machine AND i.log = l.log AND i.current
    WHERE NOT l.active AND l.machine = ${machine}
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11`.execute(tx);
  const counts = rows.flatMap((row) => countsOf(row));
  if (counts.length === 0) return;
  await sql`
    INSERT INTO left_counts (machine, log, kind, name, count)
    SELECT ${machine}, n.log, n.kind, n.name, sum(n.count) FROM unnest(
      ${counts.map(({ log }) => log)}::text[], ${counts.map(({ kind }) => kind)}::text[],
      ${counts.map(({ name }) => name)}::text[], ${counts.map(({ count }) => count)}::bigint[]) AS n (log, kind, name, count)
    GROUP BY n.log, n.kind, n.name`.execute(tx);
}

/** Whether lists show a history: where there are several, they show one that is built again when it is whole. */
const IS_SHOWN = sql`(l.built >= l.through
  OR NOT EXISTS (SELECT 1 FROM logs o WHERE o.machine = l.machine AND o.log <> l.log))`;

/**
 * The counts of the history that each machine goes on with, and of what lists show of those that it has left, as rows `s`.
 * @param condition on these rows
 */
export const countsOfAll = (condition: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  SELECT s.machine, s.kind, s.name, s.count FROM stats s
    JOIN logs l ON l.machine = s.machine AND l.log = s.log AND l.active AND ${IS_SHOWN} WHERE ${condition}
  UNION ALL
  SELECT s.machine, s.kind, s.name, s.count FROM left_counts s WHERE ${condition}) AS s`;

function countsOf(row: Row): readonly LeftCount[] {
  const { log, count, drill, containment, resolution } = row;
  const one = (kind: LeftCount['kind'], name: string): LeftCount => ({ log, kind, name, count });
  const population = `${row.class} ${SEVERITIES[row.rank]} ${row.state} ${drill === 0 ? 0 : 1}`;
  // Drills are listed, and count nowhere else.
  if (drill !== 0) return [one('population', population)];
  const status = CONTAINMENT_STATUS[containment];
  return [
    one('population', population),
    ...(['contained', 'acknowledged', 'resolved'] as const).flatMap((name) => (row[name] ? one('entered', name) : [])),
    ...(status === undefined ? [] : [one('containment', status)]),
    ...(row.recovery === 1 ? [one('recovery', 'incomplete')] : []),
    ...(resolution === null ? [] : [one('resolution', resolution)]),
  ];
}
