/** The sources of the incidents on record, and what each looks like. */
import { skeletonOf } from '../domain/source-name.ts';
import type { Database, Statement } from './database.ts';
import type { Incident } from '../domain/incident.ts';

/** How many names are remembered as stored. */
const MOST_REMEMBERED = 1000;

export class Sources {
  readonly #insert: Statement;
  readonly #find: Statement;
  readonly #lookalike: Statement;
  readonly #dropUnused: Statement;
  readonly #stored = new Set<string>();

  constructor(database: Database) {
    this.#insert = database.prepare(
      'INSERT INTO sources (source, skeleton, suspicious) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#find = database.prepare('SELECT suspicious FROM sources WHERE source = ?');
    this.#lookalike = database.prepare('SELECT 1 FROM sources WHERE skeleton = ? AND suspicious = 0 LIMIT 1');
    this.#dropUnused = database.prepare(
      'DELETE FROM sources WHERE source = ?1 AND NOT EXISTS (SELECT 1 FROM incidents WHERE source = ?1)',
    );
  }

  /** Keeps the source of an incident that was just reported. */
  add({ source, source_suspicious }: Incident): void {
    if (this.#stored.has(source)) return;
    if (this.#stored.size >= MOST_REMEMBERED) this.#stored.clear();
    this.#insert.run(source, skeletonOf(source), source_suspicious === true ? 1 : 0);
    this.#stored.add(source);
  }

  /** Whether a source on record was suspicious when it was first reported; undefined for a new one. */
  suspicion(source: string): boolean | undefined {
    const row = this.#find.get(source);
    return row === undefined ? undefined : row.suspicious === 1;
  }

  /** Whether a source on record that is not suspicious itself has this skeleton. */
  has(skeleton: string): boolean {
    return this.#lookalike.get(skeleton) !== undefined;
  }

  /** Forgets those of these sources that have no incident any more. */
  leave(sources: Iterable<string>): void {
    for (const source of sources) {
      this.#dropUnused.run(source);
      this.#stored.delete(source);
    }
  }

  /** Forgets what it remembers as stored: that was undone. */
  forget(): void {
    this.#stored.clear();
  }
}
