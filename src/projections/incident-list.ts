/**
 * The list of incidents, most severe first, then newest.
 *
 * In the index, incidents of one source (when sources are given), state, class and severity follow each other in the order
 * of the list. A page is merged from one scan for each combination that the filters admit, one severity after the other,
 * and no row is read that does not belong to the page: so a page costs the same whatever the number of incidents and
 * however rare the matches. Times narrow the scans to the numbers that were given in those hours.
 *
 * Words are found in an index of their own, which is one more scan: the list is what the other scans have in common with
 * it. When they have little in common that could take long: then the page ends early, and the next one goes on.
 */
import {
  type ContainmentStatus,
  type IncidentClass,
  type Resolution,
  SEVERITIES,
  type Severity,
  type State,
} from '../../machines/vocabulary.ts';
import type { Attention, AttentionFilter, ListedAttention } from './attention.ts';
import type { Database, Statement } from './database.ts';
import { Hours, type Range } from './hours.ts';
import { Search, searchQuery } from './search.ts';
import type { SearchWord } from './search-words.ts';
import { common, FETCH, merged, IndexScan } from './index-scan.ts';

/** A place in the list: behind the incident of this severity rank and number, seen from when `head` was the newest. */
export interface Cursor {
  readonly rank: number;
  readonly seq: number;
  readonly head: number;
  /** Which log it is a place in; undefined for whatever log is there. */
  readonly log?: string;
}

/** What to list. An empty list of values stands for all of them. */
export interface ListQuery {
  readonly classes: readonly IncidentClass[];
  readonly states: readonly State[];
  readonly severities: readonly Severity[];
  readonly sources: readonly string[];
  /** Words that all have to occur in id, source or description. */
  readonly words?: readonly SearchWord[];
  /** What they turned out to be; an empty list, or none, for any, also for those of which nobody has said it. */
  readonly resolutions?: readonly Resolution[];
  /** By attention and silences; undefined for whatever needs attention or not, and is silenced or not. */
  readonly attention?: AttentionFilter;
  /** On `created_at`, in milliseconds since the epoch: from `since` on, before `until`. */
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
  /** How many bytes the page may hold, unless a single item is longer; at most and by default `MAX_PAGE_BYTES`. */
  readonly bytes?: number;
  readonly after?: Cursor;
  /** Whether incidents of one source that are alike are one item. */
  readonly collapsed?: boolean;
}

/** What stands for the incidents of the same severity, state, class and source in a collapsed list. Times: RFC 3339. */
export interface Alike {
  /** How many more there are on the page. */
  readonly count: number;
  /** When the first and the last of those were created. */
  readonly since: string;
  readonly until: string;
}

/** What is looked at of an incident to group it, or to give it a command. */
export interface Outline {
  readonly number: number;
  readonly id: string;
  /** Of its severity: the most severe is 0. */
  readonly rank: number;
  readonly state: State;
  readonly class: IncidentClass;
  readonly source: string;
  /** Whose it is; null for nobody's. */
  readonly assignee: string | null;
  /** How far its containment is; null when none was asked for. */
  readonly containment: ContainmentStatus | null;
  /** 0 unless it is a drill. */
  readonly drill: number;
}

interface TimedOutline extends Outline {
  readonly created_at: number;
}

/** A few incidents of a list, and the place behind them. */
export interface WalkSlice {
  readonly outlines: readonly Outline[];
  readonly place: Cursor;
}

/** The place before the first incident of a list. */
export const beginningAt = (head: number): Cursor => ({ rank: 0, seq: head + 1, head });

export interface ListPage {
  /** JSON text in UTF-8, ready to be sent. */
  readonly documents: readonly Uint8Array[];
  /** Where the next page begins, when there is one. */
  readonly next?: Cursor;
  /** How many incidents the filters select, where that is known without looking at them. */
  readonly total?: number | undefined;
}

/**
 * The most that one page may hold, in bytes, unless a single item is longer: it has to fit in memory, and no other request
 * is answered while it is made. A thousand incidents with little evidence fit.
 */
export const MAX_PAGE_BYTES = 1024 * 1024;
/** How many incidents a page of a collapsed list looks at: no other request is answered meanwhile. */
const LOOKED_AT = 1024;
/** How many bytes of documents a slice of a walk reads at once: no other request is answered meanwhile. */
const WALKED_BYTES = 256 * 1024;
/** Each fetch of a prefix search gathers all its matches again: so there may be few fetches, and large ones. */
const BEGINNINGS = { size: 2048, fetches: 3 };

