import type { Context } from 'koa';
import { systemClock } from '../../clock.ts';
import { found, RecorderError } from '../../errors.ts';
import { IncidentPath } from '../../query/incident-path.ts';
import type { HistoryPage } from '../../incidents/incident-reads.ts';
import type { Drawing } from '../../statecharts/chart.ts';
import { type Drawings, drawings } from '../../statecharts/drawings.ts';
import { CHART_FORMATS, formatChart } from '../../statecharts/formats.ts';
import { MACHINES } from '../../statecharts/machines.ts';
import { incidentSvg } from '../../statecharts/svg.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { Admission } from '../middleware/admission.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { ID_REQUIRED, idSchema, nothingSchema } from '../request/fields.ts';
import { readParameters } from '../request/read.ts';
import { respondJson, respondText } from '../respond.ts';
import { turnsOf } from '../server/peer.ts';
import { machineSchema, statechartSchema } from './requests.ts';
import { readEntry } from '../../domain/entries.ts';

/** The statecharts, and where an incident is in its own. */
export const statechartRoutes = (
  { incidents }: Pick<ApiDependencies, 'incidents'>,
  { large }: Pick<Admission, 'large'>,
): readonly ApiRoute[] => {
  let drawn: Promise<Drawings> | undefined;
  const drawingOf: DrawingOf = async (name) => (await (drawn ??= drawings()))[name]!;
  return [
    { method: 'GET', path: '/api/v1/machines', handle: listMachines },
    ...chartRoutes('/api/v1/machines', drawingOf),
    {
      method: 'GET',
      path: '/api/v1/incidents/transitions',
      handle: (ctx) => {
        const id = readParameters(ctx, idSchema, ID_REQUIRED).id[0] ?? '';
        respondJson(ctx, 200, JSON.stringify({ id, ...found(incidents.transitions(id)) }));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/incidents/statechart',
      before: large,
      handle: async (ctx) => {
        const { id, version } = requestedVersion(ctx);
        requireDrawable(found(incidents.get(id)).version, version);
        const path = await pathOf(incidents, id, ctx, version);
        if (version !== undefined && path.version !== version) {
          throw new RecorderError('not_found', `the incident is at version ${path.version}`);
        }
        const title = `Incident ${id} at version ${path.version}`;
        respondText(ctx, 200, 'image/svg+xml', incidentSvg(title, await drawingOf('incident'), path.whereabouts));
      },
    },
  ];
};

/** The drawing of the machine of this name. The first call draws all of them. */
type DrawingOf = (name: string) => Promise<Drawing>;

const listMachines = (ctx: Context): void => {
  readParameters(ctx, nothingSchema);
  const list = Object.entries(MACHINES).map(([name, machine]) => ({
    name,
    states: Object.keys(machine.states),
    events: machine.events,
    formats: CHART_FORMATS,
  }));
  respondJson(ctx, 200, JSON.stringify(list));
};

/**
 * Each machine in the format that is asked for.
 * @param base the path before its name
 */
export const chartRoutes = (base: string, drawingOf: DrawingOf): readonly ApiRoute[] =>
  Object.entries(MACHINES).map(([name, machine]) => ({
    method: 'GET',
    path: `${base}/${name}`,
    handle: async (ctx) => {
      const { format } = readParameters(ctx, machineSchema);
      const { mediaType, text } = await formatChart(machine, format?.[0] ?? 'json', () => drawingOf(name));
      respondText(ctx, 200, mediaType, text);
    },
  }));

const requestedVersion = (ctx: Context): { readonly id: string; readonly version?: number } => {
  const { id, version } = readParameters(ctx, statechartSchema, ID_REQUIRED);
  return { id: id[0] ?? '', ...(version?.[0] !== undefined && { version: Number(version[0]) }) };
};

/** How many entries about an incident are read for a drawing: each takes a tenth of a millisecond. */
const MOST_ENTRIES = 5000;

const requireDrawable = (last: number, version = last): void => {
  if (Math.min(last, version) <= MOST_ENTRIES) return;
  const message = `the incident has ${last} entries: name a version up to ${MOST_ENTRIES} to draw it at`;
  throw new RecorderError('invalid_request', message);
};

/** For how long entries are taken before others have their turn, in milliseconds. */
const SLICE = 8;

/** The path of an incident up to a version, or up to now. It ends early when the client leaves. */
const pathOf = async (
  incidents: ApiDependencies['incidents'],
  id: string,
  { req, res: response }: Pick<Context, 'req' | 'res'>,
  version = Infinity,
): Promise<IncidentPath> => {
  const path = new IncidentPath();
  const turn = turnsOf(req);
  let after: number | undefined = 0;
  while (after !== undefined && path.version < version && !response.closed) {
    const page: HistoryPage = found(await incidents.history(id, after, turn));
    // The last line was verified just now.
    let began = -Infinity;
    for (const line of page.lines) {
      if (path.version >= version) break;
      if (systemClock.monotonic() - began > SLICE) {
        // A trusted peer's turn comes at once.
        await new Promise(setImmediate);
        await turn();
        began = systemClock.monotonic();
      }
      path.take(readEntry(line.toString()));
    }
    after = page.next;
  }
  return path;
};
