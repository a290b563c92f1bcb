/** The REST API of the fleet as a Koa application: the machines' routes, and those for people in `api/`. */
import Koa, { type Context, type Middleware } from 'koa';
import { checks } from '../api/middleware/checks.ts';
import { errors } from '../api/middleware/errors.ts';
import { requestTarget } from '../api/middleware/request-target.ts';
import { responseHeaders } from '../api/middleware/response-headers.ts';
import { type ApiRoute, routing } from '../api/middleware/routing.ts';
import { unmatched } from '../api/middleware/unmatched.ts';
import { pageRoutes } from '../api/console/routes.ts';
import { readRoutes } from './api/routes.ts';
import { namingScope } from './api/scope.ts';
import type { FleetDependencies } from './api/dependencies.ts';
import { isUnreachable, isUnstorable, whyUnreachable } from './database.ts';
import { RecorderError } from '../errors.ts';

/** The console, which the recorder serves too, with the fleet's page. */
const consoleRoutes = ({ console }: FleetDependencies): readonly ApiRoute[] =>
  console === undefined ? [] : pageRoutes({ console }, 'fleet.html');

/** From the outside in, a request passes the errors, the common headers, the form of its target, and its route. */
export function createFleetApp(dependencies: FleetDependencies, machineRoutes: readonly ApiRoute[]): Koa {
  const { log } = dependencies;
  const app = new Koa({ env: 'production' });
  app.use(errors(log));
  app.use(databaseErrors());
  app.use(checks(responseHeaders(), requestTarget()));
  const reads = readRoutes(dependencies).map((route) => ({ ...route, before: [scopeNamed, ...(route.before ?? [])] }));
  app.use(routing([...machineRoutes, ...reads, ...consoleRoutes(dependencies)]));
  app.use(unmatched());
  app.on('error', (err: Error, ctx: Context) => {
    if (ctx.req.socket.destroyed) log.debug({ err }, 'client left');
    else log.error({ err }, 'answer failed');
  });
  return app;
}

const scopeNamed: Middleware = async (_ctx, next) => {
  try {
    await next();
  } catch (error) {
    throw namingScope(error);
  }
};

/**
 * While the database is gone or full, clients are to come back: 503, not 500. A value that no column can hold is the client's
 * fault: 400.
 */
const databaseErrors = (): Middleware => async (ctx, next) => {
  try {
    await next();
  } catch (cause) {
    // What machines send is made storable before.
    if (ctx.method !== 'PUT' && isUnstorable(cause))
      throw new RecorderError('invalid_request', 'a value that is too large, or has a NUL', { cause });
    if (!isUnreachable(cause)) throw cause;
    throw new RecorderError('log_unavailable', `${whyUnreachable(cause)}; nothing was stored`, { cause });
  }
};
