/**
 * The list of incidents, by default the most severe first, then the newest: its pages, as bytes that are ready to be sent.
 * Which incidents are on them, and in which order, is found in `list-walk.ts`.
 */
import { type State, STATES } from '../../machines/vocabulary.ts';
import type { Database, Statement } from './database.ts';
import { CONTAINMENT_COLUMN } from './incidents.ts';
import { FETCH } from './index-scan.ts';
import type { Cursor, ListQuery, Sort, SortedBy, SortKey } from './list-query.ts';
import { ListWalk, partsOf, placeAt } from './list-walk.ts';
import { Search } from './search.ts';

export type { Cursor, ListQuery } from './list-query.ts';

/** What stands for the incidents of the same severity, state, class and source in a collapsed list. Times: RFC 3339. */
export interface Alike {
  /** How many more there are on the page. */
  readonly count: number;
  /** When the first and the last of those were created. */
  readonly since: string;
  readonly until: string;
}

export interface ListPage {
  /** JSON text in UTF-8, ready to be sent. */
  readonly documents: readonly Uint8Array[];
  /** Where the next page begins, when there is one. */
  readonly next?: Cursor;
  /** What a search has not looked at; undefined when it was complete. */
  readonly unsearched?: readonly Unsearched[];
}

/**
 * What a search does not look at: evidence that the reader may not see, and what the index leaves out of the evidence of
 * some incident, or of its notes.
 */
export type Unsearched = 'withheld' | 'evidence' | 'notes';

/**
 * The most that one page may hold, in bytes, unless a single item is longer: it has to fit in memory, and no other request
 * is answered while it is made. A thousand incidents with little evidence fit.
 */
export const MAX_PAGE_BYTES = 1024 * 1024;
/** How many incidents a page of a collapsed list looks at: no other request is answered meanwhile. */
const LOOKED_AT = 1024;
/** How many incidents a page looks at that exact times or the containment leave out. */
const MOST_LEFT_OUT = 4096;

/** What the list is ordered by, as a column. */
const COLUMNS: Readonly<Record<SortKey, string>> = {
  severity: 'rank',
  created: 'created_at',
  updated: 'updated_at',
  class: 'class',
  source: 'source',
  state: 'state',
  assignee: 'assignee',
};

/** Whether an incident is admitted by its own columns: `?2` to `?5` are those of `boundsOf`. */
const ADMITTED =
  'created_at >= ?2 AND created_at < ?3 AND updated_at >= ?4 AND (?5 = 0 OR (?5 >> containment) & 1 = 1)';

