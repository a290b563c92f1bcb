/** Reads that are about one machine. */
import { sql } from 'kysely';
import { RecorderError } from '../../errors.ts';
import type { FleetDatabase } from '../database.ts';
import { anyText } from './list-filter.ts';
import type { Reading } from './reading.ts';

/** A machine and the history of its log that it goes on with. */
export interface MachineLog {
  readonly machine: string;
  readonly log: string;
  readonly through: number;
  readonly first_seq: number;
  /** The policy that it has sent last: YAML. */
  readonly policy_text: string | null;
}

/**
 * The machine of a request that is about one.
 * @throws RecorderError `invalid_request` when it names none or several; `not_found`
 */
export async function oneMachine(db: FleetDatabase, { machines }: Pick<Reading, 'machines'>): Promise<MachineLog> {
  const { rows } = await sql<MachineLog>`
    SELECT m.machine, m.policy_text, l.log, l.through, l.first_seq
    FROM machines m JOIN logs l ON l.machine = m.machine AND l.active
    ${machines === undefined ? sql`` : sql`WHERE m.machine = ${anyText(machines)}`}
    ORDER BY m.machine, l.ordinal DESC LIMIT 2`.execute(db);
  const [one, other] = rows;
  if (one === undefined) throw new RecorderError('not_found', 'machine not found, or it has sent nothing yet');
  if (other === undefined || other.machine === one.machine) return one;
  throw new RecorderError('invalid_request', 'machine parameter required: this is about one machine');
}
