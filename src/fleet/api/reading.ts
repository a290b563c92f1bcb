/** Who reads, and what of the fleet they get. */
import { isDeepStrictEqual } from 'node:util';
import type { Context } from 'koa';
import type { Role } from '../../../machines/vocabulary.ts';
import { forbidden, missingRole, principalOf } from '../../api/middleware/authentication.ts';
import { readingOf } from '../../api/middleware/read-access.ts';
import type { Reader } from '../../domain/withheld.ts';
import type { FleetPrincipal, MachineBounds } from '../access.ts';
import type { FleetDependencies } from './dependencies.ts';
import { boundsOf, type Scope, scopeOf } from './scope.ts';

export interface Reading extends Scope {
  readonly reader: Reader;
  /** What its principal may see, whatever the request names. */
  readonly bounds: MachineBounds;
}

type Needed = Pick<FleetDependencies, 'db' | 'access' | 'readAccess' | 'readEvidence'>;

/** Whose token a request carries; undefined for a stranger. */
export const fleetPrincipal = ({ access }: Pick<Needed, 'access'>, ctx: Context): FleetPrincipal | undefined =>
  ctx.req.headers.authorization === undefined
    ? undefined
    : (principalOf(ctx.req, access) as FleetPrincipal | undefined);

/**
 * Admits a read, and says about which machines it is and what its reader gets.
 * @param roles who may read this besides readers
 * @throws RecorderError `forbidden`, `invalid_request`
 */
export async function readingIn(dependencies: Needed, ctx: Context, roles: readonly Role[] = []): Promise<Reading> {
  const principal = admitted(dependencies, ctx, roles);
  ctx.vary('Authorization');
  const { readEvidence = 'open' } = dependencies;
  const bounds = boundsOf(principal);
  const scope = await scopeOf(dependencies.db, ctx.querystring, bounds);
  return { ...scope, bounds, reader: readingOf(principal, { readEvidence }) };
}

/** Who sends a read. @throws RecorderError `forbidden` */
export function admitted(
  dependencies: Pick<Needed, 'access' | 'readAccess'>,
  ctx: Context,
  roles: readonly Role[] = [],
): FleetPrincipal | undefined {
  const principal = fleetPrincipal(dependencies, ctx);
  if (principal === undefined) {
    if (dependencies.readAccess === 'open') return undefined;
    throw forbidden(ctx);
  }
  const readers: readonly Role[] = ['reader', ...roles];
  if (!principal.roles.some((role) => readers.includes(role))) throw missingRole(principal, readers);
  return principal;
}

/** Whether a request may be answered on, and sees as much as it did: its token may have lost a role, or machines. */
export function stillReads(
  dependencies: Needed,
  ctx: Context,
  { reader, bounds }: Pick<Reading, 'reader' | 'bounds'>,
): boolean {
  try {
    const principal = admitted(dependencies, ctx);
    if (!isDeepStrictEqual(boundsOf(principal), bounds)) return false;
    const now = readingOf(principal, { readEvidence: dependencies.readEvidence ?? 'open' });
    return (now.words || !reader.words) && (now.evidence || !reader.evidence);
  } catch {
    return false;
  }
}
