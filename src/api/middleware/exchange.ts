import type { Middleware } from 'koa';
import type { ApiDependencies } from '../dependencies.ts';
import { peerOf } from '../server/peer.ts';
import { respondError } from './errors.ts';
import { releaseBody } from './json-body.ts';
import { identify, lineOf } from './request-log.ts';

/**
 * What goes around every request: the identifier that its response carries, the response to an error, the count of
 * responses by route, and the line in the log. There are as many counters as routes, however many URLs are asked for.
 *
 * It is one middleware, because each one that waits for the next costs every request as much as a header.
 */
export const exchange =
  ({
    logRequest,
    clock,
    metrics,
    log,
  }: Pick<ApiDependencies, 'logRequest' | 'clock' | 'metrics' | 'log'>): Middleware =>
  async (ctx, next) => {
    const start = clock.monotonic();
    const id = identify(ctx);
    try {
      await next();
    } catch (thrown) {
      respondError(ctx, thrown, log);
    }
    const { req, res, state } = ctx;
    if (state.releaseBody !== undefined) releaseBody(ctx);
    metrics.requests.count(req.method ?? '', (state.route as string | undefined) ?? '', res.statusCode);
    logRequest(lineOf(ctx, id, clock.monotonic() - start), peerOf(req).trusted);
  };
