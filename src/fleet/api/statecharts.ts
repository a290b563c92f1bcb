/** Where an incident is in its statechart, what each event would do to it, and the way that it took. */
import { transitionsIn } from '../../../machines/decision.ts';
import type { IncidentContext } from '../../../machines/incident.ts';
import type { State } from '../../../machines/vocabulary.ts';
import { ID_REQUIRED, idSchema } from '../../api/request/fields.ts';
import { validate } from '../../api/request/validate.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { chartRoutes } from '../../api/statecharts/routes.ts';
import { statechartSchema } from '../../api/statecharts/requests.ts';
import { respondJson, respondText } from '../../api/respond.ts';
import { readEntry } from '../../domain/entries.ts';
import { RecorderError } from '../../errors.ts';
import { IncidentPath } from '../../query/incident-path.ts';
import { type Drawings, drawings } from '../../statecharts/drawings.ts';
import { incidentSvg } from '../../statecharts/svg.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { historyOf, type OneIncident, oneIncident, parameters } from './one-incident.ts';
import { readingIn } from './reading.ts';

/** How many entries about an incident are read for a drawing. */
const MOST_ENTRIES = 5000;

export const statechartRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => {
  const { db } = dependencies;
  let drawn: Promise<Drawings> | undefined;
  return [
    // `/api/v1/machines` are the machines of the fleet.
    ...chartRoutes('/api/v1/statecharts', async (name) => (await (drawn ??= drawings()))[name]!),
    {
      method: 'GET',
      path: '/api/v1/incidents/transitions',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const [id = ''] = validate(idSchema, parameters(reading), 'parameter', ID_REQUIRED).id;
        const incident = await oneIncident(db, reading, id);
        const state = incident.state as State;
        const context = JSON.parse(incident.context) as IncidentContext;
        const transitions = transitionsIn({ value: state, context });
        respondJson(ctx, 200, JSON.stringify({ id, machine: incident.machine, state, transitions }));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/incidents/statechart',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const { id: ids, version: versions } = validate(
          statechartSchema,
          parameters(reading),
          'parameter',
          ID_REQUIRED,
        );
        const id = ids[0] ?? '';
        const version = versions?.[0] === undefined ? undefined : Number(versions[0]);
        const incident = await oneIncident(db, reading, id);
        if (Math.min(incident.version, version ?? incident.version) > MOST_ENTRIES) {
          const message = `the incident has ${incident.version} entries: name a version up to ${MOST_ENTRIES} to draw it at`;
          throw new RecorderError('invalid_request', message);
        }
        const path = await pathOf(db, incident, version);
        if (version !== undefined && path.version !== version) {
          throw new RecorderError('not_found', `the incident is at version ${path.version}`);
        }
        const { incident: drawing } = await (drawn ??= drawings());
        const title = `Incident ${id} on ${incident.machine} at version ${path.version}`;
        respondText(ctx, 200, 'image/svg+xml', incidentSvg(title, drawing!, path.whereabouts));
      },
    },
  ];
};

/** The path of an incident up to a version, or up to now. */
async function pathOf(db: FleetDatabase, incident: OneIncident, version = Infinity): Promise<IncidentPath> {
  const path = new IncidentPath();
  for (let after: number | undefined = 0; after !== undefined && path.version < version;) {
    const page = await historyOf(db, incident, after);
    for (const line of page.lines) {
      if (path.version >= version) break;
      follow(path, incident.machine, line);
    }
    after = page.next;
    // Others get their turn.
    await new Promise(setImmediate);
  }
  return path;
}

/** @throws RecorderError `conflict` for an entry that no recorder has written: what the machine has sent is no path */
function follow(path: IncidentPath, machine: string, line: string): void {
  const entry = readEntry(line);
  try {
    path.take(entry);
  } catch (cause) {
    const why = cause instanceof RecorderError ? cause.message : `entry ${entry.data.seq} makes no sense`;
    throw new RecorderError('conflict', `the log of ${machine} contradicts itself: ${why}`, { cause });
  }
}
