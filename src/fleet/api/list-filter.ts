/** The filters of a list as conditions of SQL on the rows of incidents, which are called `i`. */
import { type RawBuilder, sql } from 'kysely';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { CONTAINMENT_COLUMN } from '../../domain/incident-columns.ts';
import type { ListQuery } from '../../query/list-query.ts';
import { type Wanted, wantedIn } from './search-query.ts';

export type Condition = RawBuilder<unknown>;

/** What a list asks of incidents, apart from silences. */
export type FleetQuery = Omit<ListQuery, 'after'> & {
  /** The machines; undefined for all. */
  readonly machines: readonly string[] | undefined;
};

/** A time as a parameter. @param at milliseconds since the epoch */
export const time = (at: number): RawBuilder<unknown> => sql`${new Date(clamped(at)).toISOString()}::timestamptz`;

/** The years that a database takes; a request may name others. */
const clamped = (at: number): number => Math.min(Math.max(at, EARLIEST), LATEST);
const EARLIEST = Date.parse('0001-01-01T00:00:00Z');
const LATEST = Date.parse('9999-12-31T23:59:59.999Z');

/** A list of texts as one parameter: the statement stays the same for any number of them. */
export const anyText = (values: readonly string[]): RawBuilder<unknown> => sql`ANY(${[...values]}::text[])`;

const anyNumber = (values: readonly number[]): RawBuilder<unknown> => sql`ANY(${[...values]}::smallint[])`;

/** Class, state and severity: what the index of kinds knows. */
export interface Kinds {
  readonly classes: readonly string[];
  readonly states: readonly string[];
  readonly ranks: readonly number[];
}

export const kindsOf = ({ classes, states, severities, terms = [] }: FleetQuery): Kinds => {
  const named = terms.flatMap((term) => (term.of === 'class' ? [term.value] : []));
  const wanted = named.length === 0 ? classes : named.filter((one) => classes.length === 0 || classes.includes(one));
  return {
    // Two different ones, or one that the filter leaves out: nothing.
    classes: named.length > 0 && (new Set(named).size > 1 || wanted.length === 0) ? [NO_CLASS] : [...new Set(wanted)],
    states,
    ranks: severities.map((one) => SEVERITIES.indexOf(one)),
  };
};

const NO_CLASS = '-';

export const onKinds = ({ classes, states, ranks }: Kinds): Condition[] => [
  ...(classes.length === 0 ? [] : [sql`i.class = ${anyText(classes)}`]),
  ...(states.length === 0 ? [] : [sql`i.state = ${anyText(states)}`]),
  ...(ranks.length === 0 ? [] : [sql`i.rank = ${anyNumber(ranks)}`]),
];

/** When incidents were created: what the indexes by time know as well. */
export const onCreation = ({ since, until }: Pick<FleetQuery, 'since' | 'until'>): Condition[] => [
  ...(since === undefined ? [] : [sql`i.created_at >= ${time(since)}`]),
  ...(until === undefined ? [] : [sql`i.created_at < ${time(until)}`]),
];

/** Everything else. */
export function onOthers(query: FleetQuery): Condition[] {
  const conditions: Condition[] = [];
  const { sources, resolutions = [], assignees = [], containment = [], terms = [] } = query;
  if (query.machines !== undefined) conditions.push(sql`i.machine = ${anyText(query.machines)}`);
  if (sources.length > 0) conditions.push(sql`i.source = ${anyText(sources)}`);
  if (resolutions.length > 0) conditions.push(sql`i.resolution = ${anyText(resolutions)}`);
  if (assignees.length > 0) {
    const names = assignees.filter((name) => name !== null);
    const named = sql`i.assignee = ${anyText(names)}`;
    conditions.push(assignees.includes(null) ? sql`(${named} OR i.assignee IS NULL)` : named);
  }
  if (query.snoozed !== undefined) {
    conditions.push(query.snoozed ? sql`i.snoozed_until IS NOT NULL` : sql`i.snoozed_until IS NULL`);
  }
  if (containment.length > 0) {
    conditions.push(sql`i.containment = ${anyNumber(containment.map((status) => CONTAINMENT_COLUMN[status]))}`);
  }
  if (query.attention?.needed === true) conditions.push(sql`i.attention`);
  if (query.updatedSince !== undefined) conditions.push(sql`i.updated_at >= ${time(query.updatedSince)}`);
  for (const term of terms) {
    if (term.of === 'source') conditions.push(sql`i.source = ${term.value}`);
    if (term.of === 'assignee') conditions.push(sql`i.assignee = ${term.value}`);
    if (term.of === 'id') conditions.push(sql`i.id = ${term.value}`);
  }
  const wanted = wantedIn(query);
  if (wanted !== undefined) conditions.push(matches(wanted));
  return conditions;
}

