/** The unresolved incidents that need a recovery, oldest first. What is looked for has an index of its own. */
import type { Incident } from '../domain/incident.ts';
import type { Database, Statement } from './database.ts';

/** An incident whose recovery is not complete, without its large parts, and its place among all incidents. */
export interface RecoveringIncident {
  readonly number: number;
  readonly incident: Omit<Incident, 'description' | 'evidence' | 'latest_report'>;
}

export class PendingRecoveries {
  readonly #incomplete: Statement;
  readonly #attesting: Statement;

  constructor(database: Database) {
    this.#incomplete = database.prepare(`
      SELECT number, json_remove(document, '$.description', '$.evidence', '$.latest_report') AS incident
      FROM incidents INDEXED BY incidents_recovering
      WHERE recovery = 1 AND recovery > 0 AND number > ? ORDER BY number LIMIT ?`);
    this.#attesting = database.prepare(`
      SELECT id FROM incidents INDEXED BY incidents_attesting WHERE attesting = 1 AND attesting > 0 ORDER BY number LIMIT ?`);
  }

  /** Those from behind a place whose recovery is not complete. */
  incomplete(after: number, limit: number): readonly RecoveringIncident[] {
    return this.#incomplete.all(after, limit).map(({ number, incident }) => ({
      number: Number(number),
      incident: JSON.parse(String(incident)) as RecoveringIncident['incident'],
    }));
  }

  /** Those for which the attestor is to be asked, by their identifiers. */
  attesting(limit: number): readonly string[] {
    return this.#attesting.all(limit).map(({ id }) => String(id));
  }
}
