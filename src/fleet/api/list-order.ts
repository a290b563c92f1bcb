/**
 * The orders of the fleet's lists, as SQL. Groups follow each other (a severity, a class, a state, a source, an assignee);
 * in each the newest are first: by time of creation, then machine and id, all falling, so that one index gives the order.
 */
import { type RawBuilder, sql } from 'kysely';
import { CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import type { Sort, SortedBy, SortKey } from '../../query/list-query.ts';
import type { FleetPlace } from './cursor.ts';
import { type Condition, type Kinds, onKinds, time } from './list-filter.ts';

export const partsOf = (sort: Sort): { readonly key: SortKey; readonly isFalling: boolean } =>
  sort.startsWith('-')
    ? { key: sort.slice(1) as SortKey, isFalling: true }
    : { key: sort as SortKey, isFalling: false };

/** What an order is by, as an expression on the rows that are called `i`: a number or a text. */
export const keyOf = (key: SortKey): RawBuilder<unknown> => KEYS[key];

const KEYS: Readonly<Record<SortKey, RawBuilder<unknown>>> = {
  severity: sql`i.rank`,
  created: sql`i.created_at`,
  updated: sql`i.updated_at`,
  class: sql`i.class COLLATE "C"`,
  source: sql`i.source COLLATE "C"`,
  state: sql`array_position(${[...STATES]}::text[], i.state)`,
  assignee: sql`i.assignee COLLATE "C"`,
};

const isByTime = (key: SortKey): key is 'created' | 'updated' => key === 'created' || key === 'updated';

/** How a whole list is ordered, of incidents that were gathered. @param byNumber whether the newest is the highest number */
export function wholeOrder(sort: Sort, byNumber: boolean): RawBuilder<unknown> {
  const { key, isFalling } = partsOf(sort);
  const tail = byNumber ? [sql`i.number`] : TAIL;
  const direction = isFalling ? sql`DESC` : sql`ASC`;
  // Nobody's are last either way.
  const first = sql`${keyOf(key)} ${direction} NULLS LAST`;
  const rest = isByTime(key) ? tail.map((one) => sql`${one} ${direction}`) : tail.map((one) => sql`${one} DESC`);
  return sql.join([first, ...rest]);
}

const TAIL = [sql`i.created_at`, sql`i.machine`, sql`i.id`];

/** What lies behind a place, in a list of incidents that were gathered. */
export function behind(place: FleetPlace, byNumber: boolean): Condition {
  const { key, isFalling } = partsOf(place.sort);
  const tail = byNumber ? sql`i.number` : sql`(i.created_at, i.machine, i.id)`;
  const at = byNumber ? sql`${place.number}::bigint` : sql`(${time(place.at)}, ${place.machine}, ${place.id})`;
  if (isByTime(key)) {
    const compared = isFalling ? sql`<` : sql`>`;
    return sql`(${keyOf(key)} ${compared} ${time(Number(place.key))}
      OR (${keyOf(key)} = ${time(Number(place.key))} AND ${tail} ${compared} ${at}))`;
  }
  const here = sql`${tail} < ${at}`;
  if (place.key === null) return sql`(i.assignee IS NULL AND ${here})`;
  const value = keyValue(key, place.key);
  const further = isFalling ? sql`${keyOf(key)} < ${value}` : sql`${keyOf(key)} > ${value}`;
  const orNobody = key === 'assignee' ? sql` OR i.assignee IS NULL` : sql``;
  return sql`(${further} OR (${keyOf(key)} = ${value} AND ${here})${orNobody})`;
}

function keyValue(key: SortKey, value: SortedBy): RawBuilder<unknown> {
  if (key === 'severity') return sql`${value}::smallint`;
  if (key === 'state') return sql`${Number(value) + 1}::integer`;
  return sql`${value}::text COLLATE "C"`;
}

/** What a row of the database gives as the key of a place. */
export function keyIn(key: SortKey, value: unknown): SortedBy {
  if (value instanceof Date) return value.getTime();
  if (key === 'state') return Number(value) - 1;
  return key === 'severity' ? Number(value) : (value as string | null);
}

/** A group of an order that is known beforehand, as kinds of incidents. */
export interface FixedGroup {
  readonly key: number | string;
  readonly kinds: Partial<Kinds>;
}

const FIXED: Readonly<Record<'severity' | 'class' | 'state', readonly FixedGroup[]>> = {
  severity: SEVERITIES.map((_, rank) => ({ key: rank, kinds: { ranks: [rank] } })),
  class: CLASSES.toSorted().map((name) => ({ key: name, kinds: { classes: [name] } })),
  state: STATES.map((state, at) => ({ key: at, kinds: { states: [state] } })),
};

/** The groups of an order, from the one of a place on; undefined for an order that has others. */
export function fixedGroups(sort: Sort, after: FleetPlace | undefined): readonly FixedGroup[] | undefined {
  const { key, isFalling } = partsOf(sort);
  if (key !== 'severity' && key !== 'class' && key !== 'state') return undefined;
  const groups = isFalling ? FIXED[key].toReversed() : FIXED[key];
  return after === undefined ? groups : groups.slice(groups.findIndex((group) => group.key === after.key));
}

/** The kinds that two filters both admit; undefined when there are none. */
export function both(one: Kinds, other: Partial<Kinds>): Kinds | undefined {
  const of = <Value>(some: readonly Value[], others: readonly Value[] = []): readonly Value[] | undefined => {
    if (some.length === 0) return others;
    if (others.length === 0) return some;
    const common = some.filter((value) => others.includes(value));
    return common.length === 0 ? undefined : common;
  };
  const classes = of(one.classes, other.classes);
  const states = of(one.states, other.states);
  const ranks = of(one.ranks, other.ranks);
  return classes && states && ranks && { classes, states, ranks };
}

/** The parts of the index of severities that hold some, or all: each in the order of creation. */
export const partsOfRanks = (ranks: readonly number[] = []): readonly Condition[] =>
  (ranks.length === 0 ? [...SEVERITIES.keys()] : ranks).map((rank) => sql`i.rank = ${sql.lit(rank)}`);

/** With more combinations than this they are not looked up one by one: each has a plan of its own. */
const MOST_BRANCHES = 16;

export interface Branches {
  /** Parts of an index, each in the order of creation: all that the kinds admit is in them. */
  readonly parts: readonly Condition[];
  /** What of the kinds they do not say. */
  readonly left: readonly Condition[];
}

/**
 * The parts of an index that hold some kinds. Most incidents are resolved: the index by state has none of these, which are
 * found by leaving out the others.
 */
export function branchesOf(kinds: Kinds): Branches {
  const { classes, states, ranks } = kinds;
  const allRanks = ranks.length === 0 ? [...SEVERITIES.keys()] : ranks;
  const ofRank = (condition: Condition): readonly Condition[] =>
    allRanks.map((rank) => sql`${condition} AND i.rank = ${sql.lit(rank)}`);
  const ofStates = onKinds({ classes: [], states, ranks: [] });
  const ofClasses = onKinds({ classes, states: [], ranks: [] });
  const byRank: Branches = { parts: partsOfRanks(ranks), left: [...ofStates, ...ofClasses] };
  const choices: Branches[] = [];
  const isUnresolved = states.length > 0 && !states.includes('resolved');
  if (classes.length > 0 && isUnresolved)
    choices.push({
      parts: states.flatMap((state) =>
        classes.flatMap((name) => ofRank(sql`i.state = ${sql.lit(state)} AND i.class = ${sql.lit(name)}`)),
      ),
      left: [],
    });
  if (isUnresolved)
    choices.push({ parts: states.flatMap((state) => ofRank(sql`i.state = ${sql.lit(state)}`)), left: ofClasses });
  if (classes.length > 0)
    choices.push({ parts: classes.flatMap((name) => ofRank(sql`i.class = ${sql.lit(name)}`)), left: ofStates });
  return choices.find(({ parts }) => parts.length <= MOST_BRANCHES) ?? byRank;
}

/** Whether all kinds are meant. */
export const isAll = (kinds: Kinds): boolean => onKinds(kinds).length === 0;