/** All of what is searched for, and any of it. */
const all = (wanted: Wanted): RawBuilder<unknown> => sql`${wanted.join(' & ')}::tsquery`;
const any = (wanted: Wanted): RawBuilder<unknown> => sql`${wanted.join(' | ')}::tsquery`;

/**
 * Whether an incident has what is searched for. The words of the incident at hand are looked at: as a value of its own, this
 * can't become a search for all that have them, which may be very many.
 */
export const matches = (wanted: Wanted): Condition => sql`(
  SELECT w.search @@ ${all(wanted)} OR coalesce((
    SELECT (w.search || l.search) @@ ${all(wanted)} FROM later_words l
    WHERE l.machine = w.machine AND l.log = w.log AND l.id = w.id), false)
  FROM words w WHERE w.machine = i.machine AND w.log = i.log AND w.id = i.id)`;

/** Those whose reports have all of it, and those to which some of it was added: among these two are all that have it. */
export const haveReported = (wanted: Wanted): RawBuilder<unknown> => sql`words w WHERE w.search @@ ${all(wanted)}`;
export const haveAdded = (wanted: Wanted): RawBuilder<unknown> => sql`later_words l WHERE l.search @@ ${any(wanted)}`;

/** The incidents that the indexes of words find, as rows `i`. For few: each is looked up. */
export const foundBy = (wanted: Wanted): RawBuilder<unknown> =>
  looked(sql`
    SELECT w.machine, w.log, w.id FROM ${haveReported(wanted)}
    UNION ALL
    SELECT l.machine, l.log, l.id FROM (SELECT * FROM ${haveAdded(wanted)} OFFSET 0) AS l
      JOIN words w ON w.machine = l.machine AND w.log = l.log AND w.id = l.id
    WHERE NOT w.search @@ ${all(wanted)} AND (w.search || l.search) @@ ${all(wanted)}`);

/** Those that have one thing that is searched for, as rows `i`. */
export const having = (one: string): RawBuilder<unknown> =>
  looked(sql`
    SELECT w.machine, w.log, w.id FROM ${haveReported([one])} UNION SELECT l.machine, l.log, l.id FROM ${haveAdded([one])}`);

const looked = (found: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  (${found} OFFSET 0) AS found
  CROSS JOIN LATERAL (
    SELECT * FROM incidents x WHERE x.machine = found.machine AND x.log = found.log AND x.id = found.id OFFSET 0) AS i`;

/** Whether an incident has an identifier. The index of identifiers is that of a table which is written once for each. */
export const hasId = (id: string): Condition => sql`
  (i.machine, i.log, i.id) IN (SELECT w.machine, w.log, w.id FROM words w WHERE w.id = ${id})`;

/** Whether an incident has one of some identifiers. */
export const hasAnyId = (ids: readonly string[]): Condition => sql`
  (i.machine, i.log, i.id) IN (SELECT w.machine, w.log, w.id FROM words w WHERE w.id = ANY(${ids}::text[]))`;

export const allOf = (conditions: readonly Condition[]): Condition =>
  conditions.length === 0 ? sql`true` : sql.join([...conditions], sql` AND `);
