/** On which machine somebody acts, and whether they may. */
import type { Context } from 'koa';
import { sql } from 'kysely';
import { admittedIn } from '../../api/middleware/authentication.ts';
import { RecorderError } from '../../errors.ts';
import { type FleetPrincipal, isWithin } from '../access.ts';
import type { FleetDependencies } from './dependencies.ts';

export interface Acting {
  readonly principal: FleetPrincipal;
  readonly machine: string;
  /** The identity of the log that it goes on with; null before it has sent anything. */
  readonly log: string | null;
  readonly isRevoked: boolean;
}

export const actorIn = (ctx: Context): FleetPrincipal => admittedIn(ctx).principal as FleetPrincipal;

/**
 * The machine that a request acts on, by its own name or the one that it is shown with.
 * @throws RecorderError `not_found`, also for one outside of what the principal may see
 */
export async function actingIn({ db }: Pick<FleetDependencies, 'db'>, ctx: Context, named: string): Promise<Acting> {
  const principal = actorIn(ctx);
  const { rows } = await sql<{
    machine: string;
    labels: Readonly<Record<string, string>>;
    revoked_at: Date | null;
    identity: string | null;
  }>`
    SELECT m.machine, m.labels, m.revoked_at, l.identity
    FROM machines m LEFT JOIN logs l ON l.machine = m.machine AND l.active
    WHERE m.machine = ${named} OR m.name = ${named} ORDER BY m.machine = ${named} DESC LIMIT 1`.execute(db);
  const row = rows[0];
  if (row === undefined || !isWithin(row.labels, principal.machines)) {
    throw new RecorderError('not_found', 'machine not found');
  }
  return { principal, machine: row.machine, log: row.identity, isRevoked: row.revoked_at !== null };
}
