import type Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import type { Entry } from '../../audit/entry.ts';
import { RecorderError } from '../../errors.ts';
import { IncidentPath } from '../../incidents/incident-path.ts';
import { type Drawing, type Drawings, drawings } from '../../statecharts/drawings.ts';
import { CHART_FORMATS, formatChart } from '../../statecharts/formats.ts';
import { MACHINES } from '../../statecharts/machines.ts';
import { incidentSvg } from '../../statecharts/svg.ts';
import { answerJson, answerText } from '../respond.ts';
import type { HistoryPage } from '../../incidents/incident-reads.ts';
import type { ApiParts } from '../dependencies.ts';
import { parseQuery } from '../request/query.ts';
import { idSchema, machineSchema, nothingSchema, statechartSchema } from '../request/fields.ts';
import { validate } from '../request/validate.ts';

/** The statecharts, and where an incident is in its own. */
export const addStatechartRoutes = (
  router: Router,
  large: Middleware,
  { incidents }: Pick<ApiParts, 'incidents'>,
): void => {
  let drawn: Promise<Drawings> | undefined;
  const drawingOf = async (name: string): Promise<Drawing> => (await (drawn ??= drawings()))[name]!;

  router.get('/api/v1/machines', (ctx) => {
    validate(nothingSchema, parseQuery(ctx.querystring), 'parameter');
    const list = Object.entries(MACHINES).map(([name, machine]) => ({
      name,
      states: Object.keys(machine.states),
      events: machine.events,
      formats: CHART_FORMATS,
    }));
    answerJson(ctx, 200, JSON.stringify(list));
  });

  for (const [name, machine] of Object.entries(MACHINES)) {
    router.get(`/api/v1/machines/${name}`, async (ctx) => {
      const { format } = validate(machineSchema, parseQuery(ctx.querystring), 'parameter');
      const { mediaType, text } = await formatChart(machine, format?.[0] ?? 'json', () => drawingOf(name));
      answerText(ctx, 200, mediaType, text);
    });
  }

  router.get('/api/v1/incidents/transitions', (ctx) => {
    const { id } = validate(idSchema, parseQuery(ctx.querystring), 'parameter', 'id parameter required');
    const incident = id[0] ?? '';
    answerJson(ctx, 200, JSON.stringify({ id: incident, ...found(incidents.transitions(incident)) }));
  });

  router.get('/api/v1/incidents/statechart', large, async (ctx) => {
    const { id, version } = askedFor(ctx);
    const walk = await walkThrough(incidents, id, ctx.res, version);
    if (version !== undefined && walk.version !== version) {
      throw new RecorderError('not_found', `the incident is at version ${walk.version}`);
    }
    const title = `Incident ${id} at version ${walk.version}`;
    answerText(ctx, 200, 'image/svg+xml', incidentSvg(title, await drawingOf('incident'), walk.whereabouts));
  });
};

/** The way of an incident up to a version, or up to now; as far as it has got when the client leaves. */
const walkThrough = async (
  incidents: ApiParts['incidents'],
  id: string,
  response: Context['res'],
  version = Infinity,
): Promise<IncidentPath> => {
  const walk = new IncidentPath();
  let after: number | undefined = 0;
  while (after !== undefined && walk.version < version && !response.closed) {
    const page: HistoryPage = found(await incidents.history(id, after));
    for (const line of page.lines) if (walk.version < version) walk.take(JSON.parse(line.toString()) as Entry);
    after = page.next;
  }
  return walk;
};

const askedFor = ({ querystring }: Context): { readonly id: string; readonly version?: number } => {
  const { id, version } = validate(statechartSchema, parseQuery(querystring), 'parameter', 'id parameter required');
  return { id: id[0] ?? '', ...(version?.[0] !== undefined && { version: Number(version[0]) }) };
};

const found = <T>(value: T | undefined): T => {
  if (value === undefined) throw new RecorderError('not_found', 'incident not found');
  return value;
};
