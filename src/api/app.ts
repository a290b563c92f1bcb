import Koa, { type Context } from 'koa';
import { accessRoutes } from './access/routes.ts';
import { archiveRoutes } from './archive/routes.ts';
import { consoleRoutes } from './console/routes.ts';
import { containmentRoutes } from './containment/routes.ts';
import type { ApiDependencies } from './dependencies.ts';
import { eventRoutes } from './events/routes.ts';
import { bundleRoutes } from './bundle/routes.ts';
import { fleetRoutes } from './fleet/routes.ts';
import { forensicRoutes } from './forensic/routes.ts';
import { metricsRoutes } from './health/metrics.ts';
import { drillRoutes } from './drill/routes.ts';
import { heartbeatRoutes } from './heartbeat/routes.ts';
import { healthRoutes } from './health/routes.ts';
import { importRoutes } from './import/routes.ts';
import { actRoutes } from './incidents/acts.ts';
import { bulkRoutes } from './incidents/bulk.ts';
import { commandRoutes } from './incidents/commands.ts';
import { changesRoutes } from './incidents/changes.ts';
import { groupRoutes } from './incidents/groups.ts';
import { incidentRoutes } from './incidents/reads.ts';
import { batchRoutes } from './incidents/report-batch.ts';
import { reportRoutes } from './incidents/report.ts';
import { logRoutes } from './log/routes.ts';
import { admission } from './middleware/admission.ts';
import { checks } from './middleware/checks.ts';
import { exchange } from './middleware/exchange.ts';
import { hostGuard } from './middleware/host-guard.ts';
import { readAccess } from './middleware/read-access.ts';
import { reading } from './middleware/reading.ts';
import { requestTarget } from './middleware/request-target.ts';
import { responseHeaders } from './middleware/response-headers.ts';
import { type ApiRoute, routing } from './middleware/routing.ts';
import { unmatched } from './middleware/unmatched.ts';
import { openApiRoutes } from './openapi-json/routes.ts';
import { policyRoutes } from './policy/routes.ts';
import { recoveryRoutes } from './recovery/routes.ts';
import { silenceRoutes } from './silences/routes.ts';
import { statechartRoutes } from './statecharts/routes.ts';
import { statisticsRoutes } from './stats/routes.ts';
import { webhookRoutes } from './webhooks/routes.ts';

/** Every route of the API. */
export const routesOf = (dependencies: ApiDependencies): readonly ApiRoute[] => {
  const admissions = admission(dependencies);
  return [
    healthRoutes,
    metricsRoutes,
    incidentRoutes,
    changesRoutes,
    groupRoutes,
    reportRoutes,
    batchRoutes,
    commandRoutes,
    actRoutes,
    bulkRoutes,
    recoveryRoutes,
    statisticsRoutes,
    eventRoutes,
    statechartRoutes,
    policyRoutes,
    accessRoutes,
    archiveRoutes,
    importRoutes,
    logRoutes,
    fleetRoutes,
    forensicRoutes,
    bundleRoutes,
    containmentRoutes,
    webhookRoutes,
    silenceRoutes,
    heartbeatRoutes,
    drillRoutes,
    openApiRoutes,
    consoleRoutes,
  ].flatMap((routes) => routes(dependencies, admissions));
};

/**
 * The REST API as a Koa application. From the outside in, a request passes its line in the log and its errors, the common
 * headers, the form of its target, the guards of host and reads, and its route, with what that route asks for before it
 * (`Admission`).
 */
export const createApp = (dependencies: ApiDependencies): Koa => {
  const { log } = dependencies;
  const app = new Koa({ env: 'production' });
  app.use(exchange(dependencies));
  app.use(
    checks(
      responseHeaders(),
      requestTarget(),
      hostGuard(dependencies),
      readAccess(dependencies),
      reading(dependencies),
    ),
  );
  app.use(routing(routesOf(dependencies)));
  app.use(unmatched());

  // Errors reach Koa itself while a response is sent; most often because the client has left.
  app.on('error', (err: Error, ctx: Context) => {
    const fields = { id: ctx.state.requestId, err };
    if (ctx.req.socket.destroyed) log.debug(fields, 'client left');
    else log.error(fields, 'answer failed');
  });
  return app;
};
