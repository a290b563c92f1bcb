import type { RouterContext } from '@koa/router';
import type { Middleware } from 'koa';
import { RecorderError } from '../../errors.ts';

/**
 * Responds where no route did: 404 for an unknown path, 405 with `Allow` for a method that the path does not have, 204
 * with `Allow` for OPTIONS. There is no CORS: no other origin is allowed.
 */
export const unmatched = (): Middleware => (ctx) => {
  const { matched = [] } = ctx as Partial<RouterContext>;
  const allowed = [...new Set(matched.flatMap(({ methods }) => methods))];
  if (allowed.length === 0) throw new RecorderError('not_found', 'no such path');
  ctx.set('Allow', [...allowed, 'OPTIONS'].join(', '));
  if (ctx.method !== 'OPTIONS') {
    throw new RecorderError('method_not_allowed', 'method not allowed', { fields: { allowed } });
  }
  ctx.status = 204;
};
