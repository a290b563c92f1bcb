/**
 * The pages of the fleet's list of incidents.
 *
 * Where few incidents are admitted they are gathered and put in order: an index says so before (that of words and people,
 * of machines, of times, of kinds). Of many, those in an index of the order are looked at, a few thousand at a time; kinds
 * and times narrow that, the other filters leave out what they do not admit. A page ends early after many that were left
 * out, and the next one goes on: so a page costs the same whatever the number of incidents.
 */
import { type RawBuilder, sql } from 'kysely';
import { SECOND } from '../../clock.ts';
import type { Sort } from '../../query/list-query.ts';
import type { FleetDatabase } from '../database.ts';
import { ANY_RANK } from '../read-models/created-counts.ts';
import type { FleetPlace } from './cursor.ts';
import {
  allOf,
  anyText,
  type Condition,
  type FleetQuery,
  foundBy,
  hasId,
  haveAdded,
  haveReported,
  having,
  type Kinds,
  kindsOf,
  matches,
  onCreation,
  onKinds,
  onOthers,
  time,
} from './list-filter.ts';
import {
  behind,
  both,
  branchesOf,
  fixedGroups,
  isAll,
  keyIn,
  keyOf,
  partsOf,
  partsOfRanks,
  wholeOrder,
} from './list-order.ts';
import { narrowlyWantedIn, type Wanted } from './search-query.ts';
import type { SilencedColumns, Silencing } from './silencing.ts';

/** With so many incidents or fewer they are gathered. */
const FEW = 10_000;
/** Those that words find are read one by one, and more of them take longer than to look at the first of the list. */
const FEW_FOUND = 3000;
/** What is common is known for so many milliseconds, of so many filters. */
const COMMON_FOR = 60 * SECOND;
const MOST_KNOWN = 1000;
/**
 * A page ends at a size in bytes, unless a single incident is longer: half of a recorder's, as its texts come from another
 * process, and most of what a page costs is in proportion to them. It seldom has more incidents than `USUAL_PAGE`.
 */
export const PAGE_BYTES = 512 * 1024;
const USUAL_PAGE = 300;
/** A page that has looked at as many as one query does ends where it is after so many milliseconds. */
const WALK_WITHIN = 20;
/** How many are looked at in one query, and for one page. */
const LOOKED_AT_ONCE = 4000;
const MOST_LOOKED_AT = 20_000;

/** An incident of a page, without its document. */
export interface ListedIncident extends SilencedColumns {
  readonly number: number;
  readonly created_at: Date;
  /** What the list is ordered by. */
  readonly key: unknown;
  readonly state: string;
  /** How long its document is. */
  readonly bytes: number;
  readonly admitted: boolean;
  /** How many were looked at for the slice that it is in. */
  readonly looked: number;
}

/** One that was gathered, with what groups look at. */
export interface GatheredIncident extends ListedIncident {
  readonly assignee: string | null;
  readonly containment: number;
  readonly drill: number;
}

export interface ListPage {
  readonly incidents: readonly ListedIncident[];
  readonly next?: FleetPlace;
  /** The newest number that counts, in a list by numbers. */
  readonly head?: number | undefined;
}

type Query = FleetQuery & {
  readonly after?: FleetPlace;
  readonly limit: number;
  /** How long the documents of a page may be together, where they are read. */
  readonly bytes?: number;
};

export class FleetList {
  readonly #db: FleetDatabase;
  readonly #few: number;
  readonly #most: number;
  /** What was found to be common, and until when that is believed. */
  readonly #common = new Map<string, number>();

  /**
   * @param few with so many incidents or fewer they are gathered
   * @param most how many are looked at for one page
   */
  constructor(db: FleetDatabase, few = FEW, most = MOST_LOOKED_AT) {
    this.#db = db;
    this.#few = few;
    this.#most = most;
  }

