/**
 * The numbers of the incidents that a list admits, in its order.
 *
 * By severity, class, state, source or assignee, the list is one group after the other, and in each the newest come first.
 * In the index, incidents of one source (when sources are given), state, class and severity follow each other. A group is
 * merged from one scan for each combination that the filters admit, and no row is read that does not belong to it: so a
 * page costs the same whatever the number of incidents and however rare the matches. Times narrow the scans to the numbers
 * that were given in those hours.
 *
 * Words, people and the like are found in the search index, which is one more scan, and so are the states of containment
 * but `confirmed`: a group is what the others have in common with those. When they have little in common that could take
 * long: then the page ends early, and the next one goes on.
 *
 * By time of creation or of the latest change, there is an index of that order. Where few incidents are admitted, they are
 * gathered and put in order; else those in the index are looked at one by one, and a page ends early after many.
 */
import {
  CLASSES,
  type ContainmentStatus,
  type IncidentClass,
  SEVERITIES,
  type Severity,
  type State,
  STATES,
} from '../../machines/vocabulary.ts';
import type { Attention, ListedAttention } from './attention.ts';
import type { Database, Statement } from './database.ts';
import { Hours, type Range } from './hours.ts';
import { admits, type Cursor, type ListQuery, type Sort, type SortedBy, type SortKey } from '../query/list-query.ts';
import { CONTAINMENT_COLUMN } from '../domain/incident-columns.ts';
import { common, FETCH, IndexScan, Intersection, KnownNumbers, merged, type Scan, Union } from './index-scan.ts';
import { Search, type SearchFilter, searchQuery } from './search.ts';

/** Each fetch of a prefix search gathers all its matches again: so there may be few fetches, and large ones. */
const BEGINNINGS = { size: 2048, fetches: 3 };
/** How many numbers are kept at once: those of a source, of what has changed lately, of what is put in order. */
const FEW = 2048;
/** How many sources or assignees a page goes through. */
const MOST_GROUPS = 1000;
/** How many numbers are looked at in an index of times: at once, and for one page. */
const LOOKED_AT_ONCE = 256;
const MOST_LOOKED_AT = 4096;
/** Prefix searches gather all their matches for each of those fetches. */
const MOST_LOOKED_AT_BEGINNINGS = 1024;

/** Incidents of the same class, severity and state. */
interface Kind {
  readonly class: IncidentClass;
  readonly severity: Severity;
  readonly state: State;
}

/** Incidents that follow each other in a list, the newest first. */
interface Group {
  /** What the list is ordered by. */
  readonly key: SortedBy;
  readonly admits: (kind: Kind) => boolean;
  /** What the search index finds of it, where it is asked. */
  readonly filter: SearchFilter;
  readonly source?: string;
  /** Whether only the search index knows it. */
  readonly isSearched?: boolean;
}

/** An incident in an index of times. */
interface Timed extends Kind {
  readonly number: number;
  readonly at: number;
  readonly rank: number;
  readonly source: string;
  readonly attention: number;
}

type TimeKey = 'created' | 'updated';
const TIMES = {
  created: { column: 'created_at', index: 'incidents_by_creation' },
  updated: { column: 'updated_at', index: 'incidents_by_update' },
} as const;

const isByTime = (key: SortKey): key is TimeKey => key in TIMES;

/** What an order is by, and whether it falls. */
export const partsOf = (sort: Sort): { readonly key: SortKey; readonly isFalling: boolean } =>
  sort.startsWith('-')
    ? { key: sort.slice(1) as SortKey, isFalling: true }
    : { key: sort as SortKey, isFalling: false };

/** A place in a list; in the usual order its key is the rank of a severity. */
export const placeAt = (sort: Sort, key: SortedBy, seq: number, head: number): Cursor =>
  sort === 'severity' ? { rank: Number(key), seq, head } : { sort, key, seq, head };

const keyOfPlace = (cursor: Cursor): SortedBy => (cursor.sort === undefined ? cursor.rank : cursor.key);

/** Takes the place from which on a walk has not looked. */
type OnPause = (pause: Cursor) => void;

export class ListWalk {
  readonly #database: Database;
  readonly #search: Search;
  readonly #numberOf: Statement;
  readonly #hours: Hours;
  readonly #attention: Pick<Attention, 'of'>;
  readonly #kinds: Statement;
  readonly #ofKind: Statement;
  readonly #ofSource: Statement;
  readonly #allOfSource: Statement;
  readonly #contained: Statement;
  readonly #updated: Statement;
  readonly #next: Readonly<Record<'source' | 'assignee', { readonly rising: Statement; readonly falling: Statement }>>;
  readonly #timed = new Map<string, Statement>();

