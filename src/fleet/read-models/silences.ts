/** The silences of machines, as their logs say. */
import { sql } from 'kysely';
import type { SilenceOnRecord } from '../../domain/silence-terms.ts';
import type { FleetDatabase } from '../database.ts';

export interface MachineSilence {
  readonly machine: string;
  readonly silence: SilenceOnRecord;
}

/** All silences of some machines, by machine, the oldest first. @param machines undefined for all */
export async function silencesOf(
  db: FleetDatabase,
  machines: readonly string[] | undefined,
): Promise<readonly MachineSilence[]> {
  const { rows } = await sql<{ machine: string; silence: string }>`
    SELECT s.machine, s.silence FROM silences s JOIN logs l ON l.machine = s.machine AND l.log = s.log
    WHERE l.active ${machines === undefined ? sql`` : sql`AND s.machine = ANY(${[...machines]}::text[])`}
    ORDER BY s.machine, s.seq`.execute(db);
  return rows.map(({ machine, silence }) => ({ machine, silence: JSON.parse(silence) as SilenceOnRecord }));
}
