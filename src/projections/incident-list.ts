/**
 * The list of incidents, by default the most severe first, then the newest: its pages, as bytes that are ready to be sent.
 * Which incidents are on them, and in which order, is found in `list-walk.ts`.
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
import type { Attention } from './attention.ts';
import type { Database, Statement } from './database.ts';
import { CONTAINMENT_COLUMN, CONTAINMENT_STATUS } from '../domain/incident-columns.ts';
import { FETCH } from './index-scan.ts';
import {
  admits,
  type Cursor,
  hasOnly,
  type ListQuery,
  type Sort,
  type SortedBy,
  type SortKey,
  type UsualPlace,
} from '../query/list-query.ts';
import {
  CollapsedPage,
  MAX_PAGE_BYTES,
  MAX_SUMMARY_PAGE_BYTES,
  type Sized,
  withAlike,
} from '../query/collapsed-page.ts';
import { ListWalk, partsOf, placeAt } from './list-walk.ts';
import { Search } from './search.ts';

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

/** A few incidents of a list, and the place behind them. */
export interface WalkSlice {
  readonly outlines: readonly Outline[];
  readonly place: UsualPlace;
}

export interface ListPage {
  /** JSON text in UTF-8, ready to be sent; where the query says so, several in one, with commas between. */
  readonly documents: readonly Uint8Array[];
  /** Where the next page begins, when there is one. */
  readonly next?: Cursor;
  /** How many incidents the filters select, where that is known without looking at them. */
  readonly total?: number | undefined;
  /** What a search has not looked at; undefined when it was complete. */
  readonly unsearched?: readonly Unsearched[];
}

/**
 * What a search does not look at: evidence that the reader may not see, and what the index leaves out of the evidence of
 * some incident, or of its notes.
 */
export type Unsearched = 'withheld' | 'evidence' | 'notes';

/** How many incidents a page of a collapsed list looks at: no other request is answered meanwhile. */
const LOOKED_AT = 1024;
/** How many incidents a page looks at that exact times or the containment leave out. */
const MOST_LEFT_OUT = 4096;
/** The filters of which the counts of the population know. */
const OF_KIND = ['classes', 'states', 'severities'];
/** How many incidents are counted one by one for the total of a list: some milliseconds. */
const MOST_COUNTED = 100_000;

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

/** An incident without its details, but with `,` for its last byte: see domain/document.ts. */
const SUMMARY = 'substr(CAST(document AS BLOB), 1, summary)';
const WHOLE = 'CAST(document AS BLOB)';
/** Those of several incidents, as the members of a list: without the commas in the place of their last bytes. */
const JOINED = `CAST(group_concat(substr(CAST(document AS BLOB), 1, summary - 1), '},') || '}' AS BLOB)`;

