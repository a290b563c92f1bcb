/** The machines that an act by label is about. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { ContainmentAction } from '../../machines/vocabulary.ts';
import { RecorderError } from '../errors.ts';
import type { MachineBounds } from './access.ts';
import type { FleetDatabase } from './database.ts';

/** How many machines one act may be about. */
const MOST_MACHINES = 10_000;

export type Labels = Readonly<Record<string, string>>;

export interface WantedMachines {
  readonly labels: Labels;
  /** What the principal may see. */
  readonly bounds: MachineBounds;
  /** Only those with these names; none for all. */
  readonly named?: readonly string[];
}

export interface LabelledMachine {
  readonly machine: string;
  readonly name: string;
  readonly labels: Labels;
  readonly policy_text: string | null;
  /** The history of its log that it goes on with; null before it has sent anything. */
  readonly log: string | null;
  readonly silent: boolean;
  /** How many incidents hold the action there. */
  readonly holders: number;
}

/** What machines, rows `m`, have in common. */
export const isWanted = ({ labels, bounds, named = [] }: WantedMachines) => sql`
  m.revoked_at IS NULL AND m.enrolled_at IS NOT NULL AND m.labels @> ${JSON.stringify(labels)}::jsonb
  AND m.labels @> ${JSON.stringify(bounds === 'any' ? {} : bounds)}::jsonb
  ${named.length === 0 ? sql`` : sql`AND (m.machine = ANY(${[...named]}::text[]) OR m.name = ANY(${[...named]}::text[]))`}`;

/**
 * Those that are enrolled, by name.
 * @param silentAfter in milliseconds
 * @throws RecorderError `limit_reached` for too many
 */
export async function labelledMachines(
  db: FleetDatabase,
  silentAfter: number,
  wanted: WantedMachines,
  action?: ContainmentAction,
): Promise<readonly LabelledMachine[]> {
  type Row = Omit<LabelledMachine, 'name' | 'silent' | 'holders'> & {
    readonly name: string | null;
    readonly silent: boolean | null;
    readonly holders: number | null;
  };
  const { rows } = await sql<Row>`
    SELECT m.machine, m.name, m.labels, m.policy_text, l.log, p.holders, coalesce(m.heard_at, m.enrolled_at)
      < clock_timestamp() - ${silentAfter}::float8 * interval '1 millisecond' AS silent
    FROM machines m LEFT JOIN logs l ON l.machine = m.machine AND l.active
      LEFT JOIN posture p ON p.machine = m.machine AND p.log = l.log AND p.action = ${action ?? ''}
    WHERE ${isWanted(wanted)} ORDER BY m.machine LIMIT ${sql.lit(MOST_MACHINES + 1)}`.execute(db);
  if (rows.length > MOST_MACHINES)
    throw new RecorderError('limit_reached', `these are more than ${MOST_MACHINES} machines; name more labels`);
  return rows.map(({ name, silent, holders, ...row }) => ({
    ...row,
    name: name ?? row.machine,
    silent: silent === true,
    holders: holders ?? 0,
  }));
}

/** The identity of the log that each of some machines goes on with. */
export async function currentLogs(
  db: FleetDatabase,
  machines: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const { rows } = await sql<{ machine: string; identity: string }>`
    SELECT l.machine, l.identity FROM logs l WHERE l.active AND l.machine = ANY(${[...machines]}::text[])`.execute(db);
  return new Map(rows.map(({ machine, identity }) => [machine, identity]));
}

export const SENT_NOTHING = 'it has sent nothing yet';

/** SHA-256 over what was shown of the machines on which an act is possible: whoever confirms it has seen these. */
export const digestOfSeen = (seen: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(seen)).digest('hex');
