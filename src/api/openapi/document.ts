/**
 * The description of the API, OpenAPI 3.1. The build makes it from the schemas that validate requests and the
 * descriptions next to the routes; the service loads no part of it.
 */
import { createDocument } from 'zod-openapi';
import { VERSION } from '../../version.ts';
import { accessPaths } from '../access/access.openapi.ts';
import { archivePaths } from '../archive/archive.openapi.ts';
import { importPaths } from '../import/import.openapi.ts';
import { actPaths } from '../incidents/acts.openapi.ts';
import { bulkPaths } from '../incidents/bulk.openapi.ts';
import { commandPaths } from '../incidents/commands.openapi.ts';
import { containmentPaths } from '../containment/containment.openapi.ts';
import { eventPaths } from '../events/events.openapi.ts';
import { drillPaths } from '../drill/drill.openapi.ts';
import { heartbeatPaths } from '../heartbeat/heartbeat.openapi.ts';
import { bundlePaths } from '../bundle/bundle.openapi.ts';
import { fleetPaths } from '../fleet/fleet.openapi.ts';
import { forensicPaths } from '../forensic/forensic.openapi.ts';
import { healthPaths } from '../health/health.openapi.ts';
import { changesPaths } from '../incidents/changes.openapi.ts';
import { groupPaths } from '../incidents/groups.openapi.ts';
import { incidentPaths } from '../incidents/reads.openapi.ts';
import { logPaths } from '../log/log.openapi.ts';
import { metricsPaths } from '../health/metrics.openapi.ts';
import { openApiPaths } from '../openapi-json/openapi-json.openapi.ts';
import { policyPaths } from '../policy/policy.openapi.ts';
import { recoveryPaths } from '../recovery/recovery.openapi.ts';
import { reportPaths } from '../incidents/report.openapi.ts';
import { silencePaths } from '../silences/silences.openapi.ts';
import { statechartPaths } from '../statecharts/statecharts.openapi.ts';
import { statsPaths } from '../stats/stats.openapi.ts';
import { webhookPaths } from '../webhooks/webhooks.openapi.ts';

export const openApiDocument = () =>
  createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Incident recorder',
      version: VERSION,
      description:
        'Records, contains and follows up security incidents on a hardened machine that runs AI agents and models. ' +
        'Every change needs the token; reading does not, unless the service is configured so (READ_ACCESS). `HEAD` works ' +
        'where `GET` does. Any request may carry `Recorder-Challenge: nonce=…; key=…`: the response then carries ' +
        '`Recorder-Proof`, by which the recorder shows that it knows the token.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: 'http://127.0.0.1:8515', description: 'The loopback, unless BIND_ADDR says otherwise.' }],
    tags: [
      { name: 'incidents', description: 'Report, work and read incidents.' },
      {
        name: 'recovery',
        description: 'What must be done before an incident may be resolved, where its rule says so.',
      },
      { name: 'containment', description: 'The containment actions, and whether they are in force.' },
      {
        name: 'statecharts',
        description: 'The states of incidents and deliveries, and what leads from one to another.',
      },
      { name: 'service', description: 'The service itself.' },
    ],
    security: [{ token: [] }],
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'The service token, which is in a file on this machine.',
        },
      },
    },
    paths: {
      ...reportPaths,
      ...commandPaths,
      ...actPaths,
      ...bulkPaths,
      ...recoveryPaths,
      ...incidentPaths,
      ...changesPaths,
      ...groupPaths,
      ...statsPaths,
      ...eventPaths,
      ...containmentPaths,
      ...statechartPaths,
      ...silencePaths,
      ...webhookPaths,
      ...heartbeatPaths,
      ...drillPaths,
      ...policyPaths,
      ...accessPaths,
      ...archivePaths,
      ...importPaths,
      ...logPaths,
      ...fleetPaths,
      ...forensicPaths,
      ...bundlePaths,
      ...healthPaths,
      ...metricsPaths,
      ...openApiPaths,
    },
  });
