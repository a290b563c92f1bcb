/** The incidents on record: one row each, holding the JSON text that every endpoint sends. */
import { type IncidentClass, SEVERITIES, type Severity, type State, STATES } from '../../machines/vocabulary.ts';
import type { IncidentContext } from '../../machines/incident.ts';
import { HOUR } from '../clock.ts';
import { needsAttention } from '../domain/attention.ts';
import { keysOwner } from '../domain/caller.ts';
import { containmentColumn, drillColumn, rankOf, recoveryColumns } from '../domain/incident-columns.ts';
import { type IncidentDocument, writeDocument, type WrittenDocument } from '../domain/document.ts';
import type { Database, Statement } from './database.ts';
import type { Incident, IncidentRecord, RecordChange } from '../domain/incident.ts';
import { type Situation, snapshotOf } from '../../machines/decision.ts';
import { STAYS } from './archived-incidents.ts';
import { Search } from './search.ts';
import { SearchBacklog } from './search-backlog.ts';
import { hasOtherWords } from '../search/searched-incident.ts';

/** What is looked for most of an incident. */
export interface IncidentKind {
  readonly class: IncidentClass;
  readonly severity: Severity;
}

/** An incident and what its statechart remembers, as they are stored. */
export interface PersistedIncident {
  readonly incident: Incident;
  readonly context: IncidentContext;
  /** `seq` of the entry that reported it. */
  readonly seq: number;
  /** See `IncidentRecord`. */
  readonly decisive: number;
  readonly carried?: number | undefined;
  /** How long its document is, in characters. */
  readonly length: number;
}

/** What is shown of incidents; it may be behind the log. */
export type ShownIncidents = Pick<Incidents, 'get' | 'kindOf' | 'has' | 'situation'>;

/** Over how many incidents bytes are summed up: more would take too long. */
const MOST_SUMMED = 20_000;
/** How many incidents of one source are looked at for those of one principal: others may have reported as it, too. */
const MOST_LOOKED_AT = 2000;

export class Incidents {
  /** Those that are not in the search index yet. */
  readonly backlog: SearchBacklog;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #updateInPlace: Statement;
  readonly #byId: Statement;
  readonly #kind: Statement;
  readonly #known: Statement;
  /** No identifier on record is above this one. */
  #highest: string;
  readonly #unresolved: Statement;
  readonly #note: Statement;
  readonly #newest: Statement;
  readonly #latest: Statement;
  readonly #bytes: Statement;
  readonly #drills: Statement;
  readonly #search: Search;

