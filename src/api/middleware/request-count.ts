import type { Middleware } from 'koa';
import type { ApiDependencies } from '../dependencies.ts';

/** Counts responses by the path of their route: there are as many counters as routes, however many URLs are asked for. */
export const requestCount =
  ({ metrics }: Pick<ApiDependencies, 'metrics'>): Middleware =>
  async (ctx, next) => {
    await next();
    // Koa's own ways to these take a while without a compiler.
    const { req, res } = ctx;
    metrics.requests.count(req.method ?? '', (ctx.state.route as string | undefined) ?? '', res.statusCode);
  };
