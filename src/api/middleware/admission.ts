import type { Middleware } from 'koa';
import type { ApiDependencies } from '../dependencies.ts';
import { authentication } from './authentication.ts';
import { checks } from './checks.ts';
import { concurrencyLimit } from './concurrency-limit.ts';
import { contentType } from './content-type.ts';
import { jsonBody } from './json-body.ts';

/** What a request must pass before a route handles it; a route names one of these as its `before`. */
export interface Admission {
  /** For changes without a body: the service token. */
  readonly authenticated: readonly Middleware[];
  /** For commands: the service token before any of the body is read, then the type of the body, then the body. */
  readonly command: readonly Middleware[];
  /** For large responses: one of a few places, which all routes share. */
  readonly large: readonly Middleware[];
}

export const admission = ({ token, maxBodyBytes }: Pick<ApiDependencies, 'token' | 'maxBodyBytes'>): Admission => {
  const authenticated = authentication(token);
  return {
    authenticated: [checks(authenticated)],
    command: [checks(authenticated, contentType()), jsonBody(maxBodyBytes)],
    large: [concurrencyLimit()],
  };
};