export class IncidentList {
  readonly #database: Database;
  readonly #walk: ListWalk;
  readonly #search: Search;
  readonly #newest: Statement;
  readonly #idOf: Statement;
  readonly #documents: Statement;
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
    this.#walk = new ListWalk(database);
    this.#search = new Search(database);
    this.#newest = database.prepare('SELECT max(number) AS number FROM incidents');
    this.#idOf = database.prepare('SELECT id FROM incidents WHERE number = ?');
    this.#documents = database.prepare(`
      SELECT CAST(document AS BLOB) AS document FROM json_each(?) CROSS JOIN incidents ON number = value ORDER BY key`);
  }

  /** The identifier of the incident with this number; undefined when it is not on record. */
  idOf(number: number): string | undefined {
    const id = this.#idOf.get(number)?.id;
    return id === undefined ? undefined : String(id);
  }

  /**
   * A page of the list. Later pages leave out what was reported since the first. What changes its place meanwhile may be
   * on none of them, or on two. A page ends early when it is very long, or when a search takes long: it may hold little
   * then, or nothing.
   */
  read(query: ListQuery): ListPage {
    const page = query.collapsed ? this.#readCollapsed(query) : this.#readAll(query);
    const unsearched = this.#unsearched(query);
    return unsearched.length === 0 ? page : { ...page, unsearched };
  }

  #unsearched({ words = [], terms = [], evidence = false }: ListQuery): readonly Unsearched[] {
    const hasWords = words.length > 0;
    const unsearched: Unsearched[] = [];
    if (hasWords && !evidence) unsearched.push('withheld');
    if (evidence && (hasWords || terms.some(({ of }) => of === 'evidence')) && this.#search.isCut('evidence')) {
      unsearched.push('evidence');
    }
    if (hasWords && this.#search.isCut('notes')) unsearched.push('notes');
    return unsearched;
  }

  #readAll(query: ListQuery): ListPage {
    const { after, limit, bytes: mostBytes = MAX_PAGE_BYTES, sort = 'severity' } = query;
    const head = after?.head ?? Number(this.#newest.get()?.number ?? 0);
    let next: Cursor | undefined;
    const numbers = this.#walk.numbers(query, head, (pause) => {
      next = pause;
    });
    // Many in one query, and as bytes: one query for each, and decoding, would take longer than all the rest.
    const rows = this.#rows(sort, `CASE WHEN ${ADMITTED} THEN CAST(document AS BLOB) END AS document`);
    const bounds = boundsOf(query);
    const documents: Uint8Array[] = [];
    let bytes = 0;
    let last: Cursor | undefined;
    for (let leftOut = 0; ;) {
      const some = take(numbers, Math.min(FETCH, limit + 1 - documents.length));
      if (some.length === 0) return next === undefined ? { documents } : { documents, next };
      // One by one: of large ones many more would be read than the page can hold.
      for (const row of rows.iterate(JSON.stringify(some), ...bounds)) {
        const document = row.document as Uint8Array | null;
        if (document === null) {
          leftOut += 1;
          continue;
        }
        const full = documents.length === limit || bytes + document.length > mostBytes;
        if (full && documents.length > 0) return { documents, next: last! };
        documents.push(document);
        bytes += document.length;
        last = placeOf(row, sort, head);
      }
      if (leftOut < MOST_LEFT_OUT) continue;
      const place = this.#place(some.at(-1)!, sort, head);
      return place === undefined ? { documents } : { documents, next: place };
    }
  }

  /** The place behind an incident. */
  #place(number: number, sort: Sort, head: number): Cursor | undefined {
    const row = this.#rows(sort, 'NULL').get(JSON.stringify([number]));
    return row === undefined ? undefined : placeOf(row, sort, head);
  }

  /** Reads what is given by numbers, in their order: number, what the list is ordered by as `place`, and more. */
  #rows(sort: Sort, columns: string): Statement {
    const sql = `
      SELECT number, ${COLUMNS[partsOf(sort).key]} AS place, ${columns}
      FROM json_each(?1) CROSS JOIN incidents ON number = value ORDER BY key`;
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** The newest of those that are alike, each with what it stands for. The next page may go on with the same ones. */
  #readCollapsed(query: ListQuery): ListPage {
    const { after, sort = 'severity' } = query;
    const head = after?.head ?? Number(this.#newest.get()?.number ?? 0);
    let next: Cursor | undefined;
    const numbers = this.#walk.numbers(query, head, (pause) => {
      next = pause;
    });
    const rows = this.#rows(
      sort,
      `rank, state, class, source, created_at, octet_length(document) AS bytes, ${ADMITTED} AS admitted`,
    );
    const bounds = boundsOf(query);
    const page = new CollapsedPage(query.limit, query.bytes);
    let last: Cursor | undefined;
    let isFull = false;
    for (let looked = 0; !isFull && looked < LOOKED_AT; looked += FETCH) {
      const some = take(numbers, FETCH);
      if (some.length === 0) break;
      for (const row of rows.all(JSON.stringify(some), ...bounds)) {
        isFull = row.admitted === 1 && !page.take(row as unknown as Outline);
        if (isFull) break;
        last = placeOf(row, sort, head);
      }
      if (isFull || looked + FETCH >= LOOKED_AT) next = last;
    }
    const groups = page.groups;
    const documents = this.#documents
      .all(JSON.stringify(groups.map(({ number }) => number)))
      .map(({ document }, at) => withAlike(document as Uint8Array, groups[at]!));
    return next === undefined ? { documents } : { documents, next };
  }
}

/** The values of `ADMITTED`. */
function boundsOf({ since, until, updatedSince, containment = [] }: ListQuery): [number, number, number, number] {
  const mask = containment.reduce((bits, status) => bits | (1 << CONTAINMENT_COLUMN[status]), 0);
  return [since ?? Number.MIN_SAFE_INTEGER, until ?? Number.MAX_SAFE_INTEGER, updatedSince ?? 0, mask];
}

/** The place behind the incident of a row. */
function placeOf({ number, place }: Readonly<Record<string, unknown>>, sort: Sort, head: number): Cursor {
  const key = partsOf(sort).key === 'state' ? STATES.indexOf(place as State) : (place as SortedBy);
  return placeAt(sort, key, Number(number), head);
}

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
interface Outline {
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
  take({ number, rank, state, class: ofClass, source, created_at: at, bytes }: Outline): boolean {
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
