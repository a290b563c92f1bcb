import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import type { Middleware, Next } from 'koa';

/** A path without parameters, which only itself matches. */
const EXACT = /^[\w/-]+$/;

/**
 * Takes a request straight to its route when the route's path has no parameters; all others, and those that no route
 * takes, go to the router. At each request the router tries the pattern of every route and composes what matches, which
 * costs as much as a report's audit entry. Like the router's own middleware it leaves the route's path in
 * `ctx._matchedRoute`, and can be asked for its `router`.
 *
 * To be made when all routes have been added.
 */
export const exactRoutes = (router: Router): Middleware & { readonly router: Router } => {
  const routes = new Map<string, Middleware>();
  for (const { path, methods, stack } of router.stack) {
    if (typeof path !== 'string' || !EXACT.test(path)) continue;
    const route = routeOf(path, stack as unknown as readonly Middleware[]);
    for (const method of methods) routes.set(`${method} ${path}`, route);
  }
  const rest = router.routes() as unknown as Middleware;
  const toRoute: Middleware = (ctx, next) => {
    // Most targets are a path and nothing else, which need not be taken apart.
    const { method, url } = ctx.req;
    const route = routes.get(`${method} ${url}`) ?? routes.get(`${method} ${ctx.path}`) ?? rest;
    return route(ctx, next);
  };
  return Object.assign(toRoute, { router });
};

const routeOf =
  (path: string, stack: readonly Middleware[]): Middleware =>
  (ctx, next) => {
    (ctx as unknown as RouterContext)._matchedRoute = path;
    const from = (at: number): unknown => {
      const step = stack[at];
      return step === undefined ? next() : step(ctx, () => from(at + 1) as ReturnType<Next>);
    };
    return from(0);
  };
