import type { Context, Middleware } from 'koa';

/** What is done with a request before it goes on; it goes no further when that throws. */
export type Check = (ctx: Context) => void;

/**
 * Makes one middleware of some checks, in their order: `app.use(checks(requestTarget(), hostGuard(parts)))`. As a
 * middleware each would cost a promise and several calls for every request.
 */
export const checks =
  (...all: readonly Check[]): Middleware =>
  (ctx, next) => {
    for (let at = 0; at < all.length; at++) all[at]!(ctx);
    return next();
  };
