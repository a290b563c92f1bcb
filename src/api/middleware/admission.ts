import type { Middleware } from 'koa';
import type { Role } from '../../../machines/vocabulary.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { authentication } from './authentication.ts';
import { checks } from './checks.ts';
import { concurrencyLimit } from './concurrency-limit.ts';
import { batchType, contentType } from './content-type.ts';
import { bodyReaders } from './json-body.ts';
import type { ApiRoute } from './routing.ts';

/** What a request must pass before a route handles it; a route names one of these as its `before`. */
export interface Admission {
  /** For reads, and changes without a body: a token of somebody with one of these roles. */
  readonly authenticated: (...roles: readonly Role[]) => readonly Middleware[];
  /** For commands: the token before any of the body is read, then the type of the body, then the body. */
  readonly command: (...roles: readonly Role[]) => readonly Middleware[];
  /** For batches of reports: the token, the type, the body, then one of a few places, which it keeps until it is answered. */
  readonly batch: (...roles: readonly Role[]) => readonly Middleware[];
  /** For large responses: one of a few places, which all routes share. */
  readonly large: readonly Middleware[];
}

/**
 * How many batches are parsed, recorded and answered at a time: while one waits for the disk, the next is read. Each may
 * take twenty times the length of its body.
 */
const BATCHES = 2;

/** A middleware that admits only principals with one of these roles. */
type Admitting = Middleware & { readonly roles: readonly Role[] };

const admitting = (roles: readonly Role[], middleware: Middleware): Admitting => Object.assign(middleware, { roles });

/** The roles that a route asks for: one of them is needed. Empty where it asks for none. */
export const rolesOf = ({ before = [] }: Pick<ApiRoute, 'before'>): readonly Role[] =>
  before.flatMap((middleware) => ('roles' in middleware ? (middleware as Admitting).roles : []));

export const admission = ({ access, maxBodyBytes }: Pick<ApiDependencies, 'access' | 'maxBodyBytes'>): Admission => {
  // One for all routes: they share what bodies may take.
  const bodies = bodyReaders(maxBodyBytes);
  const batches = concurrencyLimit(undefined, { places: BATCHES, what: 'batches', goesOn: true });
  return {
    authenticated: (...roles) => [admitting(roles, checks(authentication(access, roles)))],
    command: (...roles) => [admitting(roles, checks(authentication(access, roles), contentType())), bodies.object],
    batch: (...roles) => [admitting(roles, checks(authentication(access, roles), batchType())), bodies.batch, batches],
    large: [concurrencyLimit()],
  };
};
