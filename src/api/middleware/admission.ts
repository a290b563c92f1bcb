import type { Middleware } from 'koa';
import type { Role } from '../../../machines/vocabulary.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { authentication } from './authentication.ts';
import { checks } from './checks.ts';
import { concurrencyLimit } from './concurrency-limit.ts';
import { contentType } from './content-type.ts';
import { jsonBody } from './json-body.ts';
import type { ApiRoute } from './routing.ts';

/** What a request must pass before a route handles it; a route names one of these as its `before`. */
export interface Admission {
  /** For reads, and changes without a body: a token of somebody with one of these roles. */
  readonly authenticated: (...roles: readonly Role[]) => readonly Middleware[];
  /** For commands: the token before any of the body is read, then the type of the body, then the body. */
  readonly command: (...roles: readonly Role[]) => readonly Middleware[];
  /** For large responses: one of a few places, which all routes share. */
  readonly large: readonly Middleware[];
}

/** A middleware that admits only principals with one of these roles. */
type Admitting = Middleware & { readonly roles: readonly Role[] };

const admitting = (roles: readonly Role[], middleware: Middleware): Admitting => Object.assign(middleware, { roles });

/** The roles that a route asks for: one of them is needed. Empty where it asks for none. */
export const rolesOf = ({ before = [] }: Pick<ApiRoute, 'before'>): readonly Role[] =>
  before.flatMap((middleware) => ('roles' in middleware ? (middleware as Admitting).roles : []));

export const admission = ({ access, maxBodyBytes }: Pick<ApiDependencies, 'access' | 'maxBodyBytes'>): Admission => {
  // One for all routes: they share what bodies may take.
  const body = jsonBody(maxBodyBytes);
  return {
    authenticated: (...roles) => [admitting(roles, checks(authentication(access, roles)))],
    command: (...roles) => [admitting(roles, checks(authentication(access, roles), contentType())), body],
    large: [concurrencyLimit()],
  };
};
