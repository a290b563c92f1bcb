import type { Middleware } from 'koa';
import type { ApiDependencies } from '../dependencies.ts';

/** Counts responses by the path of their route: there are as many counters as routes, however many URLs are asked for. */
export const requestCount =
  ({ metrics }: Pick<ApiDependencies, 'metrics'>): Middleware =>
  async (ctx, next) => {
    await next();
    metrics.requests.count(ctx.method, (ctx.state.route as string | undefined) ?? '', ctx.status);
  };
