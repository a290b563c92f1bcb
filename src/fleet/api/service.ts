/** The state of a fleet process, for what supervises and measures it; and the description of the reads. */
import { readFile } from 'node:fs/promises';
import { Gauge } from 'prom-client';
import { sql } from 'kysely';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { respondJson } from '../../api/respond.ts';
import { found, RecorderError } from '../../errors.ts';
import { Exposition, type Format, FORMATS } from '../../metrics/exposition.ts';
import type { FleetDependencies } from './dependencies.ts';
import { FLEET_DIFFERENCES, FLEET_WIDE, OWN_PATHS, OWN_SCHEMAS } from './own-description.ts';
import { admitted } from './reading.ts';
import type { FleetStreams } from './stream.ts';

/** The recorder's description of its API, beside the built program. */
const OPEN_API = new URL('openapi.json', import.meta.url);

/** The kinds of alarms that a scrape always shows. */
const ALARMS = ['log_diverged', 'machine_silent', 'clock_skew'];

/** @param paths the reads that the fleet has */
export const serviceRoutes = (
  dependencies: FleetDependencies,
  streams: FleetStreams,
  paths: readonly string[],
): readonly ApiRoute[] => {
  const metrics = metricsOf(dependencies, streams);
  let described: Promise<string> | undefined;
  return [
    {
      method: 'GET',
      path: '/readyz',
      handle: async (ctx) => {
        try {
          await sql`SELECT 1`.execute(dependencies.db);
          respondJson(ctx, 200, '{"status":"ok"}');
        } catch {
          ctx.set('Retry-After', '5');
          respondJson(ctx, 503, JSON.stringify({ status: 'degraded', reasons: ['the database does not answer'] }));
        }
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      handle: async (ctx) => {
        const principal = admitted(dependencies, ctx);
        if (principal !== undefined && principal.machines !== 'any')
          throw new RecorderError(
            'forbidden',
            `forbidden: metrics are about all machines, and ${principal.name} sees some`,
          );
        const format = (ctx.accepts(...FORMATS) || FORMATS[0]) as Format;
        ctx.body = await metrics.render(format);
        ctx.set('Content-Type', format);
        ctx.vary('Accept');
      },
    },
    {
      method: 'GET',
      path: '/api/v1/openapi.json',
      handle: async (ctx) => {
        described ??= readFile(OPEN_API, 'utf8').then((text) => JSON.stringify(descriptionOf(text, paths)));
        // Only a built program has it.
        respondJson(ctx, 200, found(await described.catch(() => undefined), 'description'));
      },
    },
  ];
};

function metricsOf({ db, clock, silentAfter }: FleetDependencies, streams: FleetStreams): Exposition {
  const exposition = new Exposition();
  const gauge = (name: string, help: string, read: () => Promise<number> | number): void => {
    const made = new Gauge({
      name: `incident_fleet_${name}`,
      help,
      registers: [],
      async collect() {
        this.set(await read());
      },
    });
    exposition.registry.registerMetric(made);
  };
  const count = async (query: ReturnType<typeof sql<{ count: number }>>): Promise<number> =>
    Number((await query.execute(db)).rows[0]?.count);
  gauge('machines', 'Machines that are enrolled.', () =>
    count(sql`SELECT count(*) AS count FROM machines WHERE revoked_at IS NULL`),
  );
  gauge('machines_silent', 'Machines that were not heard in time.', () =>
    count(sql`SELECT count(*) AS count FROM machines
      WHERE revoked_at IS NULL AND enrolled_at IS NOT NULL
        AND coalesce(heard_at, enrolled_at) < ${new Date(clock.now() - silentAfter).toISOString()}::timestamptz`),
  );
  gauge('entries_behind', 'Entries of machines that are not here yet, as far as that is known.', () =>
    count(sql`SELECT coalesce(sum(entries - through), 0) AS count FROM logs WHERE active AND entries > through`),
  );
  gauge('anchor_oldest_seconds', 'Of all machines with anchors, how long ago one has recorded its last.', () =>
    count(sql`SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.recorded_at)), 0)::float8 AS count
      FROM logs l JOIN machines m ON m.machine = l.machine WHERE l.active AND m.revoked_at IS NULL`),
  );
  const alarms = new Gauge({
    name: 'incident_fleet_alarms',
    help: 'Incidents of the fleet itself that are open and that nobody has acknowledged.',
    labelNames: ['kind'],
    registers: [],
    async collect() {
      const { rows } = await sql<{ kind: string; count: number }>`
        SELECT kind, count(*) AS count FROM fleet_incidents
        WHERE closed_at IS NULL AND acknowledged_at IS NULL GROUP BY kind`.execute(db);
      this.reset();
      for (const kind of new Set([...ALARMS, ...rows.map((row) => row.kind)]))
        this.set({ kind }, rows.find((row) => row.kind === kind)?.count ?? 0);
    },
  });
  exposition.registry.registerMetric(alarms);
  gauge('streams', 'Readers of the event stream of this process.', () => streams.readers);
  return exposition;
}

interface Description {
  readonly info: object;
  readonly paths: Readonly<Record<string, { readonly get?: Operation }>>;
}

interface Operation {
  readonly description?: string;
  readonly parameters?: readonly { readonly name: string }[];
  readonly responses?: Readonly<
    Record<string, { readonly content: { readonly 'application/json': { readonly schema: object } } }>
  >;
}

const MACHINE_PARAMETERS = [
  { name: 'machine', description: 'Only these machines.' },
  { name: 'site', description: 'Only machines with this label `site`.' },
].map(({ name, description }) => ({ in: 'query', name, description, schema: { type: 'string' } }));

/** The recorder's reads as the fleet has them: each also takes machines. */
function descriptionOf(text: string, paths: readonly string[]): object {
  const { info, paths: all, ...rest } = JSON.parse(text) as Description;
  const { components, ...others } = rest as { readonly components?: { readonly schemas?: object } };
  const shown = Object.entries(all).flatMap(([path, { get }]) => {
    if (get === undefined || !paths.includes(path.replaceAll(/\{(\w+)\}/g, ':$1'))) return [];
    const { parameters: differing = {}, description: differs } = FLEET_DIFFERENCES[path] ?? {};
    const own = (get.parameters ?? []).map((one) => ({ ...one, ...differing[one.name] }));
    const added = Object.entries(differing).filter(([name]) => !own.some((one) => one.name === name));
    const parameters = [...own, ...MACHINE_PARAMETERS, ...added.map(([name, one]) => ({ in: 'query', name, ...one }))];
    const description = differs === undefined ? {} : { description: `${get.description ?? ''} ${differs}`.trim() };
    return [[path, { get: { ...get, ...description, parameters, ...wideAnswer(path, get) } }]];
  });
  const described: Record<string, object> = Object.fromEntries(shown);
  for (const [path, operations] of Object.entries(OWN_PATHS)) described[path] = { ...described[path], ...operations };
  return {
    ...others,
    info: { ...info, title: 'Incident fleet' },
    components: { ...components, schemas: { ...components?.schemas, ...OWN_SCHEMAS } },
    paths: described,
  };
}

/** Both answers of a read that is about one machine or about all. */
function wideAnswer(path: string, { responses }: Operation): object {
  const wide = FLEET_WIDE[path];
  const ok = responses?.['200'];
  if (wide === undefined || ok === undefined) return {};
  const schema = { anyOf: [wide, ok.content['application/json'].schema] };
  return { responses: { ...responses, 200: { ...ok, content: { 'application/json': { schema } } } } };
}