export class IncidentList {
  readonly #database: Database;
  readonly #walk: ListWalk;
  readonly #search: Search;
  readonly #newest: Statement;
  readonly #idOf: Statement;
  readonly #documents: Statement;
  readonly #summaries: Statement;
  readonly #outlines: Statement;
  readonly #population: Statement;
  readonly #ofSources: Statement;
  readonly #between: Statement;
  readonly #attention: Pick<Attention, 'count'>;
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database, attention: Pick<Attention, 'of' | 'count'>) {
    this.#database = database;
    this.#walk = new ListWalk(database, attention);
    this.#search = new Search(database);
    this.#newest = database.prepare('SELECT max(number) AS number FROM incidents');
    this.#idOf = database.prepare('SELECT id FROM incidents WHERE number = ?');
    this.#documents = database.prepare(`
      SELECT CAST(document AS BLOB) AS document FROM json_each(?) CROSS JOIN incidents ON number = value ORDER BY key`);
    this.#summaries = database.prepare(`
      SELECT ${SUMMARY} AS document FROM json_each(?) CROSS JOIN incidents ON number = value ORDER BY key`);
    this.#outlines = database.prepare(`
      SELECT number, incidents.id, rank, state, class, source, assignee, containment, drill, ${ADMITTED} AS admitted
      FROM json_each(?1) CROSS JOIN incidents ON number = value ORDER BY key`);
    this.#attention = attention;
    this.#ofSources = database.prepare(`
      SELECT count(*) AS count FROM (
        SELECT 1 FROM incidents INDEXED BY incidents_by_source
        WHERE source IN (SELECT value FROM json_each(?)) AND state IN (SELECT value FROM json_each(?))
          AND class IN (SELECT value FROM json_each(?)) AND rank IN (SELECT value FROM json_each(?))
        LIMIT ${MOST_COUNTED + 1})`);
    this.#between = database.prepare(`
      SELECT count(*) AS count FROM (
        SELECT 1 FROM incidents INDEXED BY incidents_by_creation
        WHERE created_at >= ? AND created_at < ? LIMIT ${MOST_COUNTED + 1})`);
    this.#population = database.prepare('SELECT class, severity, state, count FROM population');
  }

  /** The number of the newest incident; 0 when there is none. */
  get newest(): number {
    return Number(this.#newest.get()?.number ?? 0);
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
    const unsearched = this.unsearched(query);
    return { ...page, total: this.#total(query), ...(unsearched.length > 0 && { unsearched }) };
  }

  #total(query: ListQuery): number | undefined {
    const { classes, states, severities, sources, attention, since, until } = query;
    if (attention !== undefined && hasOnly(query, ['attention']) && attention.needed && attention.silenced !== true) {
      return this.#attention.count(attention.at);
    }
    if (sources.length > 0 && hasOnly(query, [...OF_KIND, 'sources'])) {
      return unlessMany(
        this.#ofSources.get(
          JSON.stringify(sources),
          JSON.stringify(states.length === 0 ? STATES : states),
          JSON.stringify(classes.length === 0 ? CLASSES : classes),
          JSON.stringify((severities.length === 0 ? SEVERITIES : severities).map((one) => SEVERITIES.indexOf(one))),
        ),
      );
    }
    if ((since ?? until) !== undefined && hasOnly(query, ['since', 'until'])) {
      return unlessMany(this.#between.get(since ?? Number.MIN_SAFE_INTEGER, until ?? Number.MAX_SAFE_INTEGER));
    }
    if (!hasOnly(query, OF_KIND)) return undefined;
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

  /** What a search for this does not look at; an empty list when it is complete. */
  unsearched({
    words = [],
    terms = [],
    evidence = false,
  }: Pick<ListQuery, 'words' | 'terms' | 'evidence'>): readonly Unsearched[] {
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
    const { after, limit, sort = 'severity', isSummary = false, isJoined = false } = query;
    const mostBytes = mostBytesOf(query);
    const head = after?.head ?? this.newest;
    let next: Cursor | undefined;
    const numbers = this.#walk.numbers(query, head, (pause) => {
      next = pause;
    });
    // Many in one query, and as bytes: one query for each, and decoding, would take longer than all the rest.
    const rows = this.#rows(sort, `CASE WHEN ${ADMITTED} THEN ${isSummary ? SUMMARY : WHOLE} END AS document`);
    const bounds = boundsOf(query);
    const documents: Uint8Array[] = [];
    let count = 0;
    let bytes = 0;
    let last: Cursor | undefined;
    for (let leftOut = 0; ;) {
      const joins = isSummary && isJoined && count < limit;
      // One more than the page holds tells whether there is a next page.
      const some = take(numbers, Math.min(FETCH, limit - count + (joins ? 0 : 1)));
      if (some.length === 0) return next === undefined ? { documents } : { documents, next };
      const joined = joins ? this.#joined(some, sort, bounds) : undefined;
      if (joined !== undefined && bytes + joined.bytes <= mostBytes) {
        leftOut += some.length - joined.count;
        if (joined.count > 0) {
          documents.push(joined.documents);
          last = placeOf(joined.last, sort, head);
        }
        count += joined.count;
        bytes += joined.bytes;
      } else {
        // One by one: of large ones many more would be read than the page can hold.
        for (const row of rows.iterate(JSON.stringify(some), ...bounds)) {
          const document = row.document as Uint8Array | null;
          if (document === null) {
            leftOut += 1;
            continue;
          }
          const full = count === limit || bytes + document.length > mostBytes;
          if (full && count > 0) return { documents, next: last! };
          documents.push(isSummary ? ended(document) : document);
          count += 1;
          bytes += document.length;
          last = placeOf(row, sort, head);
        }
      }
      if (leftOut < MOST_LEFT_OUT) continue;
      const place = this.#place(some.at(-1)!, sort, head);
      return place === undefined ? { documents } : { documents, next: place };
    }
  }

  /**
   * The incidents among these that the bounds admit, without their details, in one text: a row for each takes three times
   * as long without a compiler. How many they are, how long, and the row of the last.
   */
  #joined(some: readonly number[], sort: Sort, bounds: ReturnType<typeof boundsOf>) {
    // SQLite gives the row of the greatest key, and joins texts in the order in which it reads the rows, which is that of
    // the numbers: the list is the outer loop.
    const sql = `
      SELECT count(*) AS count, total(summary) AS bytes, max(key), number, ${COLUMNS[partsOf(sort).key]} AS place,
        ${JOINED} AS documents
      FROM json_each(?1) CROSS JOIN incidents ON number = value WHERE ${ADMITTED}`;
    const row = this.#statement(sql).get(JSON.stringify(some), ...bounds)!;
    return {
      count: Number(row.count),
      bytes: Number(row.bytes),
      documents: row.documents as Uint8Array,
      last: row,
    };
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
    return this.#statement(sql);
  }

  #statement(sql: string): Statement {
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** The newest of those that are alike, each with what it stands for. The next page may go on with the same ones. */
  #readCollapsed(query: ListQuery): ListPage {
    const { after, sort = 'severity', isSummary = false } = query;
    const head = after?.head ?? this.newest;
    let next: Cursor | undefined;
    const numbers = this.#walk.numbers(query, head, (pause) => {
      next = pause;
    });
    const rows = this.#rows(
      sort,
      `rank, state, class, source, created_at, ${isSummary ? 'summary' : 'octet_length(document)'} AS bytes, ${ADMITTED} AS admitted`,
    );
    const bounds = boundsOf(query);
    const page = new CollapsedPage(query.limit, mostBytesOf(query));
    let last: Cursor | undefined;
    let isFull = false;
    for (let looked = 0; !isFull && looked < LOOKED_AT; looked += FETCH) {
      const some = take(numbers, FETCH);
      if (some.length === 0) break;
      for (const row of rows.all(JSON.stringify(some), ...bounds)) {
        isFull = row.admitted === 1 && !page.take(row as unknown as Sized);
        if (isFull) break;
        last = placeOf(row, sort, head);
      }
      if (isFull || looked + FETCH >= LOOKED_AT) next = last;
    }
    const groups = page.groups;
    const documents = (isSummary ? this.#summaries : this.#documents)
      .all(JSON.stringify(groups.map(({ number }) => number)))
      .map(({ document }) => (isSummary ? ended(document as Uint8Array) : (document as Uint8Array)))
      .map((document, at) => withAlike(document, groups[at]!));
    return next === undefined ? { documents } : { documents, next };
  }

  /**
   * All incidents that the filters admit, in the usual order, a few at a time: the record may go on in between. A slice may
   * hold none: times or the containment left them out, or a search has looked long without finding any.
   */
  *walk(query: Omit<ListQuery, 'sort'> & { readonly after?: UsualPlace }): Generator<WalkSlice, undefined> {
    const head = query.after?.head ?? this.newest;
    const bounds = boundsOf(query);
    for (let place: UsualPlace | undefined | null = query.after; place !== null;) {
      let next: UsualPlace | null = null;
      const numbers = this.#walk.numbers(place === undefined ? query : { ...query, after: place }, head, (pause) => {
        next = pause as UsualPlace;
      });
      for (let some = take(numbers, FETCH); some.length > 0; some = take(numbers, FETCH)) {
        const rows = this.#outlines.all(JSON.stringify(some), ...bounds);
        const outlines = rows.filter(({ admitted }) => admitted === 1).map(outlineOf);
        const last = rows.at(-1);
        if (last !== undefined) yield { outlines, place: { rank: Number(last.rank), seq: Number(last.number), head } };
      }
      place = next;
      if (place !== null) yield { outlines: [], place };
    }
    return undefined;
  }
}

function outlineOf({ admitted: _, ...row }: Readonly<Record<string, unknown>>): Outline {
  return { ...row, containment: CONTAINMENT_STATUS[Number(row.containment)] ?? null } as Outline;
}

const mostBytesOf = ({ bytes = MAX_PAGE_BYTES, isSummary }: ListQuery): number =>
  isSummary ? Math.min(bytes, MAX_SUMMARY_PAGE_BYTES) : bytes;

/** What `SUMMARY` gives, made an object. */
function ended(summary: Uint8Array): Uint8Array {
  summary[summary.length - 1] = END;
  return summary;
}

/** A closing brace. */
const END = 0x7d;

/** A count; undefined when there are more than are counted. */
function unlessMany(row: Readonly<Record<string, unknown>> | undefined): number | undefined {
  const count = Number(row?.count ?? 0);
  return count > MOST_COUNTED ? undefined : count;
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
