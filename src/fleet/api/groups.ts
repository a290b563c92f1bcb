/**
 * Incidents of all machines in groups: those of the same class and source, or of whatever else a request names, `machine`
 * among it. Of few incidents each is looked at, as in the recorder; of many the database counts, up to a bound, and
 * assignees and containment are left out.
 */
import { sql } from 'kysely';
import type { State } from '../../../machines/vocabulary.ts';
import { writeGroupsCursor } from '../../api/incidents/cursor.ts';
import { readGroupsQuery } from '../../api/incidents/groups-query.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { respondJson } from '../../api/respond.ts';
import type { Incident } from '../../domain/incident.ts';
import { CONTAINMENT_COLUMN, CONTAINMENT_STATUS } from '../../domain/incident-columns.ts';
import {
  Details,
  type Group,
  GroupCounts,
  type Grouped,
  type GroupsQuery,
  type IncidentGroup,
  shownGroup,
  statisticsOfGroup,
} from '../../query/incident-groups.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetDependencies } from './dependencies.ts';
import { documentsOf, type IncidentKey } from './documents.ts';
import { unsearchedIn } from './incidents.ts';
import { FleetList, type GatheredIncident } from './incident-list.ts';
import {
  allOf,
  anyText,
  type Condition,
  type FleetQuery,
  kindsOf,
  onCreation,
  onKinds,
  onOthers,
} from './list-filter.ts';
import { branchesOf, partsOfRanks } from './list-order.ts';
import { nextLink } from './list-query.ts';
import { type Reading, readingIn } from './reading.ts';
import { wantedIn } from './search-query.ts';
import { Silencing } from './silencing.ts';

/** Of how many groups the newest incident is read at once: each may be long. */
const SHOWN_AT_ONCE = 64;
/** How many incidents the database counts for one answer. */
const MOST_COUNTED = 10_000;
/** The same where words are searched, as they are read for each; and in groups of machines, which are many. */
const [MOST_SEARCHED, MOST_OF_MACHINES] = [2000, 5000];
/** Of so many or fewer each is looked at. */
const FEW = 2000;

/** An incident as it is grouped. */
interface Outline extends Grouped, IncidentKey {
  readonly number: number;
  readonly created_at: Date;
  readonly drill: number;
}

export const groupRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] => {
  const { db, clock } = dependencies;
  const list = new FleetList(db, Math.min(dependencies.few ?? FEW, FEW));
  const route = (
    path: string,
    withoutDrills: boolean,
    show: (group: IncidentGroup) => Partial<IncidentGroup>,
  ): ApiRoute => ({
    method: 'GET',
    path,
    handle: async (ctx) => {
      const reading = await readingIn(dependencies, ctx);
      const { byMachine, ...query } = readFleetGroups(reading, clock.now());
      const filter: FleetQuery = { ...query.filter, machines: reading.machines };
      const by = byMachine ? ([...query.by, 'machine'] as unknown as GroupsQuery['by']) : query.by;
      const page = await readGroups(db, list, { ...query, by, filter, withoutDrills, isBare: withoutDrills });
      const unsearched = await unsearchedIn(db, filter);
      if (unsearched.length > 0) ctx.set('Search-Incomplete', unsearched.join(', '));
      ctx.set('X-Total-Count', String(page.incidents));
      ctx.set('X-Group-Count', String(page.total));
      ctx.set('X-Complete', String(page.isComplete));
      const skip = query.skip + query.limit;
      if (skip < page.total) {
        ctx.set('Link', nextLink(ctx.path, ctx.querystring, writeGroupsCursor({ skip, head: page.head })));
      }
      respondJson(ctx, 200, JSON.stringify(page.groups.map(show)));
    },
  });
  return [
    route('/api/v1/incidents/groups', false, (group) => group),
    route('/api/v1/stats/groups', true, statisticsOfGroup),
  ];
};

/** The recorder's parameters, and `machine` among the members of `by`. @throws RecorderError `invalid_request` */
function readFleetGroups({ query, reader }: Reading, now: number): GroupsQuery & { readonly byMachine: boolean } {
  const parameters = new URLSearchParams(query);
  const by = parameters.getAll('by').flatMap((text) => text.split(','));
  const others = by.filter((name) => name !== 'machine' && name !== '');
  const byMachine = by.includes('machine');
  if (byMachine) {
    parameters.delete('by');
    if (others.length > 0) parameters.append('by', others.join(','));
  }
  const read = readGroupsQuery(parameters.toString(), now, reader);
  return { ...read, by: byMachine && others.length === 0 ? [] : read.by, byMachine };
}

interface Page {
  readonly groups: readonly IncidentGroup[];
  readonly incidents: number;
  readonly total: number;
  readonly isComplete: boolean;
  readonly head: number;
}

type Query = Omit<GroupsQuery, 'filter'> & { readonly filter: FleetQuery };

