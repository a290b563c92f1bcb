/** The incidents on record: one row each, holding the JSON text that every endpoint sends. */
import { type IncidentClass, SEVERITIES, type Severity, type State } from '../../machines/vocabulary.ts';
import type { IncidentContext } from '../../machines/incident.ts';
import { HOUR } from '../clock.ts';
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

/** Makes the document of a record. */
export const documentOf = ({ incident }: IncidentRecord): IncidentDocument => ({
  id: incident.id,
  version: incident.version,
  state: incident.state,
  json: writeExact(incident as unknown as JsonValue),
});

export class Incidents {
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #byId: Statement;
  readonly #idByNumber: Statement;
  readonly #unresolved: Statement;
  readonly #note: Statement;

  constructor(database: Database) {
    this.#insert = database.prepare(`
      INSERT INTO incidents (number, id, class, rank, state, source, created_at, version, dedup_key, context, document)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#update = database.prepare(
      'UPDATE incidents SET state = ?, version = ?, context = ?, document = ? WHERE number = ?',
    );
    this.#byId = database.prepare('SELECT number, version, state, context, document FROM incidents WHERE id = ?');
    this.#idByNumber = database.prepare('SELECT id FROM incidents WHERE number = ?');
    this.#unresolved = database.prepare(`
      SELECT id FROM incidents
      WHERE dedup_key = ? AND class = ? AND source = ? AND state <> 'resolved' ORDER BY number DESC LIMIT 1`);
    this.#note = database.prepare(`
      INSERT INTO hours (hour, first, last) VALUES (?1, ?2, ?2)
      ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)`);
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

  /** Stores a record after an entry; `before` is what it was. */
  store(record: IncidentRecord, before: IncidentRecord | undefined): void {
    const { incident, context, seq } = record;
    const { json } = documentOf(record);
    if (before !== undefined) {
      this.#update.run(incident.state, incident.version, JSON.stringify(context), json, seq);
      return;
    }
    const createdAt = Date.parse(incident.created_at);
    this.#note.run(Math.floor(createdAt / HOUR), seq);
    this.#insert.run(
      seq,
      incident.id,
      incident.class,
      rankOf(incident.severity),
      incident.state,
      incident.source,
      createdAt,
      incident.version,
      incident.dedup_key ?? null,
      JSON.stringify(context),
      json,
    );
  }
}

/** The most severe is 0. */
const rankOf = (severity: Severity): number => SEVERITIES.indexOf(severity);
