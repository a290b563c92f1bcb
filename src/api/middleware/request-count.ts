import type { RouterContext } from '@koa/router';
import type { Middleware } from 'koa';
import type { ApiParts } from '../dependencies.ts';

/** Counts the answers: by the route's own path, so that there are as many counters as routes and not as many as URLs. */
export const requestCount =
  ({ metrics }: Pick<ApiParts, 'metrics'>): Middleware =>
  async (ctx, next) => {
    await next();
    const { _matchedRoute: route } = ctx as unknown as Partial<RouterContext>;
    metrics.requests.count(ctx.method, String(route ?? ''), ctx.status);
  };
