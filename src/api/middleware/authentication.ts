import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import type { Role } from '../../../machines/vocabulary.ts';
import type { Principal } from '../../access/principal.ts';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Check } from './checks.ts';

const SCHEME = /^bearer +/i;
/** As most clients write it: a pattern takes longer without a compiler. */
const USUAL_SCHEME = 'Bearer ';

/** Who sends a request, by its token (`Authorization: Bearer …`, RFC 6750); undefined for a stranger. */
export const principalOf = (
  { headers }: Pick<IncomingMessage, 'headers'>,
  access: ApiDependencies['access'],
): Principal | undefined => {
  const header = headers.authorization ?? '';
  const isUsual = header.startsWith(USUAL_SCHEME) && header[USUAL_SCHEME.length] !== ' ';
  const scheme = isUsual ? USUAL_SCHEME : SCHEME.exec(header)?.[0];
  return access.principalOf(scheme && header.slice(scheme.length));
};

/** Whether a request carries a token that somebody has. */
export const carriesToken = (request: Pick<IncomingMessage, 'headers'>, access: ApiDependencies['access']): boolean =>
  principalOf(request, access) !== undefined;

/** Who sends the request of a route, and the role in which they do. */
export interface Admitted {
  readonly principal: Principal;
  readonly role: Role;
}

/** Who sends the request of a route that asks for a role. */
export const admittedIn = ({ state }: Context): Admitted => state.admitted as Admitted;

/**
 * Admits requests of principals with one of these roles. The role in which they ask is the first that they have.
 * @throws RecorderError `forbidden`, with the roles that would be needed
 */
export const authentication =
  (access: ApiDependencies['access'], roles: readonly Role[]): Check =>
  (ctx) => {
    const principal = principalOf(ctx.req, access);
    if (principal === undefined) throw forbidden(ctx);
    const role = roles.find((one) => principal.roles.includes(one));
    if (role === undefined) throw missingRole(principal, roles);
    ctx.state.admitted = { principal, role } satisfies Admitted;
  };

/** The refusal of a stranger. */
export const forbidden = (ctx: Context): RecorderError => {
  ctx.set('WWW-Authenticate', 'Bearer');
  return new RecorderError('forbidden', 'forbidden');
};

/** The refusal of a principal who has none of the roles. */
export const missingRole = ({ name, roles, refusal }: Principal, needed: readonly Role[]): RecorderError => {
  if (refusal !== undefined) return refusal;
  const has = roles.length === 0 ? 'has no role' : `is ${roles.join(', ')}`;
  const message = `forbidden: this needs the role ${needed.join(' or ')}, and ${name} ${has}`;
  return new RecorderError('forbidden', message, { fields: { needs: needed, roles } });
};
