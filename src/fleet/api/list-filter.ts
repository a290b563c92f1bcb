/** The filters of a list as conditions of SQL on the rows of incidents, which are called `i`. */
import { type RawBuilder, sql } from 'kysely';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import { CONTAINMENT_COLUMN } from '../../domain/incident-columns.ts';
import type { ListQuery } from '../../query/list-query.ts';
import { tsqueryOf } from './search-query.ts';

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
  const search = tsqueryOf(query);
  if (search !== undefined) conditions.push(matches(search));
  return conditions;
}

/**
 * Whether an incident has the words and marks of a `tsquery`. The words of the incident at hand are looked at: as a value of
 * its own, this can't become a search for all that have them, which may be very many.
 */
export const matches = (search: string): Condition =>
  sql`(SELECT w.search @@ ${search}::tsquery FROM words w WHERE w.machine = i.machine AND w.log = i.log AND w.id = i.id)`;

/** The incidents that the index of words finds, as rows `i`. For few: each is looked up. */
export const foundBy = (search: string): RawBuilder<unknown> => sql`
  (SELECT w.machine, w.log, w.id FROM words w WHERE w.search @@ ${search}::tsquery OFFSET 0) AS found
  CROSS JOIN LATERAL (
    SELECT * FROM incidents x WHERE x.machine = found.machine AND x.log = found.log AND x.id = found.id OFFSET 0) AS i`;

export const allOf = (conditions: readonly Condition[]): Condition =>
  conditions.length === 0 ? sql`true` : sql.join([...conditions], sql` AND `);
