import Router from '@koa/router';
import Koa, { type Context } from 'koa';
import { authentication } from './middleware/authentication.ts';
import { checks } from './middleware/checks.ts';
import { contentType } from './middleware/content-type.ts';
import { errors } from './middleware/errors.ts';
import { exactRoutes } from './middleware/routing.ts';
import { fewAtATime } from './middleware/concurrency-limit.ts';
import { hostGuard } from './middleware/host-guard.ts';
import { jsonBody } from './middleware/json-body.ts';
import { requestCount } from './middleware/request-count.ts';
import { requestLog } from './middleware/request-log.ts';
import { requestTarget } from './middleware/request-target.ts';
import { responseHeaders } from './middleware/response-headers.ts';
import { unmatched } from './middleware/unmatched.ts';
import type { ApiParts } from './dependencies.ts';
import { addArchiveRoute } from './archive/routes.ts';
import { addCommandRoutes } from './incidents/commands.ts';
import { addContainmentRoutes } from './containment/routes.ts';
import { addEventsRoute } from './events/routes.ts';
import { addConsoleRoutes } from './console/routes.ts';
import { addHealthRoutes } from './health/routes.ts';
import { addIncidentRoutes } from './incidents/reads.ts';
import { addMetricsRoute } from './health/metrics.ts';
import { addOpenApiRoute } from './openapi-json/routes.ts';
import { addPolicyRoute } from './policy/routes.ts';
import { addReloadRoute } from './policy/reload.ts';
import { addReportRoute } from './incidents/report.ts';
import { addStatechartRoutes } from './statecharts/routes.ts';
import { addStatsRoute } from './stats/routes.ts';

/**
 * The REST API as a Koa application.
 *
 * From the outside in, a request meets: the log, the errors, the common headers, the form of the target, the guard of the
 * host, the route. A command also meets authentication, before anything of its body is read, then the type of the body,
 * then the body; a request for a large answer waits for its turn.
 */
export const createApp = (parts: ApiParts): Koa => {
  const authenticated = authentication(parts.token);
  const command = [checks(authenticated, contentType()), jsonBody()];
  const large = fewAtATime();

  const router = new Router({ sensitive: true, strict: true });
  addHealthRoutes(router, parts);
  addMetricsRoute(router, parts);
  addIncidentRoutes(router, large, parts);
  addReportRoute(router, command, parts);
  addCommandRoutes(router, command, parts);
  addStatsRoute(router, parts);
  addEventsRoute(router, parts);
  addStatechartRoutes(router, large, parts);
  addPolicyRoute(router, parts);
  addReloadRoute(router, checks(authenticated), parts);
  addArchiveRoute(router, command, parts);
  addContainmentRoutes(router, command, parts);
  addOpenApiRoute(router, parts);
  addConsoleRoutes(router, parts);

  const app = new Koa({ env: 'production' });
  app.use(requestLog(parts));
  app.use(requestCount(parts));
  app.use(errors(parts.log));
  app.use(checks(responseHeaders(), requestTarget(), hostGuard(parts)));
  app.use(exactRoutes(router));
  app.use(unmatched());

  // What reaches Koa itself went wrong while the answer was being sent; most often the client has left.
  app.on('error', (err: Error, ctx: Context) => {
    const fields = { id: ctx.state.requestId, err };
    if (ctx.req.socket.destroyed) parts.log.debug(fields, 'client left');
    else parts.log.error(fields, 'answer failed');
  });
  return app;
};