async function readGroups(db: FleetDatabase, list: FleetList, query: Query): Promise<Page> {
  const { filter } = query;
  const silencing = filter.attention && (await Silencing.read(db, filter.attention, filter.machines));
  const few = await list.few({ ...filter, sort: 'severity' }, silencing);
  return few === undefined ? counted(db, query, silencing) : lookedAt(db, query, few);
}

/** Looks at each incident. They are given the worst first, then the newest, which is the order of assignees as well. */
async function lookedAt(db: FleetDatabase, query: Query, incidents: readonly GatheredIncident[]): Promise<Page> {
  const outlines = incidents
    .filter(({ drill }) => query.withoutDrills !== true || drill === 0)
    .map((row) => ({ ...row, containment: CONTAINMENT_STATUS[row.containment] ?? null }) as Outline);
  const byNumber = query.filter.machines?.length === 1;
  const head = query.head ?? (byNumber ? Math.max(0, ...outlines.map(({ number }) => number)) : 0);
  const seen = head === 0 ? outlines : outlines.filter(({ number }) => number <= head);
  const inTime = seen.toSorted((one, other) =>
    byNumber ? one.number - other.number : one.created_at.getTime() - other.created_at.getTime() || compare(one, other),
  );
  const places = new Map(inTime.map((outline, at) => [outline, at]));
  const groups = new GroupCounts(query.by);
  for (const outline of seen) {
    const at = places.get(outline)!;
    const group = groups.add({ ...outline, count: 1, first: at, last: at });
    if (group === undefined || outline.state === 'resolved' || query.isBare === true) continue;
    (group.details ??= new Details()).add(outline);
  }
  const page = groups.inOrder().slice(query.skip, query.skip + query.limit);
  return {
    groups: await shown(
      db,
      page,
      (at) => inTime[at]!.created_at.toISOString(),
      (at) => inTime[at]!,
    ),
    incidents: groups.incidents,
    total: groups.size,
    isComplete: !groups.isFull,
    head,
  };
}

const compare = (one: IncidentKey, other: IncidentKey): number =>
  one.machine === other.machine ? (one.id < other.id ? -1 : 1) : one.machine < other.machine ? -1 : 1;

/** Lets the database count, of the newest incidents. The newest of a group is one that was created last. */
async function counted(db: FleetDatabase, query: Query, silencing: Silencing | undefined): Promise<Page> {
  const { filter, by } = query;
  const isOfMachines = (by as readonly string[]).includes('machine');
  const most = wantedIn(filter) !== undefined ? MOST_SEARCHED : isOfMachines ? MOST_OF_MACHINES : MOST_COUNTED;
  const rest = { ...filter };
  // The parts have nothing else.
  delete rest.attention;
  const conditions = [...onKinds(kindsOf(rest)), ...onOthers(rest)];
  const scope = [
    ...onCreation(filter),
    ...(filter.machines === undefined ? [] : [sql`i.machine = ${anyText(filter.machines)}`]),
    ...(silencing?.conditions ?? []),
    ...(query.withoutDrills === true ? [sql`i.drill = 0`] : []),
  ];
  const members = (by as readonly string[]).filter((name) => name !== 'severity' && name !== 'state');
  const columns = [...members.map((name) => sql.ref(name)), sql`state`, sql`rank`];
  // The index has all that is looked at, in most orders.
  const needed = [...new Set(['created_at', 'state', 'rank', ...members, ...columnsIn(rest)])].map((one) =>
    sql.ref(one),
  );
  const newestOfPart = (part: Condition) => sql`(
    SELECT ${sql.join(needed)} FROM incidents i WHERE i.current AND ${allOf([part, ...scope])}
    ORDER BY created_at DESC LIMIT ${sql.lit(most)})`;
  const { rows: all } = await sql<Record<string, unknown>>`
    SELECT ${sql.join(columns)}, count(*) AS looked, count(*) FILTER (WHERE admitted) AS count,
      min(created_at) FILTER (WHERE admitted) AS first, max(created_at) FILTER (WHERE admitted) AS last
    FROM (
      SELECT i.*, ${allOf(conditions)} AS admitted
      FROM (
        SELECT * FROM (${sql.join(partsOf(filter).map(newestOfPart), sql` UNION ALL `)}) AS u
        ORDER BY created_at DESC LIMIT ${sql.lit(most)}
      ) AS i OFFSET 0
    ) AS few GROUP BY ${sql.join(columns)}`.execute(db);
  const rows = all.filter(({ count }) => Number(count) > 0);
  const looked = all.reduce((sum, row) => sum + Number(row.looked), 0);
  const groups = new GroupCounts(by);
  const newest = new Map<Group, Record<string, unknown>>();
  for (const row of rows) {
    const at = row.last as Date;
    const group = groups.add({
      ...(row as unknown as Grouped & { readonly state: State }),
      count: Number(row.count),
      first: (row.first as Date).getTime(),
      last: at.getTime(),
    });
    if (group !== undefined && at > ((newest.get(group)?.last as Date | undefined) ?? new Date(0)))
      newest.set(group, row);
  }
  const page = groups.inOrder().slice(query.skip, query.skip + query.limit);
  const keys = await newestOf(
    db,
    page.map((group) => newest.get(group)!),
    [...members, 'state'],
    [...conditions, ...scope, ...(filter.attention?.needed === true ? [sql`i.attention`] : [])],
  );
  const keyOf = new Map(page.map((group, place) => [group, keys.get(place)]));
  const found = page.filter((group) => keyOf.get(group) !== undefined);
  return {
    groups: await shown(
      db,
      found,
      (at) => new Date(at).toISOString(),
      (_, group) => keyOf.get(group)!,
    ),
    incidents: groups.incidents,
    total: groups.size,
    isComplete: !groups.isFull && looked < most,
    head: 0,
  };
}

