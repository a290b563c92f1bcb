/** The incidents on record: one row each, holding the JSON text that every endpoint sends. */
import { SEVERITIES, type IncidentClass, type Severity, type State } from '../../machines/vocabulary.ts';
import type { IncidentContext } from '../../machines/incident.ts';
import { writeExact } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { Database, Statement } from './database.ts';
import type { Incident, IncidentRecord } from './incident-record.ts';

/** An incident ready to be sent. */
export interface IncidentDocument {
  readonly id: string;
  readonly version: number;
  readonly state: State;
  /** The incident as every endpoint gives it. */
  readonly json: string;
}

/** A place in the list: behind the incident of this severity rank and number, seen from when `head` was the newest. */
export interface Cursor {
  readonly rank: number;
  readonly seq: number;
  readonly head: number;
}

/** What to list. An empty list of values stands for all of them. */
export interface ListQuery {
  readonly classes: readonly IncidentClass[];
  readonly states: readonly State[];
  readonly severities: readonly Severity[];
  readonly sources: readonly string[];
  /** On `created_at`, in milliseconds since the epoch: from `since` on, before `until`. */
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
  readonly after?: Cursor;
}

export interface ListPage {
  readonly documents: readonly string[];
  /** Where the next page begins, when there is one. */
  readonly next?: Cursor;
}

/** Makes the document of a record. */
export const documentOf = ({ incident }: IncidentRecord): IncidentDocument => ({
  id: incident.id,
  version: incident.version,
  state: incident.state,
  json: writeExact(incident as unknown as JsonValue),
});

export class Incidents {
  readonly #database: Database;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #byId: Statement;
  readonly #idByNumber: Statement;
  readonly #unresolved: Statement;
  readonly #newest: Statement;
  readonly #lists = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
    this.#insert = database.prepare(`
      INSERT INTO incidents (number, id, class, rank, state, source, created_at, version, dedup_key, context, document)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#update = database.prepare('UPDATE incidents SET state = ?, version = ?, context = ?, document = ? WHERE number = ?');
    this.#byId = database.prepare('SELECT number, version, state, context, document FROM incidents WHERE id = ?');
    this.#idByNumber = database.prepare('SELECT id FROM incidents WHERE number = ?');
    this.#unresolved = database.prepare(`
      SELECT id FROM incidents
      WHERE dedup_key = ? AND class = ? AND source = ? AND state <> 'resolved' ORDER BY number DESC LIMIT 1`);
    this.#newest = database.prepare('SELECT max(number) AS number FROM incidents');
  }

  get(id: string): IncidentDocument | undefined {
    const row = this.#byId.get(id);
    if (row === undefined) return undefined;
    return { id, version: Number(row.version), state: row.state as State, json: row.document as string };
  }

  record(id: string): IncidentRecord | undefined {
    const row = this.#byId.get(id);
    if (row === undefined) return undefined;
    return {
      incident: JSON.parse(row.document as string) as Incident,
      context: JSON.parse(row.context as string) as IncidentContext,
      seq: Number(row.number),
    };
  }

  idOf(seq: number): string | undefined {
    return this.#idByNumber.get(seq)?.id as string | undefined;
  }

  /** The unresolved incident that a report with this `dedup_key` belongs to. */
  findUnresolved(dedupKey: string, incidentClass: IncidentClass, source: string): string | undefined {
    return this.#unresolved.get(dedupKey, incidentClass, source)?.id as string | undefined;
  }

  /**
   * A page of the list, most severe first, then newest. Later pages leave out what was reported since the first. A page
   * also ends when it has become very long.
   */
  list(query: ListQuery): ListPage {
    const head = query.after?.head ?? Number(this.#newest.get()?.number ?? 0);
    const conditions: string[] = ['number <= ?'];
    const values: (string | number)[] = [head];
    const oneOf = (column: string, allowed: readonly (string | number)[]): void => {
      if (allowed.length === 0) return;
      conditions.push(`${column} IN (${allowed.map(() => '?').join(', ')})`);
      values.push(...allowed);
    };
    oneOf('class', query.classes);
    oneOf('state', query.states);
    oneOf('rank', query.severities.map(rankOf));
    oneOf('source', query.sources);
    const compare = (condition: string, ...compared: readonly (number | undefined)[]): void => {
      if (compared[0] === undefined) return;
      conditions.push(condition);
      values.push(...(compared as number[]));
    };
    compare('created_at >= ?', query.since);
    compare('created_at < ?', query.until);
    compare('(rank > ? OR (rank = ? AND number < ?))', query.after?.rank, query.after?.rank, query.after?.seq);
    const documents: string[] = [];
    let next: Cursor | undefined;
    let length = 0;
    for (const row of this.#listStatement(conditions.join(' AND ')).iterate(...values, query.limit + 1)) {
      const document = row.document as string;
      if (documents.length === query.limit || (documents.length > 0 && length + document.length > MAX_PAGE_LENGTH)) {
        return next === undefined ? { documents } : { documents, next };
      }
      documents.push(document);
      length += document.length;
      next = { rank: Number(row.rank), seq: Number(row.number), head };
    }
    return { documents };
  }

  /** Stores a record after an entry; `before` is what it was. */
  store(record: IncidentRecord, before: IncidentRecord | undefined): void {
    const { incident, context, seq } = record;
    const { json } = documentOf(record);
    if (before !== undefined) {
      this.#update.run(incident.state, incident.version, JSON.stringify(context), json, seq);
      return;
    }
    this.#insert.run(
      seq,
      incident.id,
      incident.class,
      rankOf(incident.severity),
      incident.state,
      incident.source,
      Date.parse(incident.created_at),
      incident.version,
      incident.dedup_key ?? null,
      JSON.stringify(context),
      json,
    );
  }

  #listStatement(conditions: string): Statement {
    const known = this.#lists.get(conditions);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(
      `SELECT number, rank, document FROM incidents WHERE ${conditions} ORDER BY rank, number DESC LIMIT ?`,
    );
    if (this.#lists.size >= MAX_LIST_STATEMENTS) this.#lists.clear();
    this.#lists.set(conditions, statement);
    return statement;
  }
}

/** The most that one page may hold, in UTF-16 units, unless a single incident is longer: it has to fit in memory. */
const MAX_PAGE_LENGTH = 4 * 1024 * 1024;

/** Every combination of filters is a statement of its own; they are kept up to this many. */
const MAX_LIST_STATEMENTS = 64;

/** The most severe is 0. */
const rankOf = (severity: Severity): number => SEVERITIES.indexOf(severity);
