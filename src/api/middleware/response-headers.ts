import type { Middleware } from 'koa';

/** Headers that every answer carries, unless it knows better: not kept by caches, and taken for what it says it is. */
export const responseHeaders = (): Middleware => (ctx, next) => {
  ctx.set('Cache-Control', 'no-store');
  ctx.set('X-Content-Type-Options', 'nosniff');
  return next();
};