/** The newest incident of each of some counts, by their place: an index leads to it. */
async function newestOf(
  db: FleetDatabase,
  counts: readonly Record<string, unknown>[],
  members: readonly string[],
  conditions: readonly Condition[],
): Promise<ReadonlyMap<number, IncidentKey>> {
  const wanted = counts.map((row, place) => ({ ...row, place }));
  const same = members.map((name) => sql`i.${sql.ref(name)} IS NOT DISTINCT FROM k.${sql.ref(name)}`);
  const { rows } = await sql<IncidentKey & { readonly place: number }>`
    SELECT k.place, n.machine, n.log, n.id
    FROM jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) AS k (place int, rank smallint, last timestamptz, state text,
      class text, source text, assignee text, machine text)
    CROSS JOIN LATERAL (
      SELECT i.machine, i.log, i.id FROM incidents i
      WHERE i.current AND i.rank = k.rank AND i.created_at = k.last AND ${allOf([...same, ...conditions])}
      ORDER BY i.machine DESC, i.id DESC LIMIT 1) AS n`.execute(db);
  return new Map(rows.map(({ place, ...key }) => [place, key]));
}

/** With more values than this they are not looked up one by one. */
const MOST_PARTS = 16;

/** The parts of an index that hold what a filter admits, and as little else as may be: each in the order of creation. */
function partsOf(filter: FleetQuery): readonly Condition[] {
  const { sources, assignees = [], containment = [], attention } = filter;
  const kinds = kindsOf(filter);
  const each = (name: string, values: readonly string[]) => values.map((value) => sql`i.${sql.ref(name)} = ${value}`);
  if (attention?.needed === true) return partsOfRanks(kinds.ranks).map((part) => sql`${part} AND i.attention`);
  const people = assignees.filter((name) => name !== null);
  if (people.length > 0 && people.length === assignees.length && people.length <= MOST_PARTS)
    return each('assignee', people);
  if (sources.length > 0 && sources.length <= MOST_PARTS) return each('source', sources);
  if (containment.length > 0 && !containment.includes('confirmed'))
    return containment.map((status) => sql`i.containment = ${sql.lit(CONTAINMENT_COLUMN[status])}`);
  return branchesOf(kinds).parts;
}

/** What of incidents the conditions of a filter look at. */
function columnsIn(filter: FleetQuery): readonly string[] {
  const { classes, sources, resolutions = [], assignees = [], containment = [], terms = [] } = filter;
  const isOf = (of: string): boolean => terms.some((term) => term.of === of);
  const used: readonly (readonly [boolean, ...string[]])[] = [
    [filter.machines !== undefined, 'machine'],
    [classes.length > 0 || isOf('class'), 'class'],
    [sources.length > 0 || isOf('source'), 'source'],
    [resolutions.length > 0, 'resolution'],
    [assignees.length > 0 || isOf('assignee'), 'assignee'],
    [filter.snoozed !== undefined, 'snoozed_until'],
    [containment.length > 0, 'containment'],
    [filter.updatedSince !== undefined, 'updated_at'],
    [isOf('id'), 'id'],
    [wantedIn(filter) !== undefined, 'machine', 'log', 'id'],
  ];
  return used.flatMap(([isUsed, ...columns]) => (isUsed ? columns : []));
}

async function shown(
  db: FleetDatabase,
  groups: readonly Group[],
  timeOf: (at: number) => string,
  newestOfGroup: (at: number, group: Group) => IncidentKey,
): Promise<readonly IncidentGroup[]> {
  const keys = groups.map((group) => newestOfGroup(group.last, group));
  if (keys.length === 0) return [];
  const descriptions: (string | undefined)[] = [];
  for (let at = 0; at < keys.length; at += SHOWN_AT_ONCE) {
    const some = keys.slice(at, at + SHOWN_AT_ONCE).map((key, place) => ({ ...key, place: at + place }));
    for (const { place, document } of await documentsOf(db, some)) {
      descriptions[place] = (JSON.parse(document) as Incident).description;
    }
  }
  return groups.flatMap((group, at) => {
    const description = descriptions[at];
    return description === undefined ? [] : [shownGroup(group, timeOf, { id: keys[at]!.id, description })];
  });
}
