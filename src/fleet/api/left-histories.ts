/**
 * What lists still show of histories that a machine has left: statistics count the history that it goes on with, and these
 * incidents are of none of that.
 */
import { sql } from 'kysely';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { CONTAINMENT_STATUS } from '../../domain/incident-columns.ts';
import type { FleetDatabase } from '../database.ts';
import { anyText } from './list-filter.ts';

/** A row as `stats` has them; `unfinished` under `recovery` for those that are not complete. */
export interface LeftCount {
  readonly machine: string;
  readonly kind: 'population' | 'entered' | 'containment' | 'recovery' | 'resolution';
  readonly name: string;
  readonly count: number;
}

interface Row {
  readonly machine: string;
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

/** @param machines undefined for all */
export async function countsOfLeft(
  db: FleetDatabase,
  machines: readonly string[] | undefined,
): Promise<readonly LeftCount[]> {
  const { rows } = await sql<Row>`
    SELECT i.machine, i.class, i.rank, i.state, i.drill, i.containment, i.recovery, i.resolution,
      i.contained, i.acknowledged_at IS NOT NULL AS acknowledged,
      i.resolved_at IS NOT NULL AS resolved, count(*) AS count
    FROM logs l JOIN incidents i ON i.machine = l.machine AND i.log = l.log AND i.current
    WHERE NOT l.active ${machines === undefined ? sql`` : sql`AND l.machine = ${anyText(machines)}`}
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11`.execute(db);
  return rows.flatMap((row) => countsOf(row));
}

function countsOf(row: Row): readonly LeftCount[] {
  const { machine, count, drill, containment, resolution } = row;
  const one = (kind: LeftCount['kind'], name: string): LeftCount => ({ machine, kind, name, count });
  const population = `${row.class} ${SEVERITIES[row.rank]} ${row.state} ${drill === 0 ? 0 : 1}`;
  // Drills are listed, and count nowhere else.
  if (drill !== 0) return [one('population', population)];
  const status = CONTAINMENT_STATUS[containment];
  return [
    one('population', population),
    ...(['contained', 'acknowledged', 'resolved'] as const).flatMap((name) => (row[name] ? one('entered', name) : [])),
    ...(status === undefined ? [] : [one('containment', status)]),
    ...(row.recovery === 1 ? [one('recovery', 'unfinished')] : []),
    ...(resolution === null ? [] : [one('resolution', resolution)]),
  ];
}
