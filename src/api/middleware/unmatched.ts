import type { Middleware } from 'koa';
import type { RouterContext } from '@koa/router';
import { RecorderError } from '../../errors.ts';

/**
 * Answers what no route took: 404 for a path that there is not, 405 with `Allow` for a method that the path has not, and
 * 204 with `Allow` for OPTIONS. There is no CORS here: no other origin is allowed.
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