  constructor(database: Database, attention: Pick<Attention, 'of'>) {
    this.#database = database;
    this.#search = new Search(database);
    this.#numberOf = database.prepare('SELECT number FROM incidents WHERE id = ?');
    this.#hours = new Hours(database);
    this.#attention = attention;
    this.#kinds = database.prepare(`
      SELECT class, severity, state, sum(count) AS count FROM population WHERE count > 0 GROUP BY class, severity, state`);
    this.#ofKind = database.prepare(`
      SELECT number FROM incidents INDEXED BY incidents_by_kind
      WHERE state = ? AND class = ? AND rank = ? AND number BETWEEN ? AND ? ORDER BY number DESC LIMIT ${FETCH}`);
    this.#ofSource = database.prepare(`
      SELECT number FROM incidents INDEXED BY incidents_by_source
      WHERE source = ? AND state = ? AND class = ? AND rank = ? AND number BETWEEN ? AND ?
      ORDER BY number DESC LIMIT ${FETCH}`);
    this.#allOfSource = database.prepare(`
      SELECT number, class, rank, state, source, attention FROM incidents INDEXED BY incidents_by_source
      WHERE source = ? LIMIT ${FETCH + 1}`);
    this.#contained = database.prepare(`
      SELECT number FROM incidents INDEXED BY incidents_by_containment
      WHERE containment = ? AND containment > 1 AND number BETWEEN ? AND ? ORDER BY number DESC LIMIT ${FETCH}`);
    this.#updated = database.prepare(`
      SELECT number FROM incidents INDEXED BY incidents_by_update WHERE updated_at >= ? LIMIT ${FEW + 1}`);
    const next = (select: string, index: string) => ({
      rising: database.prepare(`SELECT min(${select}) AS next FROM incidents INDEXED BY ${index} WHERE ${select} > ?`),
      falling: database.prepare(`SELECT max(${select}) AS next FROM incidents INDEXED BY ${index} WHERE ${select} < ?`),
    });
    this.#next = {
      source: next('source', 'incidents_by_source'),
      assignee: next('assignee', 'incidents_by_assignee'),
    };
  }

  /** The numbers of the incidents that the filters admit, apart from the exact times, behind the place in the query. */
  *numbers(query: ListQuery, head: number, onPause: OnPause): Generator<number> {
    const sort = query.sort ?? 'severity';
    const { key } = partsOf(sort);
    if (isByTime(key)) yield* this.#byTime(query, head, onPause);
    else yield* this.#byGroup(query, sort, head, onPause);
  }

  *#byGroup(query: ListQuery, sort: Sort, head: number, onPause: OnPause): Generator<number> {
    const range = this.#range(query, head);
    const recent = this.#recent(query);
    const attention = query.attention && this.#attention.of(query.attention);
    const { after } = query;
    let count = 0;
    for (const group of this.#groups(query, sort)) {
      if (count++ === MOST_GROUPS) return onPause(placeAt(sort, group.key, head + 1, head));
      const isResumed = after !== undefined && group.key === keyOfPlace(after);
      const within = isResumed ? { ...range, to: Math.min(range.to, after.seq - 1) } : range;
      const stretches = this.#stretches(query, group, within, attention);
      if (stretches.length === 0) continue;
      const others = this.#others(query, group, within, recent);
      const numbers =
        others.length === 0
          ? merged(stretches)
          : common(stretches, others.length === 1 ? others[0]! : new Intersection(others));
      const rank = sort === 'severity' || sort === '-severity' ? Number(group.key) : undefined;
      const paused: number | undefined = yield* attention === undefined ? numbers : attention.kept(numbers, rank);
      if (paused !== undefined) return onPause(placeAt(sort, group.key, paused + 1, head));
    }
  }

  /** The groups of an order, from the one of the place in the query on. */
  *#groups(query: ListQuery, sort: Sort): Generator<Group> {
    const { key, isFalling } = partsOf(sort);
    const from = query.after === undefined ? undefined : keyOfPlace(query.after);
    const all = (): boolean => true;
    if (key === 'source') {
      for (const source of this.#values('source', query.sources, isFalling, from)) {
        yield { key: source, admits: all, filter: { sources: [source] }, source };
      }
      return;
    }
    if (key === 'assignee') {
      const { assignees = [] } = query;
      const given = assignees.filter((name) => name !== null);
      const wanted = assignees.length > 0 && given.length === 0 ? [] : undefined;
      const names = from === null || wanted !== undefined ? [] : this.#values('assignee', given, isFalling, from);
      for (const name of names) yield { key: name, admits: all, filter: { assignees: [name] }, isSearched: true };
      if (assignees.length === 0 || assignees.includes(null)) {
        yield { key: null, admits: all, filter: { assignees: [null] }, isSearched: true };
      }
      return;
    }
    const groups = FIXED_GROUPS[key as keyof typeof FIXED_GROUPS];
    const ordered = isFalling ? groups.toReversed() : groups;
    yield* ordered.slice(
      from === undefined
        ? 0
        : Math.max(
            0,
            ordered.findIndex((group) => group.key === from),
          ),
    );
  }

  /** The sources or assignees on record, or those of them that are given, in order, from one on. */
  *#values(
    of: 'source' | 'assignee',
    given: readonly string[],
    isFalling: boolean,
    from?: SortedBy,
  ): Generator<string> {
    const isBefore = (one: string): boolean =>
      typeof from === 'string' && (isFalling ? compare(one, from) > 0 : compare(one, from) < 0);
    if (given.length > 0) {
      const ordered = [...new Set(given)].toSorted(compare);
      for (const one of isFalling ? ordered.toReversed() : ordered) if (!isBefore(one)) yield one;
      return;
    }
    if (typeof from === 'string') yield from;
    const next = isFalling ? this.#next[of].falling : this.#next[of].rising;
    // No name begins with a character that is above this one.
    let last = typeof from === 'string' ? from : isFalling ? '\u{10ffff}' : '';
    for (;;) {
      const value = next.get(last)?.next;
      if (typeof value !== 'string') return;
      last = value;
      yield value;
    }
  }

  /** One scan for each kind of incident that a group and the filters admit. */
  #stretches(query: ListQuery, group: Group, range: Range, attention: ListedAttention | undefined): readonly Scan[] {
    if (range.from > range.to) return [];
    const { source } = group;
    if (source !== undefined) {
      // Most sources have reported little: then one query is enough.
      const rows = this.#allOfSource.all(source);
      if (rows.length <= FETCH) {
        const numbers = (rows as unknown as readonly Timed[])
          .filter((row) => isAdmitted(query, kindOf(row)) && (attention?.admits(row) ?? true))
          .map(({ number }) => number)
          .filter((number) => number >= range.from && number <= range.to);
        return numbers.length === 0 ? [] : [new KnownNumbers(numbers.toSorted((one, other) => other - one))];
      }
    }
    const stretches: Scan[] = [];
    const sources = source === undefined ? new Set(query.sources) : [source];
    for (const row of this.#kinds.all()) {
      const kind = row as unknown as Kind;
      if (!isAdmitted(query, kind) || !group.admits(kind)) continue;
      const rank = SEVERITIES.indexOf(kind.severity);
      if (attention !== undefined) {
        stretches.push(...attention.scans({ state: kind.state, class: kind.class, rank, ...range }, [...sources]));
        continue;
      }
      const fetch = (statement: Statement, ...names: string[]) =>
        new IndexScan(range.to, (to) =>
          statement.all(...names, rank, range.from, to).map(({ number }) => Number(number)),
        );
      if (source === undefined && query.sources.length === 0)
        stretches.push(fetch(this.#ofKind, kind.state, kind.class));
      for (const one of sources) stretches.push(fetch(this.#ofSource, one, kind.state, kind.class));
    }
    return stretches;
  }

  /** What else the incidents of a group have to be in. */
  #others(query: ListQuery, group: Group, range: Range, recent: readonly number[] | undefined): readonly Scan[] {
    const others: Scan[] = [];
    if (isSearched(query) || group.isSearched === true)
      others.push(this.#matches({ ...filterOf(query), ...group.filter }, range));
    const statuses = query.containment ?? [];
    if (statuses.length > 0 && !statuses.includes('confirmed')) others.push(this.#ofContainment(statuses, range));
    if (recent !== undefined) {
      const known = new KnownNumbers(recent);
      known.skipTo(range.to);
      others.push(known);
    }
    return others;
  }

  #matches(filter: SearchFilter, range: Range): Scan {
    const query = searchQuery(filter);
    const options = hasBeginning(filter) ? BEGINNINGS : { size: FETCH };
    return new IndexScan(range.to, (to) => this.#search.find(query, range.from, to, options.size), options);
  }

  #ofContainment(statuses: readonly ContainmentStatus[], range: Range): Scan {
    const scans = statuses.map(
      (status) =>
        new IndexScan(range.to, (to) =>
          this.#contained.all(CONTAINMENT_COLUMN[status], range.from, to).map(({ number }) => Number(number)),
        ),
    );
    return new Union(scans);
  }

  /** The numbers of what has changed since a time, in falling order; undefined when they are many, or no time is given. */
  #recent({ updatedSince }: ListQuery): readonly number[] | undefined {
    if (updatedSince === undefined) return undefined;
    const numbers = this.#updated.all(updatedSince).map(({ number }) => Number(number));
    return numbers.length > FEW ? undefined : numbers.toSorted((one, other) => other - one);
  }

  /** Which numbers the incidents can have that were created in these hours, or that have the ids that are asked for. */
  #range(query: ListQuery, head: number): Range {
    let { from, to } = this.#hours.numbersBetween(query.since, query.until);
    for (const term of query.terms ?? []) {
      if (term.of !== 'id') continue;
      const number = Number(this.#numberOf.get(term.value)?.number ?? -1);
      [from, to] = number < from || number > to ? [1, 0] : [number, number];
    }
    return { from, to: Math.min(head, to) };
  }

  *#byTime(query: ListQuery, head: number, onPause: OnPause): Generator<number> {
    const sort = query.sort!;
    const { key, isFalling } = partsOf(sort);
    const few = this.#few(query, head);
    if (few === undefined) {
      yield* this.#inIndexOfTimes(query, sort, head, onPause);
      return;
    }
    const { column } = TIMES[key as TimeKey];
    const rows = this.#timedRows(
      `SELECT number, ${column} AS at FROM json_each(?) CROSS JOIN incidents ON number = value`,
      JSON.stringify(few),
    );
    const sign = isFalling ? -1 : 1;
    const { after } = query;
    for (const { number, at } of rows.toSorted(
      (one, other) => sign * (one.at - other.at || one.number - other.number),
    )) {
      const isBehind = after === undefined || sign * (at - Number(keyOfPlace(after)) || number - after.seq) > 0;
      if (isBehind) yield number;
    }
  }

  /** All numbers that the filters admit, in any order; undefined when they are many, or may be. */
  #few({ after: _, ...query }: ListQuery, head: number): readonly number[] | undefined {
    const isNarrow = ({ sources, attention, since, until, updatedSince, containment = [], terms = [] }: typeof query) =>
      isSearched(query) ||
      attention !== undefined ||
      sources.length > 0 ||
      containment.length > 0 ||
      terms.length > 0 ||
      since !== undefined ||
      until !== undefined ||
      updatedSince !== undefined;
    if (!isNarrow(query)) {
      const kinds = this.#kinds.all().filter((row) => isAdmitted(query, row as unknown as Kind));
      if (kinds.reduce((sum, { count }) => sum + Number(count), 0) > FEW) return undefined;
    }
    let isWhole = true;
    const numbers: number[] = [];
    const found = this.#byGroup(query, 'severity', head, () => (isWhole = false));
    for (const number of found) if (numbers.push(number) > FEW) return undefined;
    return isWhole ? numbers : undefined;
  }

  /** Looks at the incidents in the order of an index of times. */
  *#inIndexOfTimes(query: ListQuery, sort: Sort, head: number, onPause: OnPause): Generator<number> {
    const { key, isFalling } = partsOf(sort);
    const range = this.#range(query, head);
    const filter = filterOf(query);
    const search = isSearched(query) ? searchQuery(filter) : undefined;
    const attention = query.attention && this.#attention.of(query.attention);
    const most = Math.min(
      search !== undefined && hasBeginning(filter) ? MOST_LOOKED_AT_BEGINNINGS : MOST_LOOKED_AT,
      (attention?.looks ?? Infinity) * LOOKED_AT_ONCE,
    );
    const { least, greatest } = timesOf(query, key as TimeKey);
    let at = isFalling ? greatest : least;
    let seq = isFalling ? Number.MAX_SAFE_INTEGER : -1;
    if (query.after !== undefined) [at, seq] = [Number(keyOfPlace(query.after)), query.after.seq];
    for (let looked = 0; looked < most; looked += LOOKED_AT_ONCE) {
      const rows = this.#timesBehind(key as TimeKey, isFalling, at, seq);
      const within = rows.filter(
        (row) =>
          row.number >= range.from &&
          row.number <= range.to &&
          isAdmitted(query, kindOf(row)) &&
          ofSources(query, row) &&
          (attention?.admits(row) ?? true),
      );
      const found = search === undefined ? undefined : this.#among(search, within);
      const numbers = within.map(({ number }) => number).filter((number) => found?.has(number) ?? true);
      yield* attention === undefined ? numbers : attention.keptOf(numbers);
      const last = rows.at(-1);
      if (last === undefined || last.at < least || last.at > greatest) return;
      ({ at, number: seq } = last);
    }
    onPause(placeAt(sort, at, seq, head));
  }

  /** Those of some incidents that a search finds. */
  #among(search: string, rows: readonly Timed[]): ReadonlySet<number> {
    const numbers = rows.map(({ number }) => number);
    if (numbers.length === 0) return new Set();
    const from = Math.min(...numbers);
    const found = this.#search.find(search, from, Math.max(...numbers), FEW);
    if (found.length < FEW) return new Set(found);
    // What is looked for lies far apart.
    return new Set(numbers.filter((number) => this.#search.find(search, number, number, 1).length > 0));
  }

  /** The incidents behind a place in an index of times. */
  #timesBehind(key: TimeKey, isFalling: boolean, at: number, seq: number): readonly Timed[] {
    const { column, index } = TIMES[key];
    const select = `SELECT number, ${column} AS at, class, rank, state, source, attention FROM incidents INDEXED BY ${index}`;
    const [sign, order] = isFalling ? ['<', 'DESC'] : ['>', 'ASC'];
    const same = this.#timedRows(
      `${select} WHERE ${column} = ? AND number ${sign} ? ORDER BY number ${order} LIMIT ${LOOKED_AT_ONCE}`,
      at,
      seq,
    );
    if (same.length === LOOKED_AT_ONCE) return same;
    const others = this.#timedRows(
      `${select} WHERE ${column} ${sign} ? ORDER BY ${column} ${order}, number ${order} LIMIT ${LOOKED_AT_ONCE}`,
      at,
    );
    return [...same, ...others];
  }

  #timedRows(sql: string, ...values: (number | string)[]): readonly Timed[] {
    const statement = this.#timed.get(sql) ?? this.#database.prepare(sql);
    this.#timed.set(sql, statement);
    return statement.all(...values) as unknown as readonly Timed[];
  }
}

/** The groups of the orders that are known beforehand. */
const FIXED_GROUPS: Readonly<Record<'severity' | 'class' | 'state', readonly Group[]>> = {
  severity: SEVERITIES.map((severity, key) => ({
    key,
    admits: (kind) => kind.severity === severity,
    filter: { severities: [severity] },
  })),
  class: CLASSES.toSorted().map((name) => ({
    key: name,
    admits: (kind) => kind.class === name,
    filter: { classes: [name] },
  })),
  state: STATES.map((state, key) => ({ key, admits: (kind) => kind.state === state, filter: {} })),
};

/** By code point, as SQLite compares texts in UTF-8. */
const compare = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));

const isAdmitted = ({ classes, states, severities }: ListQuery, kind: Kind): boolean =>
  admits(severities, kind.severity) && admits(states, kind.state) && admits(classes, kind.class);

const ofSources = ({ sources }: ListQuery, { source }: Timed): boolean => admits(sources, source);

const kindOf = (row: Pick<Timed, 'class' | 'rank' | 'state'>): Kind => ({
  class: row.class,
  severity: SEVERITIES[row.rank]!,
  state: row.state,
});

/** What the search index finds of a query. */
const filterOf = (query: ListQuery): SearchFilter => ({
  words: query.words,
  terms: query.terms,
  classes: query.classes,
  resolutions: query.resolutions,
  by: query.by,
  assignees: query.assignees,
  snoozed: query.snoozed,
  evidence: query.evidence,
});

/** Whether only the search index knows what a query asks for. */
const isSearched = ({ words, terms = [], resolutions = [], by = [], assignees = [], snoozed }: ListQuery): boolean =>
  words?.length !== undefined && words.length > 0
    ? true
    : terms.some(({ of }) => of !== 'id') ||
      resolutions.length > 0 ||
      by.length > 0 ||
      assignees.length > 0 ||
      snoozed !== undefined;

const hasBeginning = ({ words = [] }: SearchFilter): boolean => words.some(({ isBeginning }) => isBeginning);

/** Between which times the incidents lie that a query admits. */
const timesOf = (
  { since, until, updatedSince }: ListQuery,
  key: TimeKey,
): { readonly least: number; readonly greatest: number } =>
  key === 'updated'
    ? { least: updatedSince ?? 0, greatest: Number.MAX_SAFE_INTEGER }
    : { least: since ?? 0, greatest: until ?? Number.MAX_SAFE_INTEGER };
