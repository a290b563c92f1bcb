import type { Context, Middleware } from 'koa';

/** Looks at a request, and throws when it must go no further. */
export type Check = (ctx: Context) => void;

/**
 * Makes one middleware of several checks, run in order: `app.use(checks(requestTarget(), hostGuard(dependencies)))`. A
 * middleware for each would cost a promise and several calls for every request.
 */
export const checks =
  (...all: readonly Check[]): Middleware =>
  (ctx, next) => {
    for (let at = 0; at < all.length; at++) all[at]!(ctx);
    return next();
  };
