/** The incidents of all machines: the list, one of them, and what the log of its machine says of it. */
import { sql } from 'kysely';
import type { Context } from 'koa';
import type { State } from '../../../machines/vocabulary.ts';
import { historySchema, similarSchema } from '../../api/incidents/requests.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { evidenceWithheld } from '../../api/middleware/read-access.ts';
import { ID_REQUIRED, idSchema } from '../../api/request/fields.ts';
import { matchesTag } from '../../api/request/if-none-match.ts';
import { validate } from '../../api/request/validate.ts';
import { respondIncident, respondJson, respondJsonList } from '../../api/respond.ts';
import { DETAILS } from '../../domain/document.ts';
import type { Incident } from '../../domain/incident.ts';
import { shownIncident, shownLine } from '../../domain/withheld.ts';
import { writeExact } from '../../json/canonical-form.ts';
import type { JsonValue } from '../../json/exact-json.ts';
import { withAlike } from '../../query/collapsed-page.ts';
import { admits, hasOnly } from '../../query/list-query.ts';
import { CUT_EVIDENCE, CUT_NOTES } from '../../search/searched-incident.ts';
import type { FleetDatabase } from '../database.ts';
import { PlaceSeal } from './cursor.ts';
import type { FleetDependencies } from './dependencies.ts';
import { ANY_RANK } from '../read-models/created-counts.ts';
import { documentsOf, listWithMachines, withMachine } from './documents.ts';
import { collapsed, type CollapsedIncident, LOOKED_AT } from './collapsed.ts';
import { FleetList, type ListedIncident, placeOf } from './incident-list.ts';
import { allOf, anyText, type FleetQuery, foundBy, onCreation, onKinds, kindsOf, onOthers } from './list-filter.ts';
import { type FleetListQuery, nextLink, readFleetListQuery } from './list-query.ts';
import { MachinePolicies } from './machine-policy.ts';
import { readingIn } from './reading.ts';
import { historyOf, oneIncident, parameters } from './one-incident.ts';
import { scopeOf } from './scope.ts';
import { cutQuery } from './search-query.ts';
import { Silencing } from './silencing.ts';
import { CommonValues, similarTo } from './similar.ts';
import type { FleetTotals } from './totals.ts';

/** How many similar incidents are shown when nothing else is asked for. */
const SIMILAR = 20;
/** How many incidents are counted one by one for the total of a list. */
const MOST_COUNTED = 20_000;
export const incidentRoutes = (dependencies: FleetDependencies, totals: FleetTotals): readonly ApiRoute[] => {
  const { db, clock } = dependencies;
  const list = new FleetList(db, dependencies.few, dependencies.mostLookedAt);
  const places = new PlaceSeal(dependencies.signer);
  const policies = new MachinePolicies();
  const common = new CommonValues();
  return [
    {
      method: 'GET',
      path: '/api/v1/incidents',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const query = readFleetListQuery(reading, clock.now(), places);
        const silencing = query.attention && (await Silencing.read(db, query.attention, query.machines));
        const isCollapsed = query.collapsed === true;
        const page = await list.read(isCollapsed ? { ...query, limit: LOOKED_AT, bytes: Infinity } : query, silencing);
        const whole: Partial<ReturnType<typeof collapsed>> = isCollapsed ? collapsed(page.incidents, query.limit) : {};
        const incidents: readonly (ListedIncident & Partial<CollapsedIncident>)[] = whole.incidents ?? page.incidents;
        const [documents, unsearched, total] = await Promise.all([
          documentsOf(db, incidents),
          unsearchedIn(db, query),
          totalOf(dependencies, totals, query),
        ]);
        const next = whole.last === undefined ? page.next : placeOf(whole.last, query, page.head);
        if (unsearched.length > 0) ctx.set('Search-Incomplete', unsearched.join(', '));
        if (next !== undefined) ctx.set('Link', nextLink(ctx.path, ctx.querystring, places.write(next)));
        if (total !== undefined) ctx.set('X-Total-Count', String(total));
        const { reader } = reading;
        const shown = documents.map(({ machine, document, group }) => {
          const text = group === undefined ? document : Buffer.from(withAlike(Buffer.from(document), group)).toString();
          const json = shownIncident(text, reader);
          return { machine, json: query.isSummary === true ? withoutDetails(json) : json };
        });
        respondJson(ctx, 200, listWithMachines(shown));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/incidents/get',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const { id } = validate(idSchema, parameters(reading), 'parameter', ID_REQUIRED);
        const { machine, version, state, document } = await oneIncident(db, reading, id[0] ?? '');
        const shown = withMachine(machine, shownIncident(document, reading.reader));
        const { runbooks } = policies.read(await policyTextOf(db, machine));
        const runbook = runbooks[(JSON.parse(document) as Incident).class];
        const json = runbook === undefined ? shown : `${shown.slice(0, -1)},"runbook":${JSON.stringify(runbook)}}`;
        respondIncident(ctx, 200, { id: id[0] ?? '', version, state: state as State, json });
        // The runbook is the policy's: the version, which is the tag, stays the same when it changes.
        ctx.set('Cache-Control', runbook === undefined ? 'no-cache' : 'no-store');
        if (runbook !== undefined) return;
        if (matchesTag(ctx.get('If-None-Match'), ctx.response.get('ETag'))) ctx.status = 304;
      },
    },
    {
      method: 'GET',
      path: '/api/v1/incidents/history',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const { id, after } = validate(historySchema, parameters(reading), 'parameter', ID_REQUIRED);
        const incident = await oneIncident(db, reading, id[0] ?? '');
        const { lines, next } = await historyOf(db, incident, Number(after?.[0] ?? 0));
        if (next !== undefined) ctx.set('Link', nextPage(ctx, String(next)));
        respondJsonList(
          ctx,
          200,
          lines.map((line) => shownLine(Buffer.from(line), reading.reader)),
        );
      },
    },
    {
      method: 'GET',
      path: '/api/v1/incidents/similar',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const { id, limit } = validate(similarSchema, parameters(reading), 'parameter', ID_REQUIRED);
        if (!reading.reader.evidence) throw evidenceWithheld();
        const own = await oneIncident(db, reading, id[0] ?? '');
        // Those of other machines count as well, as far as the reader may see them.
        const { machines } = await scopeOf(db, '', reading.bounds);
        const found = await similarTo(db, own, machines, Number(limit?.[0] ?? SIMILAR), common);
        respondJsonList(
          ctx,
          200,
          found.map(({ machine, json, same }) =>
            Buffer.from(
              `{"machine":${JSON.stringify(machine)},"incident":${withMachine(machine, shownIncident(json, reading.reader))},"same":${writeExact(same as unknown as JsonValue)}}`,
            ),
          ),
        );
      },
    },
  ];
};