  constructor(database: Database) {
    this.#search = new Search(database);
    this.backlog = new SearchBacklog(database, this.#search);
    this.#insert = database.prepare(`
      INSERT INTO incidents
        (number, id, class, rank, state, source, owner, created_at, updated_at, assignee, containment, version, recovery,
          attesting, attention, decisive, base, dedup_key, drill, context, summary, document)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#update = database.prepare(`
      UPDATE incidents SET rank = ?, state = ?, updated_at = ?, assignee = ?, containment = ?, version = ?, recovery = ?,
        attesting = ?, attention = ?, decisive = ?, base = ?, drill = ?, context = ?, summary = ?,
        document = ? WHERE number = ?`);
    // SQLite writes an entry of an index again for every column that is set, also to what it was.
    this.#updateInPlace = database.prepare(`
      UPDATE incidents SET updated_at = ?, containment = ?, version = ?, decisive = ?, context = ?, summary = ?,
        document = ?
      WHERE number = ?`);
    this.#byId = database.prepare(
      `SELECT number, version, decisive, base, state, drill, context, document FROM incidents WHERE id = ? AND ${STAYS}`,
    );
    this.#kind = database.prepare(`SELECT class, rank FROM incidents WHERE id = ? AND ${STAYS}`);
    this.#known = database.prepare(`SELECT 1 FROM incidents WHERE id = ? AND ${STAYS}`);
    this.#highest = String(database.prepare('SELECT max(id) AS id FROM incidents').get()?.id ?? '');
    this.#unresolved = database.prepare(`
      SELECT id FROM incidents
      WHERE dedup_key = ? AND class = ? AND source = ? AND owner = ? AND state <> 'resolved'
      ORDER BY number DESC LIMIT 1`);
    this.#newest = database.prepare(`
      SELECT number, id, owner FROM incidents INDEXED BY incidents_by_source
      WHERE source = ? AND state = ? AND class = ? AND rank = ? AND drill = 0
      ORDER BY number DESC LIMIT ${MOST_LOOKED_AT}`);
    this.#latest = database.prepare(`
      SELECT created_at, owner FROM incidents INDEXED BY incidents_by_source
      WHERE source = ? AND state = ? AND class = ? AND rank = ? AND drill = 0
      ORDER BY number DESC LIMIT ${MOST_LOOKED_AT}`);
    this.#bytes = database.prepare(`
      SELECT source, sum(length) AS bytes FROM (
        SELECT number, source FROM incidents
        WHERE number >= (SELECT min(first) FROM hours WHERE hour >= ?) AND created_at >= ?
        ORDER BY number DESC LIMIT ${MOST_SUMMED}
      ) JOIN entries ON incident = number GROUP BY source`);
    this.#drills = database.prepare('SELECT id FROM incidents WHERE drill = 1 ORDER BY number');
    this.#note = database.prepare(`
      INSERT INTO hours (hour, first, last) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)`);
  }

  /** Merges parts of the search index. @returns whether there is more to merge */
  mergeSearch(): boolean {
    // While many incidents are indexed, that would take longer.
    return !this.backlog.isOpen && this.#search.mergeSome();
  }

  get(id: string): IncidentDocument | undefined {
    const row = this.#byId.get(id);
    if (row === undefined) return undefined;
    return { id, version: Number(row.version), state: row.state as State, json: row.document as string };
  }

  /** An incident with the persisted snapshot of its statechart. */
  persisted(id: string): PersistedIncident | undefined {
    const row = this.#byId.get(id);
    if (row === undefined) return undefined;
    const document = row.document as string;
    const { number, base } = row;
    return {
      incident: JSON.parse(document) as Incident,
      context: JSON.parse(row.context as string) as IncidentContext,
      seq: Number(number),
      decisive: Number(row.decisive),
      ...(base === number ? undefined : { carried: Number(base) }),
      length: document.length,
    };
  }

  record(id: string): IncidentRecord | undefined {
    const persisted = this.persisted(id);
    if (persisted === undefined) return undefined;
    const { incident, context, seq, decisive, carried } = persisted;
    return { incident, snapshot: snapshotOf(incident.state, context), seq, decisive, carried };
  }

  /** What the statechart is asked about, and whether the incident is a drill. */
  situation(id: string): (Situation & { readonly value: State; readonly drill: boolean }) | undefined {
    const row = this.#byId.get(id);
    if (row === undefined) return undefined;
    return {
      value: row.state as State,
      context: JSON.parse(row.context as string) as IncidentContext,
      drill: row.drill !== 0,
    };
  }

  /** What is known of an incident from its report on; undefined when it is not on record. */
  kindOf(id: string): IncidentKind | undefined {
    const row = this.#kind.get(id);
    return row === undefined
      ? undefined
      : { class: row.class as IncidentClass, severity: SEVERITIES[Number(row.rank)]! };
  }

  has(id: string): boolean {
    // Identifiers sort by time: a new one is nearly always above all others, and needs no look-up.
    if (id > this.#highest) return false;
    return this.#known.get(id) !== undefined;
  }

  /** The unresolved incident that a report with this `dedup_key` belongs to. */
  findUnresolved(dedupKey: string, incidentClass: IncidentClass, source: string, owner: string): string | undefined {
    return this.#unresolved.get(dedupKey, incidentClass, source, owner)?.id as string | undefined;
  }

  newestUnresolved(incidentClass: IncidentClass, source: string, owner?: string): string | undefined {
    let newest: { readonly number: number; readonly id: string } | undefined;
    for (const state of STATES) {
      if (state === 'resolved') continue;
      for (const rank of SEVERITIES.keys()) {
        for (const row of this.#newest.iterate(source, state, incidentClass, rank)) {
          const number = Number(row.number);
          if (number <= (newest?.number ?? 0)) break;
          if (owner !== undefined && row.owner !== owner) continue;
          newest = { number, id: String(row.id) };
          break;
        }
      }
    }
    return newest?.id;
  }

  reportedSince(incidentClass: IncidentClass, source: string, since: number, most: number, owner: string): number {
    let count = 0;
    for (const state of STATES) {
      for (const rank of SEVERITIES.keys()) {
        for (const row of this.#latest.iterate(source, state, incidentClass, rank)) {
          if (count >= most || Number(row.created_at) < since) break;
          if (row.owner === owner) count += 1;
        }
      }
    }
    return count;
  }

  /** The drills that are not over. */
  runningDrills(): readonly string[] {
    return this.#drills.all().map(({ id }) => String(id));
  }

  bytesSince(since: number): ReadonlyMap<string, number> {
    const rows = this.#bytes.all(Math.floor(since / HOUR), since);
    return new Map(rows.map(({ source, bytes }) => [String(source), Number(bytes)]));
  }

  /** Stores the incidents that a batch of entries has changed. @returns their documents */
  store(changes: Iterable<RecordChange>): readonly IncidentDocument[] {
    const documents: IncidentDocument[] = [];
    const hours = new Map<number, { readonly first: number; readonly last: number }>();
    for (const { before, now } of changes) {
      const written = writeDocument(now);
      documents.push(written.document);
      if (before !== undefined) {
        this.#put(now, written, before);
        if (!this.backlog.has(now.seq) && hasOtherWords(before.incident, now.incident))
          this.#search.replace(now.seq, now.incident);
        continue;
      }
      const createdAt = Date.parse(now.incident.created_at);
      const hour = Math.floor(createdAt / HOUR);
      const { first = now.seq, last = now.seq } = hours.get(hour) ?? {};
      // What was carried over keeps its place.
      hours.set(hour, { first: Math.min(first, now.seq), last: Math.max(last, now.seq) });
      this.#add(now, createdAt, written);
    }
    for (const [hour, { first, last }] of hours) this.#note.run(hour, first, last);
    return documents;
  }

  #put(now: IncidentRecord, { document: { json }, summary }: WrittenDocument, before: IncidentRecord): void {
    const { incident, snapshot, seq, decisive, carried = seq } = now;
    const updatedAt = Date.parse(incident.updated_at);
    const containment = containmentColumn(incident);
    const context = JSON.stringify(snapshot.context);
    if (isInPlace(before, now)) {
      this.#updateInPlace.run(updatedAt, containment, incident.version, decisive, context, summary, json, seq);
      return;
    }
    this.#update.run(
      rankOf(incident.severity),
      incident.state,
      updatedAt,
      incident.assignee ?? null,
      containment,
      incident.version,
      ...recoveryColumns(incident),
      Number(needsAttention(incident)),
      decisive,
      carried,
      drillColumn(incident),
      context,
      summary,
      json,
      seq,
    );
  }

  #add(
    { incident, snapshot, seq, decisive, carried = seq }: IncidentRecord,
    createdAt: number,
    { document: { json }, summary }: WrittenDocument,
  ): void {
    if (incident.id > this.#highest) this.#highest = incident.id;
    this.#insert.run(
      seq,
      incident.id,
      incident.class,
      rankOf(incident.severity),
      incident.state,
      incident.source,
      keysOwner(incident.reported_by),
      createdAt,
      incident.updated_at === incident.created_at ? createdAt : Date.parse(incident.updated_at),
      incident.assignee ?? null,
      containmentColumn(incident),
      incident.version,
      ...recoveryColumns(incident),
      Number(needsAttention(incident)),
      decisive,
      carried,
      incident.dedup_key ?? null,
      drillColumn(incident),
      JSON.stringify(snapshot.context),
      summary,
      json,
    );
    if (!this.backlog.has(seq)) this.#search.add(seq, incident);
  }
}

/** Whether an incident keeps its place in the indexes, apart from those of its latest change and its containment. */
const isInPlace = (before: IncidentRecord, now: IncidentRecord): boolean =>
  before.incident.state === now.incident.state &&
  before.incident.severity === now.incident.severity &&
  before.incident.assignee === now.incident.assignee &&
  before.carried === now.carried &&
  now.incident.recovery === undefined &&
  before.incident.recovery === undefined &&
  needsAttention(before.incident) === needsAttention(now.incident) &&
  now.incident.drill !== true;
