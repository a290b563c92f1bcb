/**
 * Incidents in groups: those of the same class and source, or of whatever else a request names, are one group.
 *
 * Filters that the index of the list knows (class, source, severity, state, time) are counted in that index, a slice at a
 * time: no incident is read for them. With any other filter, or by assignee, the incidents are gone through in the order
 * of the list, at most `MOST_WALKED` of them. Between two slices the record goes on, so an incident that changes meanwhile
 * may count as it was or as it is. What is reported meanwhile does not count.
 */
import { type IncidentClass, SEVERITIES, type State, STATES } from '../../machines/vocabulary.ts';
import {
  Details,
  type Group,
  GroupCounts,
  type GroupsPage,
  type GroupsQuery,
  type IncidentGroup,
  LONGEST_DESCRIPTION,
  shownGroup,
  unresolvedOf,
} from '../query/incident-groups.ts';
import type { Database, Statement } from './database.ts';
import { Hours } from './hours.ts';
import type { IncidentList } from './incident-list.ts';
import { admits, beginningAt, hasOnly, type ListQuery, type UsualPlace } from '../query/list-query.ts';

/** How many rows of the index are looked at before others get their turn: about a millisecond. */
const SLICE = 2048;
/** How many rows of the index are looked at for one answer, and how many incidents where the index does not do. */
const MOST_COUNTED = 2_000_000;
const MOST_WALKED = 20_000;
/** How many incidents are looked at for containment and assignees: of one group, and for all of an answer. */
const MOST_OF_GROUP = 500;
const MOST_OF_ANSWER = 8000;
/** Of how many groups the newest incident is read before others get their turn: each may be long. */
const SHOWN_AT_ONCE = 32;
/** With so many sources, or fewer, those parts of the index are skipped that hold other states. */
const FEW_SOURCES = 64;

/** The filters that the index answers. */
const INDEXED = ['classes', 'sources', 'states', 'severities', 'since', 'until'];

const UNRESOLVED = STATES.filter((state) => state !== 'resolved');

/** Awaited between two slices. */
type Turn = () => Promise<void>;

/** A part of the index: what lies between two places in it. The second one is its last. */
interface Stretch {
  readonly source: string;
  readonly state: string;
  readonly lastSource: string | Uint8Array;
  readonly lastState: string | Uint8Array;
}

/** SQLite sorts bytes behind all texts. */
const BEHIND_ALL = new Uint8Array();

/** What a slice counts of the incidents of one source, state, class and severity. */
interface Counted {
  readonly source: string;
  readonly state: State;
  readonly class: IncidentClass;
  readonly rank: number;
  readonly looked: number;
  readonly reached: number;
  readonly count: number;
  readonly first: number;
  readonly last: number;
}

export class IncidentGroups {
  readonly #list: IncidentList;
  readonly #hours: Hours;
  readonly #onwards: Statement;
  readonly #within: Statement;
  readonly #sources: Statement;
  readonly #times: Statement;
  readonly #shown: Statement;