async function policyTextOf(db: FleetDatabase, machine: string): Promise<string | null> {
  const { rows } = await sql<{ policy_text: string | null }>`
    SELECT policy_text FROM machines WHERE machine = ${machine}`.execute(db);
  return rows[0]?.policy_text ?? null;
}

const nextPage = (ctx: Context, after: string): string => {
  const query = new URLSearchParams(ctx.querystring);
  query.set('after', after);
  return `<${ctx.path}?${query.toString()}>; rel="next"`;
};

const withoutDetails = (json: string): string => {
  // Made by the fleet itself. What a machine has written may be nothing that a recorder takes.
  const incident = JSON.parse(json) as Readonly<Record<string, JsonValue>>;
  return writeExact(
    Object.fromEntries(Object.entries(incident).filter(([name]) => !(DETAILS as readonly string[]).includes(name))),
  );
};

/** What a search does not look at. */
export async function unsearchedIn(db: FleetDatabase, query: FleetQuery): Promise<readonly string[]> {
  const { words = [], terms = [], evidence = false } = query;
  const unsearched: string[] = [];
  const isCut = async (mark: string): Promise<boolean> => {
    const { rows } = await sql`SELECT 1 FROM ${foundBy([cutQuery(mark)])} WHERE i.current
      ${query.machines === undefined ? sql`` : sql`AND i.machine = ${anyText(query.machines)}`} LIMIT 1`.execute(db);
    return rows.length > 0;
  };
  if (words.length > 0 && !evidence) unsearched.push('withheld');
  if (evidence && (words.length > 0 || terms.some(({ of }) => of === 'evidence')) && (await isCut(CUT_EVIDENCE))) {
    unsearched.push('evidence');
  }
  if (words.length > 0 && (await isCut(CUT_NOTES))) unsearched.push('notes');
  return unsearched;
}

const OF_KIND = ['classes', 'states', 'severities', 'machines'];

/** How many incidents a query admits, where that is known without looking at many. */
async function totalOf(
  { db }: FleetDependencies,
  totals: FleetTotals,
  query: FleetListQuery,
): Promise<number | undefined> {
  const { classes, states, severities, machines, attention } = query;
  const only = (...filters: string[]): boolean =>
    hasOnly(query as unknown as Parameters<typeof hasOnly>[0], ['machines', ...filters]);
  if (attention !== undefined && only('attention') && attention.needed === true && attention.silenced !== true) {
    return totals.attention(machines, attention.at);
  }
  if (only(...OF_KIND)) {
    const { population } = await totals.read(machines);
    return population.reduce((sum, one) => {
      const isAdmitted = admits(classes, one.class) && admits(states, one.state) && admits(severities, one.severity);
      return isAdmitted ? sum + one.count : sum;
    }, 0);
  }
  const isCounted =
    (query.sources.length > 0 && only(...OF_KIND, 'sources')) ||
    ((query.since ?? query.until) !== undefined && only('since', 'until'));
  if (!isCounted) return undefined;
  const times = onCreation(query);
  const inTime = times.length === 0 ? [] : [ANY_RANK, ...times];
  const conditions = [...onKinds(kindsOf(query)), ...inTime, ...onOthers(query)];
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM (
      SELECT 1 FROM incidents i WHERE i.current AND ${allOf(conditions)} LIMIT ${MOST_COUNTED + 1}
    ) AS few`.execute(db);
  const count = Number(rows[0]?.count);
  return count > MOST_COUNTED ? undefined : count;
}
