import Router from '@koa/router';
import type { Middleware, Next } from 'koa';

/** One route of the API: a method on a path, and what answers it. */
export interface ApiRoute {
  /** A `GET` route also answers `HEAD`. */
  readonly method: 'GET' | 'POST' | 'PUT';
  /** As @koa/router takes it: `/health`, `/api/v1/containment/:action`. */
  readonly path: string;
  /** Runs before `handle`, in this order: authentication, the body, a limit. */
  readonly before?: readonly Middleware[];
  readonly handle: Middleware;
}

/** A path without parameters: only the same text matches it. */
const EXACT = /^[\w/.-]+$/;

/**
 * Sends each request to its route, and leaves the path of the route in `ctx.state.route`.
 *
 *     app.use(routing([{ method: 'GET', path: '/livez', handle: (ctx) => respondJson(ctx, 200, '{}') }]));
 *
 * A path without parameters is looked up in a map. All other requests go to @koa/router, also those that no route
 * takes: it leaves the routes of the same path in `ctx.matched`. For each request the router tries the pattern of every
 * route and composes what matches, which costs as much as the audit entry of a report.
 */
export const routing = (routes: readonly ApiRoute[]): Middleware => {
  const exact = new Map<string, Middleware>();
  for (const { method, path, before = [], handle } of routes) {
    if (!EXACT.test(path)) continue;
    const run = inOrder(path, [...before, handle]);
    for (const each of method === 'GET' ? ['GET', 'HEAD'] : [method]) exact.set(`${each} ${path}`, run);
  }
  let byPattern: Middleware | undefined;
  return (ctx, next) => {
    // Most targets are a path and nothing else: no need to parse the URL.
    const { method, url } = ctx.req;
    const run = exact.get(`${method} ${url}`) ?? exact.get(`${method} ${ctx.path}`) ?? (byPattern ??= routerOf(routes));
    return run(ctx, next);
  };
};

/** @koa/router with these routes. It is made when it is first needed: to read the patterns takes a hundredth of a start. */
const routerOf = (routes: readonly ApiRoute[]): Middleware => {
  const router = new Router({ sensitive: true, strict: true });
  for (const { method, path, before = [], handle } of routes) {
    const run = inOrder(path, [...before, handle]);
    if (method === 'GET') router.get(path, run);
    else if (method === 'PUT') router.put(path, run);
    else router.post(path, run);
  }
  return router.routes() as unknown as Middleware;
};

/** One middleware that runs the steps of a route, each when the one before calls `next`. */
const inOrder = (path: string, steps: readonly Middleware[]): Middleware => {
  const [last, ...before] = steps.toReversed() as [Middleware, ...Middleware[]];
  const run = before.reduce<Middleware>(
    (inner, step) => (ctx, next) => step(ctx, () => inner(ctx, next) as ReturnType<Next>),
    last,
  );
  return (ctx, next) => {
    ctx.state.route = path;
    return run(ctx, next);
  };
};