  /** A page of the list. @param silencing the silences that count; undefined when silences do not matter */
  async read(query: Query, silencing?: Silencing): Promise<ListPage> {
    if (query.machines?.length === 0 || silencing?.isNothing === true) return { incidents: [] };
    const { after } = query;
    const narrow = after?.head === undefined ? await this.#narrow(query) : undefined;
    // A list that was begun by numbers goes on by numbers.
    if (narrow === undefined && after?.head === undefined) return this.#walk(query, silencing);
    return this.#gather(query, narrow ?? onColumns(sql`true`), silencing);
  }

  /** All incidents that a query admits, where they are few; in its order. */
  async few(query: FleetQuery, silencing?: Silencing): Promise<readonly GatheredIncident[] | undefined> {
    if (query.machines?.length === 0 || silencing?.isNothing === true) return [];
    const narrow = await this.#narrow(query);
    if (narrow === undefined) return undefined;
    return (await this.#gather({ ...query, limit: FEW, bytes: Infinity }, narrow, silencing)).incidents;
  }

  /** What few incidents meet, all that are admitted among them; undefined when nothing is known. */
  async #narrow(query: FleetQuery): Promise<Narrow | undefined> {
    for (const narrow of narrowings(query)) if (await this.#leavesFew(narrow)) return narrow;
    return undefined;
  }

  async #leavesFew({ counted, most = Infinity }: Narrow): Promise<boolean> {
    for (const rows of counted) if (!(await this.#areFew(rows, Math.min(this.#few, most)))) return false;
    return true;
  }

  async #areFew(counted: RawBuilder<unknown>, few: number): Promise<boolean> {
    // As a query of its own, no further than it is read: with a limit, the planner takes many for more likely than they are,
    // and goes through a whole table to find none.
    const query = sql<{ count: number }>`
      WITH found AS MATERIALIZED (SELECT 1 FROM ${counted})
      SELECT count(*) AS count FROM (SELECT 1 FROM found LIMIT ${sql.lit(few + 1)}) AS few`;
    const { sql: text, parameters } = query.compile(this.#db);
    const key = JSON.stringify([text, parameters]);
    const now = performance.now();
    // What was common a moment ago is. What was rare may be common now, and would cost more than to count it.
    if ((this.#common.get(key) ?? 0) > now) return false;
    const { rows } = await query.execute(this.#db);
    if (Number(rows[0]?.count) <= few) return true;
    if (this.#common.size >= MOST_KNOWN) this.#common.clear();
    this.#common.set(key, now + COMMON_FOR);
    return false;
  }

  async #gather(
    query: Query,
    narrow: Narrow,
    silencing: Silencing | undefined,
  ): Promise<ListPage & { readonly incidents: readonly GatheredIncident[] }> {
    const { after, limit, sort = 'severity', machines } = query;
    const byNumber = machines?.length === 1;
    const { key } = partsOf(sort);
    const head = byNumber ? (after?.head ?? (await this.#newestOf(machines[0]!))) : undefined;
    const conditions = [
      sql`i.current`,
      ...(narrow.condition === undefined ? [] : [narrow.condition]),
      ...onKinds(kindsOf(query)),
      ...onCreation(query),
      ...onOthers(query),
      ...(silencing?.conditions ?? []),
      ...(head === undefined ? [] : [sql`i.number <= ${head}`]),
      ...(after === undefined ? [] : [behind(after, byNumber)]),
    ];
    const place = (row: ListedIncident): FleetPlace => placeOf(row, query, head);
    let last: GatheredIncident | undefined;
    let incidents: readonly GatheredIncident[] = [];
    for (const size of sizesOf(query, silencing)) {
      // The planner must not go through all incidents in their order to find the few.
      const { rows } = await sql<GatheredIncident>`
      WITH i AS MATERIALIZED (
        SELECT i.machine, i.log, i.id, i.number, i.created_at, i.updated_at, i.class, i.rank, i.state, i.source, i.assignee,
          i.containment, i.drill, i.bytes
        FROM ${narrow.rows} WHERE ${allOf(conditions)}
      )
      SELECT i.machine, i.log, i.id, i.number, i.created_at, i.class, i.source, i.rank, i.state,
        i.assignee, i.containment, i.drill, ${keyOf(key)} AS key, i.bytes, true AS admitted, 0 AS looked
      FROM i ORDER BY ${wholeOrder(sort, byNumber)}
      LIMIT ${size}`.execute(this.#db);
      const kept = silencing === undefined ? rows : await silencing.kept(rows, limit + 1);
      const page = pageOf(kept, query, place);
      if (page.next !== undefined || rows.length < size) return { ...page, head };
      last = rows.at(-1);
      incidents = page.incidents;
    }
    // Silences have left out most of very many.
    return { incidents, head, next: { ...place(last!), isHidden: true } };
  }

  async #newestOf(machine: string): Promise<number> {
    const { rows } = await sql<{ head: number | null }>`
      SELECT max(number) AS head FROM incidents WHERE machine = ${machine} AND current`.execute(this.#db);
    return rows[0]?.head ?? 0;
  }

  async #walk(query: Query, silencing: Silencing | undefined): Promise<ListPage> {
    const { limit, bytes: most = PAGE_BYTES } = query;
    const admitted: ListedIncident[] = [];
    const filters = [...onOthers(query), ...(silencing?.conditions ?? [])];
    const isFiltered = filters.length > 0 || silencing?.isByWords === true;
    const until = performance.now() + WALK_WITHIN;
    let [looked, counted, bytes] = [0, 0, 0];
    let last: ListedIncident | undefined;
    for await (const rows of this.#slices(query, filters, isFiltered)) {
      const some = rows.filter((row) => row.admitted);
      admitted.push(...(silencing === undefined ? some : await silencing.kept(some, limit + 1 - admitted.length)));
      looked += rows[0]?.looked ?? 0;
      last = rows.at(-1) ?? last;
      bytes += admitted.slice(counted).reduce((sum, one) => sum + one.bytes, 0);
      counted = admitted.length;
      // A first one that is longer than a page is a page, and whether there are others is not known yet.
      if (admitted.length > limit || (bytes > most && admitted.length > 1)) break;
      const isEnough = looked >= this.#most || (looked >= LOOKED_AT_ONCE && performance.now() > until);
      if (isEnough && last !== undefined) {
        return { incidents: admitted, next: { ...placeOf(last, query, undefined), isHidden: true } };
      }
    }
    return pageOf(admitted, query, (row) => placeOf(row, query, undefined));
  }

  /** What lies behind the place of a query in the order of its list, a slice after the other. */
  async *#slices(query: Query, filters: readonly Condition[], isFiltered: boolean): AsyncGenerator<ListedIncident[]> {
    const wanted = query.bytes === undefined ? Math.min(query.limit, USUAL_PAGE) : query.limit;
    let size = Math.min(LOOKED_AT_ONCE, isFiltered ? 2 * wanted + 1 : wanted + 1);
    for (const walk of walksOf(query)) {
      let { after } = walk;
      for (;;) {
        const { rows } = await walk.slice(after, filters, size).execute(this.#db);
        yield rows;
        if ((rows[0]?.looked ?? 0) < size) break;
        after = placeOf(rows.at(-1)!, query, undefined);
        size = Math.min(2 * size, LOOKED_AT_ONCE);
      }
    }
  }
}

/** How many of the gathered are read: silences may leave out most of the first, and then more are. */
function sizesOf({ limit, bytes = PAGE_BYTES }: Query, silencing: Silencing | undefined): readonly number[] {
  if (silencing?.isByWords !== true) return [limit + 1];
  const first = 2 * Math.min(limit, bytes === Infinity ? limit : USUAL_PAGE) + 1;
  return first > FEW ? [FEW + 1] : [first, FEW + 1];
}

/** The first of some incidents, and the place behind them where there are more. */
function pageOf<Row extends ListedIncident>(
  rows: readonly Row[],
  { limit, bytes: most = PAGE_BYTES }: Pick<Query, 'limit' | 'bytes'>,
  place: (row: ListedIncident) => FleetPlace,
): ListPage & { readonly incidents: readonly Row[] } {
  const incidents: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    const isFull = incidents.length === limit || bytes + row.bytes > most;
    if (isFull && incidents.length > 0) return { incidents, next: place(incidents.at(-1)!) };
    incidents.push(row);
    bytes += row.bytes;
  }
  return { incidents };
}

/** The place behind an incident of a list. */
export function placeOf(
  row: ListedIncident,
  { sort = 'severity' }: { readonly sort?: Sort },
  head: number | undefined,
): FleetPlace {
  return {
    sort,
    key: keyIn(partsOf(sort).key, row.key),
    at: row.created_at.getTime(),
    machine: row.machine,
    id: row.id,
    number: row.number,
    ...(head !== undefined && { head }),
  };
}

/** How many machines are gathered at once. */
const MOST_GATHERED = 64;

/** What leaves few incidents, all that a query admits among them. */
interface Narrow {
  /** Where they are counted, with their condition: few are in each. */
  readonly counted: readonly RawBuilder<unknown>[];
  /** With how many of them they are few; each is looked up by itself. */
  readonly most?: number;
  /** Where they are read, as rows `i`, and their condition where these are more. */
  readonly rows: RawBuilder<unknown>;
  readonly condition?: Condition;
}

const onColumns = (condition: Condition): Narrow => ({
  counted: [sql`incidents i WHERE i.current AND ${condition}`],
  rows: sql`incidents i`,
  condition,
});

function* onWords(wanted: Wanted): Generator<Narrow> {
  const most = FEW_FOUND;
  const reported = haveReported(wanted);
  yield { counted: [reported, haveAdded(wanted)], rows: foundBy(wanted), most };
  if (wanted.length === 1) return;
  // Few reports have all of it, but something of it was added to many: something else may be rare.
  const condition = matches(wanted);
  for (const one of wanted)
    yield { counted: [reported, haveAdded([one]), haveReported([one])], rows: having(one), condition, most };
}

/** What may leave few incidents, that which an index answers fastest first. */
function* narrowings(query: FleetQuery): Generator<Narrow> {
  const { terms = [], machines, containment = [], updatedSince } = query;
  const ids = terms.flatMap((term) => (term.of === 'id' ? [term.value] : []));
  if (ids.length > 0) yield onColumns(hasId(ids[0]!));
  if (machines !== undefined && machines.length <= MOST_GATHERED)
    yield onColumns(sql`i.machine = ${anyText(machines)}`);
  const names = (query.assignees ?? []).filter((name) => name !== null);
  if (names.length > 0 && names.length === query.assignees?.length)
    yield onColumns(sql`i.assignee = ${anyText(names)}`);
  if (query.sources.length > 0) yield onColumns(sql`i.source = ${anyText(query.sources)}`);
  const wanted = narrowlyWantedIn(query);
  if (wanted !== undefined) yield* onWords(wanted);
  if (containment.length > 0 && !containment.includes('confirmed')) {
    yield onColumns(sql`i.containment > 1 AND ${allOf(onOthers({ ...NOTHING, containment }))}`);
  }
  if (query.attention?.needed === true) yield onColumns(sql`i.attention`);
  if (updatedSince !== undefined) yield onColumns(sql`i.updated_at >= ${time(updatedSince)}`);
  const times = onCreation(query);
  if (times.length > 0) yield onColumns(allOf([ANY_RANK, ...times]));
  const kinds = kindsOf(query);
  if (!isAll(kinds)) yield onColumns(allOf(onKinds(kinds)));
  // A small fleet.
  if (wanted === undefined) yield onColumns(sql`true`);
}

const NOTHING: FleetQuery = { classes: [], states: [], severities: [], sources: [], limit: 0, machines: undefined };

/** What lists order, filter and show by: the indexes of orders hold all of it, so that the rows are not read. */
const LISTED = sql`i.machine, i.log, i.id, i.number, i.created_at, i.updated_at, i.class, i.rank, i.state, i.source, i.assignee,
  i.containment, i.attention, i.snoozed_until, i.resolution, i.bytes`;

/** A part of a list that one index has in its order. */
interface Walk {
  /** The place in this part to go on from. */
  readonly after: FleetPlace | undefined;
  readonly slice: (
    after: FleetPlace | undefined,
    filters: readonly Condition[],
    size: number,
  ) => RawBuilder<ListedIncident>;
}

function walksOf(query: Query): readonly Walk[] {
  const { sort = 'severity', after } = query;
  const { key, isFalling } = partsOf(sort);
  const kinds = kindsOf(query);
  const groups = fixedGroups(sort, after);
  if (groups !== undefined) {
    return groups.flatMap(({ key: of, kinds: own }): readonly Walk[] => {
      const admitted = both(kinds, own);
      return admitted === undefined ? [] : [walkOfKinds(query, admitted, after?.key === of ? after : undefined)];
    });
  }
  if (key === 'created') return [walkOfKinds(query, kinds, after)];
  if (key === 'updated') return [walkOfUpdates(query, kinds, isFalling, after)];
  return walksOfNames(query, key as 'source' | 'assignee', isFalling);
}

/** Incidents of some kinds by their creation: those of each kind follow each other in an index, and are merged. */
function walkOfKinds(query: Query, kinds: Kinds, after: FleetPlace | undefined): Walk {
  const { sort = 'severity' } = query;
  const { key, isFalling } = partsOf(sort);
  const isRising = key === 'created' && !isFalling;
  const needsAttention = query.attention?.needed === true && isOfRanks(kinds);
  const { parts: narrow, left } = needsAttention
    ? { parts: partsOfRanks(kinds.ranks), left: onKinds(kinds) }
    : branchesOf(kinds);
  return {
    after,
    slice: (place, filters, size) => {
      const direction = isRising ? sql`ASC` : sql`DESC`;
      const order = sql`created_at ${direction}, machine ${direction}, id ${direction}`;
      const times = [
        ...onCreation(query),
        ...(needsAttention ? [sql`i.attention`] : []),
        ...(place === undefined ? [] : [tailBehind(place, isRising)]),
      ];
      return sliceOf(merged(narrow, times, order, size), order, keyOf(key), [...left, ...filters], size);
    },
  };
}

/** The first of some parts, each in the order: so they are merged, and no more is read of them than the page needs. */
const merged = (
  parts: readonly Condition[],
  conditions: readonly Condition[],
  order: RawBuilder<unknown>,
  size: number,
): RawBuilder<unknown> =>
  sql.join(
    parts.map(
      (part) => sql`(
        SELECT ${LISTED} FROM incidents i WHERE i.current AND ${allOf([part, ...conditions])} ORDER BY ${order} LIMIT ${size})`,
    ),
    sql` UNION ALL `,
  );

const isOfRanks = ({ ranks }: Kinds): boolean => ranks.length > 0;

function walkOfUpdates(query: Query, kinds: Kinds, isFalling: boolean, after: FleetPlace | undefined): Walk {
  const direction = isFalling ? sql`DESC` : sql`ASC`;
  const compared = isFalling ? sql`<` : sql`>`;
  return {
    after,
    slice: (place, filters, size) => {
      const conditions = [
        ...(query.updatedSince === undefined ? [] : [sql`i.updated_at >= ${time(query.updatedSince)}`]),
        ...(place === undefined
          ? []
          : [
              sql`(i.updated_at, i.machine, i.id) ${compared} (${time(Number(place.key))}, ${place.machine}, ${place.id})`,
            ]),
      ];
      return sliceOf(
        sql`SELECT ${LISTED} FROM incidents i WHERE i.current AND ${allOf(conditions)}`,
        sql`updated_at ${direction}, machine ${direction}, id ${direction}`,
        sql`i.updated_at`,
        [...onKinds(kinds), ...onCreation(query), ...filters],
        size,
      );
    },
  };
}

/** By source or assignee: one name after the other, as the index has them; then, of assignees, nobody's. */
function walksOfNames(query: Query, key: 'source' | 'assignee', isFalling: boolean): readonly Walk[] {
  const { after } = query;
  const column = sql.ref(`i.${key}`);
  const filters = (others: readonly Condition[]) => [...onKinds(kindsOf(query)), ...onCreation(query), ...others];
  const named: Walk = {
    after: after?.key === null ? undefined : after,
    slice: (place, others, size) => {
      const from = typeof place?.key === 'string' ? place.key : undefined;
      const compared = isFalling ? sql`<` : sql`>`;
      const order = isFalling ? sql`DESC` : sql`ASC`;
      const next = (behindOf: RawBuilder<unknown>) => sql`
        SELECT ${column} AS name FROM incidents i WHERE i.current AND ${column} IS NOT NULL ${behindOf}
        ORDER BY ${column} ${order} LIMIT 1`;
      const first = from === undefined ? sql`(${next(sql``)})` : sql`SELECT ${from}::text COLLATE "C" AS name`;
      // The name of the place goes on behind it, the others begin: each is a part of the index.
      const part = (condition: Condition) => sql`(
            SELECT ${LISTED} FROM incidents i WHERE i.current AND ${column} = names.name AND ${condition}
            ORDER BY i.created_at DESC, i.machine DESC, i.id DESC LIMIT ${size})`;
      const parts =
        place === undefined
          ? part(sql`true`)
          : sql`${part(sql`names.name = ${place.key} AND ${tailBehind(place, false)}`)}
            UNION ALL ${part(sql`names.name <> ${place.key}`)}`;
      return sql<ListedIncident>`
        WITH RECURSIVE names AS (
          ${first}
          UNION ALL
          SELECT following.name FROM names CROSS JOIN LATERAL (${next(sql`AND ${column} ${compared} names.name`)}) AS following
        )
        SELECT * FROM (
          SELECT *, row_number() OVER (ORDER BY key COLLATE "C" ${order}, created_at DESC, machine DESC, id DESC) AS place,
            count(*) OVER () AS looked
          FROM (
          SELECT i.machine, i.log, i.id, i.number, i.created_at, i.class, i.source, i.rank, i.state, i.bytes, ${column} AS key, ${allOf(filters(others))} AS admitted
          FROM names CROSS JOIN LATERAL (${parts}) AS i
          LIMIT ${size}
          ) AS i
        ) AS slice WHERE admitted OR place = looked ORDER BY place`;
    },
  };
  if (key === 'source') return [named];
  const nobodys: Walk = {
    after: after?.key === null ? after : undefined,
    slice: (place, others, size) => {
      const order = sql`created_at DESC, machine DESC, id DESC`;
      const times = [...onCreation(query), ...(place === undefined ? [] : [tailBehind(place, false)])];
      const left = [sql`i.assignee IS NULL`, ...onKinds(kindsOf(query)), ...others];
      return sliceOf(merged(partsOfRanks(), times, order, size), order, sql`NULL::text`, left, size);
    },
  };
  return after?.key === null ? [nobodys] : [named, nobodys];
}

const tailBehind = ({ at, machine, id }: FleetPlace, isRising: boolean): Condition =>
  sql`(i.created_at, i.machine, i.id) ${isRising ? sql`>` : sql`<`} (${time(at)}, ${machine}, ${id})`;

/**
 * The first rows of an order, and whether the filters admit each: they are looked at for these rows alone. Only the inner
 * query has an order that an index gives.
 */
function sliceOf(
  rows: RawBuilder<unknown>,
  order: RawBuilder<unknown>,
  key: RawBuilder<unknown>,
  filters: readonly Condition[],
  size: number,
): RawBuilder<ListedIncident> {
  return sql<ListedIncident>`
    SELECT * FROM (
      SELECT i.machine, i.log, i.id, i.number, i.created_at, i.class, i.source, i.rank, i.state, ${key} AS key,
        i.bytes, ${allOf(filters)} AS admitted,
        row_number() OVER (ORDER BY ${order}) AS place, count(*) OVER () AS looked
      FROM (SELECT * FROM (${rows}) AS u ORDER BY ${order} LIMIT ${size}) AS i
    ) AS slice WHERE admitted OR place = looked ORDER BY place`;
}