  constructor(database: Database, list: IncidentList) {
    this.#list = list;
    this.#hours = new Hours(database);
    this.#onwards = database.prepare(
      sliceOf(`(source, state, class, rank) > ($source, $state, $class, $rank)
        AND (source, state) <= ($lastSource, $lastState) ORDER BY source, state, class, rank, number`),
    );
    this.#within = database.prepare(
      sliceOf(
        'source = $source AND state = $state AND class = $class AND rank = $rank AND number > $reached ORDER BY number',
      ),
    );
    this.#sources = database.prepare(`SELECT source FROM sources LIMIT ${FEW_SOURCES + 1}`);
    this.#times = database.prepare(
      'SELECT number, created_at FROM json_each(?) CROSS JOIN incidents ON number = value',
    );
    this.#shown = database.prepare(`
      SELECT number, incidents.id,
        substr(document ->> '$.description', 1, ${LONGEST_DESCRIPTION + 1}) AS description
      FROM json_each(?) CROSS JOIN incidents ON number = value`);
  }

  /** @param turn awaited between two slices of the work */
  async read(query: GroupsQuery, turn: Turn): Promise<GroupsPage> {
    const { filter, by, limit, skip, head = this.#list.newest } = query;
    const counted = new GroupCounts(by);
    const isIndexed = !by.includes('assignee') && hasOnly(filter, INDEXED);
    const isComplete = isIndexed
      ? await this.#count(query, head, counted, turn)
      : await this.#walk(query, head, counted, turn);
    const page = counted.inOrder().slice(skip, skip + limit);
    if (isIndexed && query.isBare !== true) await this.#addDetails(page, filter, head, turn);
    return {
      groups: await this.#show(page, turn),
      incidents: counted.incidents,
      total: counted.size,
      isComplete: isComplete && !counted.isFull,
      head,
    };
  }

  /** Counts in the index. @returns whether all of it was looked at */
  async #count(
    { filter, withoutDrills = false }: GroupsQuery,
    head: number,
    counted: GroupCounts,
    turn: Turn,
  ): Promise<boolean> {
    const { classes, states, severities, since, until } = filter;
    const hours = this.#hours.numbersBetween(since, until);
    const range = {
      from: hours.from,
      to: Math.min(head, hours.to),
      timed: Number(since !== undefined || until !== undefined),
      since: since ?? 0,
      until: until ?? Number.MAX_SAFE_INTEGER,
      without: Number(withoutDrills),
    };
    if (range.from > range.to) return true;
    let looked = 0;
    for (const stretch of this.#stretches(filter)) {
      let place: { readonly source: string; readonly state: string; readonly class: string; readonly rank: number };
      place = { source: stretch.source, state: stretch.state, class: '', rank: -1 };
      let reached: number | undefined;
      for (;;) {
        const { lastSource, lastState } = stretch;
        const rows = (reached === undefined
          ? this.#onwards.all({ ...range, ...place, lastSource, lastState })
          : this.#within.all({ ...range, ...place, reached })) as unknown as readonly Counted[];
        let seen = 0;
        for (const row of rows) {
          seen += row.looked;
          const isAdmitted =
            row.count > 0 &&
            admits(classes, row.class) &&
            admits(states, row.state) &&
            admits(severities, SEVERITIES[row.rank]!);
          if (isAdmitted) counted.add({ ...row, assignee: null });
        }
        looked += seen;
        const last = rows.at(-1);
        if (last !== undefined) place = { source: last.source, state: last.state, class: last.class, rank: last.rank };
        if (seen === SLICE) reached = last!.reached;
        else if (reached === undefined) break;
        else reached = undefined;
        if (looked >= MOST_COUNTED) return false;
        await turn();
      }
    }
    return true;
  }

  /** The parts of the index that hold what the filters select. */
  #stretches({ sources, states }: ListQuery): readonly Stretch[] {
    const known = sources.length > 0 || states.length === 0 ? sources : this.#fewSources();
    if (known.length === 0) return [{ source: '', state: '', lastSource: BEHIND_ALL, lastState: BEHIND_ALL }];
    return known.flatMap((source): readonly Stretch[] =>
      states.length === 0
        ? [{ source, state: '', lastSource: source, lastState: BEHIND_ALL }]
        : states.map((state) => ({ source, state, lastSource: source, lastState: state })),
    );
  }

  /** The sources on record; none when they are many. */
  #fewSources(): readonly string[] {
    const sources = this.#sources.all().map(({ source }) => String(source));
    return sources.length > FEW_SOURCES ? [] : sources;
  }

  /** Goes through the incidents. @returns whether through all */
  async #walk(
    { filter, withoutDrills }: GroupsQuery,
    head: number,
    counted: GroupCounts,
    turn: Turn,
  ): Promise<boolean> {
    let looked = 0;
    for (const { outlines } of this.#list.walk({ ...filter, after: beginningAt(head) })) {
      for (const outline of outlines) {
        if (withoutDrills === true && outline.drill > 0) continue;
        const group = counted.add({ ...outline, count: 1, first: outline.number, last: outline.number });
        if (group !== undefined && outline.state !== 'resolved') (group.details ??= new Details()).add(outline);
      }
      looked += outlines.length;
      if (looked >= MOST_WALKED) return false;
      await turn();
    }
    return true;
  }

  /** Looks at the unresolved incidents of each group, in the order of the list, as far as the bounds go. */
  async #addDetails(groups: readonly Group[], filter: ListQuery, head: number, turn: Turn): Promise<void> {
    const states = UNRESOLVED.filter((state) => admits(filter.states, state));
    let left = MOST_OF_ANSWER;
    for (const group of groups) {
      const { shared, rankBy } = group;
      if (left <= 0 || unresolvedOf(group) === 0) continue;
      const details = new Details();
      group.details = details;
      const narrowed: ListQuery & { readonly after: UsualPlace } = {
        ...filter,
        states: shared.state === undefined ? states : [shared.state],
        ...(shared.class !== undefined && { classes: [shared.class] }),
        ...(shared.source !== undefined && { sources: [shared.source] }),
        ...(rankBy !== undefined && { severities: [SEVERITIES[rankBy]!] }),
        after: beginningAt(head),
      };
      for (const { outlines } of this.#list.walk(narrowed)) {
        for (const outline of outlines) details.add(outline);
        if (details.looked >= Math.min(MOST_OF_GROUP, left)) break;
        await turn();
      }
      left -= details.looked;
    }
  }

  async #show(groups: readonly Group[], turn: Turn): Promise<readonly IncidentGroup[]> {
    const numbers = new Set(groups.flatMap(({ first, last }) => [first, last]));
    const times = new Map(
      this.#times.all(JSON.stringify([...numbers])).map((row) => [Number(row.number), Number(row.created_at)]),
    );
    const timeOf = (number: number): string => new Date(times.get(number) ?? 0).toISOString();
    const rows = new Map<number, Readonly<Record<string, unknown>>>();
    for (let at = 0; at < groups.length; at += SHOWN_AT_ONCE) {
      if (at > 0) await turn();
      const newest = groups.slice(at, at + SHOWN_AT_ONCE).map(({ last }) => last);
      for (const row of this.#shown.all(JSON.stringify(newest))) rows.set(Number(row.number), row);
    }
    return groups
      .filter(({ first, last }) => times.has(first) && rows.has(last))
      .map((group) => {
        const newest = rows.get(group.last)!;
        return shownGroup(group, timeOf, { id: String(newest.id), description: String(newest.description) });
      });
  }
}

/**
 * A slice of the index, counted by source, state, class and severity. It reads the rows of the table only where times are
 * given, and of what drills report.
 */
const sliceOf = (where: string): string => `
  SELECT source, state, class, rank, count(*) AS looked, max(number) AS reached,
    count(counted) AS count, min(counted) AS first, max(counted) AS last
  FROM (
    SELECT source, state, class, rank, number,
      CASE WHEN number BETWEEN $from AND $to
        AND ($timed = 0 OR EXISTS (
          SELECT 1 FROM incidents AS one
          WHERE one.number = incidents.number AND one.created_at >= $since AND one.created_at < $until))
        AND ($without = 0 OR source <> 'drill' OR NOT EXISTS (
          SELECT 1 FROM incidents AS one WHERE one.number = incidents.number AND one.drill > 0))
      THEN number END AS counted
    FROM incidents INDEXED BY incidents_by_source
    WHERE ${where} LIMIT ${SLICE}
  )
  GROUP BY source, state, class, rank ORDER BY source, state, class, rank`;