export class IncidentList {
  readonly #newest: Statement;
  readonly #idOf: Statement;
  readonly #hours: Hours;
  readonly #kinds: Statement;
  readonly #ofKind: Statement;
  readonly #ofSource: Statement;
  readonly #rows: Statement;
  readonly #sizes: Statement;
  readonly #outlines: Statement;
  readonly #population: Statement;
  readonly #search: Search;
  readonly #attention: Pick<Attention, 'of'>;

  constructor(database: Database, attention: Pick<Attention, 'of'>) {
    this.#search = new Search(database);
    this.#attention = attention;
    this.#newest = database.prepare('SELECT max(number) AS number FROM incidents');
    this.#idOf = database.prepare('SELECT id FROM incidents WHERE number = ?');
    this.#hours = new Hours(database);
    this.#kinds = database.prepare('SELECT DISTINCT class, severity, state FROM population WHERE count > 0');
    this.#ofKind = database.prepare(`
      SELECT number FROM incidents INDEXED BY incidents_by_kind
      WHERE state = ? AND class = ? AND rank = ? AND number BETWEEN ? AND ? ORDER BY number DESC LIMIT ${FETCH}`);
    this.#ofSource = database.prepare(`
      SELECT number FROM incidents INDEXED BY incidents_by_source
      WHERE source = ? AND state = ? AND class = ? AND rank = ? AND number BETWEEN ? AND ?
      ORDER BY number DESC LIMIT ${FETCH}`);
    // Many in one query, and as bytes: one query for each, and decoding, would take longer than all the rest.
    this.#rows = database.prepare(`
      SELECT number, rank, created_at, CAST(document AS BLOB) AS document
      FROM json_each(?) CROSS JOIN incidents ON number = value ORDER BY key`);
    this.#sizes = database.prepare(`
      SELECT number, rank, state, class, source, created_at, octet_length(document) AS bytes
      FROM json_each(?) CROSS JOIN incidents ON number = value ORDER BY key`);
    this.#outlines = database.prepare(`
      SELECT number, incidents.id, rank, state, class, source, created_at, drill,
        document ->> '$.assignee' AS assignee, document ->> '$.containment.status' AS containment
      FROM json_each(?) CROSS JOIN incidents ON number = value ORDER BY key`);
    this.#population = database.prepare('SELECT class, severity, state, count FROM population');
  }

  /** The number of the newest incident; 0 when there is none. */
  get newest(): number {
    return Number(this.#newest.get()?.number ?? 0);
  }

  #total(query: ListQuery): number | undefined {
    if (!hasOnly(query, OF_KIND)) return undefined;
    const { classes, states, severities } = query;
    let total = 0;
    for (const row of this.#population.all()) {
      const isAdmitted =
        admits(classes, row.class as IncidentClass) &&
        admits(states, row.state as State) &&
        admits(severities, row.severity as Severity);
      if (isAdmitted) total += Number(row.count);
    }
    return total;
  }

  /** The identifier of the incident with this number; undefined when it is not on record. */
  idOf(number: number): string | undefined {
    const id = this.#idOf.get(number)?.id;
    return id === undefined ? undefined : String(id);
  }

  /**
   * A page of the list. Later pages leave out what was reported since the first. A page ends early when it is very long,
   * or when a search takes long: it may hold little then, or nothing.
   */
  read(query: ListQuery): ListPage {
    const page = query.collapsed ? this.#readCollapsed(query) : this.#readAll(query);
    return { ...page, total: this.#total(query) };
  }

  #readAll(query: ListQuery): ListPage {
    const { after, limit, bytes: mostBytes = MAX_PAGE_BYTES, since = -Infinity, until = Infinity } = query;
    const head = after?.head ?? this.newest;
    let next: Cursor | undefined;
    const numbers = this.#numbers(query, head, (pause) => {
      next = pause;
    });
    const documents: Uint8Array[] = [];
    let bytes = 0;
    let last: Cursor | undefined;
    for (;;) {
      const some = take(numbers, Math.min(FETCH, limit + 1 - documents.length));
      if (some.length === 0) return next === undefined ? { documents } : { documents, next };
      // One by one: of large ones many more would be read than the page can hold.
      for (const row of this.#rows.iterate(JSON.stringify(some))) {
        const createdAt = Number(row.created_at);
        if (createdAt < since || createdAt >= until) continue;
        const document = row.document as Uint8Array;
        const full = documents.length === limit || bytes + document.length > mostBytes;
        if (full && last !== undefined) return { documents, next: last };
        documents.push(document);
        bytes += document.length;
        last = { rank: Number(row.rank), seq: Number(row.number), head };
      }
    }
  }

  /** The newest of those that are alike, each with what it stands for. The next page may go on with the same ones. */
  #readCollapsed(query: ListQuery): ListPage {
    const { after, since = -Infinity, until = Infinity } = query;
    const head = after?.head ?? this.newest;
    let next: Cursor | undefined;
    const numbers = this.#numbers(query, head, (pause) => {
      next = pause;
    });
    const page = new CollapsedPage(query.limit, query.bytes);
    let last: Cursor | undefined;
    let isFull = false;
    for (let looked = 0; !isFull && looked < LOOKED_AT; looked += FETCH) {
      const some = take(numbers, FETCH);
      if (some.length === 0) break;
      for (const row of this.#sizes.all(JSON.stringify(some))) {
        const createdAt = Number(row.created_at);
        isFull = createdAt >= since && createdAt < until && !page.take(row as unknown as Sized);
        if (isFull) break;
        last = { rank: Number(row.rank), seq: Number(row.number), head };
      }
      if (isFull || looked + FETCH >= LOOKED_AT) next = last;
    }
    const groups = page.groups;
    const rows = this.#rows.all(JSON.stringify(groups.map(({ number }) => number)));
    const documents = rows.map(({ document }, at) => withAlike(document as Uint8Array, groups[at]!));
    return next === undefined ? { documents } : { documents, next };
  }

  /**
   * All incidents that the filters admit, in the order of the list, a few at a time: the record may go on in between. A
   * slice may hold none: times left them out, or a search has looked long without finding any.
   */
  *walk(query: ListQuery): Generator<WalkSlice, undefined> {
    const { since = -Infinity, until = Infinity } = query;
    const head = query.after?.head ?? this.newest;
    for (let place: Cursor | undefined | null = query.after; place !== null;) {
      let next: Cursor | null = null;
      const numbers = this.#numbers(place === undefined ? query : { ...query, after: place }, head, (pause) => {
        next = pause;
      });
      for (let some = take(numbers, FETCH); some.length > 0; some = take(numbers, FETCH)) {
        for (const few of this.#inParts(some)) {
          const rows = this.#outlines.all(JSON.stringify(few)) as unknown as readonly TimedOutline[];
          const outlines = rows.filter(({ created_at: at }) => at >= since && at < until);
          const last = rows.at(-1);
          if (last !== undefined) yield { outlines, place: { rank: last.rank, seq: last.number, head } };
        }
      }
      place = next;
      if (place !== null) yield { outlines: [], place };
    }
    return undefined;
  }

  /** Numbers in parts whose documents are not long together, unless a single one is: all of a part are read at once. */
  #inParts(numbers: readonly number[]): readonly (readonly number[])[] {
    const parts: number[][] = [];
    let bytes = Number.POSITIVE_INFINITY;
    for (const row of this.#sizes.all(JSON.stringify(numbers))) {
      bytes += Number(row.bytes);
      if (bytes > WALKED_BYTES) {
        parts.push([]);
        bytes = Number(row.bytes);
      }
      parts.at(-1)!.push(Number(row.number));
    }
    return parts;
  }

  /** The numbers of the incidents that the filters admit, apart from the exact times, after the cursor. */
  *#numbers(query: ListQuery, head: number, onPause: (pause: Cursor) => void): Generator<number> {
    const hours = this.#hours.numbersBetween(query.since, query.until);
    const range = { from: hours.from, to: Math.min(head, hours.to) };
    const { after } = query;
    const first = after?.rank ?? 0;
    const attention = query.attention && this.#attention.of(query.attention);
    for (let rank = first; rank < SEVERITIES.length; rank++) {
      const to = rank === after?.rank ? Math.min(range.to, after.seq - 1) : range.to;
      const stretches = this.#stretches(query, rank, { ...range, to }, attention);
      if (stretches.length === 0) continue;
      const numbers =
        query.words === undefined && (query.resolutions ?? []).length === 0
          ? merged(stretches)
          : common(stretches, this.#matches(query, rank, { ...range, to }));
      const paused: number | undefined = yield* attention === undefined ? numbers : attention.kept(numbers, rank);
      if (paused === undefined) continue;
      onPause({ rank, seq: paused + 1, head });
      return;
    }
  }

  #matches({ words = [], classes, resolutions }: ListQuery, rank: number, range: Range): IndexScan {
    const query = searchQuery(words, SEVERITIES[rank]!, classes, resolutions);
    const options = words.some(({ isBeginning }) => isBeginning) ? BEGINNINGS : { size: FETCH };
    return new IndexScan(range.to, (to) => this.#search.find(query, range.from, to, options.size), options);
  }

  #stretches(
    { classes, states, severities, sources }: ListQuery,
    rank: number,
    range: Range,
    attention: ListedAttention | undefined,
  ): IndexScan[] {
    const severity = SEVERITIES[rank]!;
    if (!admits(severities, severity) || range.from > range.to) return [];
    const stretches: IndexScan[] = [];
    for (const row of this.#kinds.all()) {
      const state = row.state as State;
      const ofClass = row.class as IncidentClass;
      if (row.severity !== severity || !admits(states, state) || !admits(classes, ofClass)) continue;
      if (attention !== undefined) {
        stretches.push(...attention.scans({ state, class: ofClass, rank, ...range }, [...new Set(sources)]));
        continue;
      }
      const fetch = (statement: Statement, ...kind: string[]) =>
        new IndexScan(range.to, (to) =>
          statement.all(...kind, rank, range.from, to).map(({ number }) => Number(number)),
        );
      if (sources.length === 0) stretches.push(fetch(this.#ofKind, state, ofClass));
      for (const source of new Set(sources)) stretches.push(fetch(this.#ofSource, source, state, ofClass));
    }
    return stretches;
  }
}

/** The members of a query that do not select incidents. */
const NOT_SELECTING = ['limit', 'bytes', 'after', 'collapsed', 'sort'];
const OF_KIND = ['classes', 'states', 'severities'];

/** Whether a query selects incidents by these filters only. */
export const hasOnly = (query: ListQuery, filters: readonly string[]): boolean =>
  Object.entries(query).every(
    ([name, value]: [string, unknown]) =>
      filters.includes(name) ||
      NOT_SELECTING.includes(name) ||
      value === undefined ||
      (Array.isArray(value) && value.length === 0),
  );

/** Whether a list of values admits one; an empty list admits all. */
export const admits = <Value>(values: readonly Value[], value: Value): boolean =>
  values.length === 0 || values.includes(value);

/** The next few of the values, at most `count`. */
function take<Value>(values: Iterator<Value>, count: number): Value[] {
  const taken: Value[] = [];
  while (taken.length < count) {
    const { value, done } = values.next();
    if (done === true) break;
    taken.push(value);
  }
  return taken;
}

/** What a collapsed page looks at of an incident. */
interface Sized {
  readonly number: number;
  readonly rank: number;
  readonly state: string;
  readonly class: string;
  readonly source: string;
  readonly created_at: number;
  /** How long its document is. */
  readonly bytes: number;
}

/** Incidents that are alike: the newest of them, and the others. */
interface Group {
  readonly number: number;
  count: number;
  first: number;
  last: number;
}

class CollapsedPage {
  readonly #limit: number;
  readonly #mostBytes: number;
  readonly #groups = new Map<string, Group>();
  #bytes = 0;

  constructor(limit: number, mostBytes = MAX_PAGE_BYTES) {
    this.#limit = limit;
    this.#mostBytes = mostBytes;
  }

  /** In the order of the list. */
  get groups(): readonly Group[] {
    return [...this.#groups.values()];
  }

  /** Takes the next incident; false when it belongs on the next page. */
  take({ number, rank, state, class: ofClass, source, created_at: at, bytes }: Sized): boolean {
    const key = JSON.stringify([rank, state, ofClass, source]);
    const group = this.#groups.get(key);
    if (group !== undefined) {
      group.first = group.count === 0 ? at : Math.min(group.first, at);
      group.last = group.count === 0 ? at : Math.max(group.last, at);
      group.count += 1;
      return true;
    }
    const size = this.#groups.size;
    if (size === this.#limit || (size > 0 && this.#bytes + bytes > this.#mostBytes)) return false;
    this.#groups.set(key, { number, count: 0, first: at, last: at });
    this.#bytes += bytes;
    return true;
  }
}

/** The document of an incident with what it stands for as its last member, `alike`. */
function withAlike(document: Uint8Array, { count, first, last }: Group): Uint8Array {
  if (count === 0) return document;
  const alike: Alike = { count, since: new Date(first).toISOString(), until: new Date(last).toISOString() };
  return Buffer.concat([document.subarray(0, -1), Buffer.from(`,"alike":${JSON.stringify(alike)}}`)]);
}
