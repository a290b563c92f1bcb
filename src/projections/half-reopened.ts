/**
 * The incidents that take up another one, as long as that does not name them: a crash may come between both entries, and
 * the next start writes the second. Nearly always there are none.
 */
import type { IncidentEntry } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

export class HalfReopened {
  readonly #add: Statement;
  readonly #drop: Statement;
  readonly #all: Statement;

  constructor(database: Database) {
    this.#add = database.prepare('INSERT OR REPLACE INTO half_reopened (id) VALUES (?)');
    this.#drop = database.prepare('DELETE FROM half_reopened WHERE id = ?');
    this.#all = database.prepare('SELECT id FROM half_reopened ORDER BY id LIMIT ?');
  }

  /** Follows an entry, also about an incident that is not on record any more. */
  follow(entry: IncidentEntry): void {
    if (entry.event === 'incident.reopened') this.#drop.run(entry.data.as);
    else if (entry.event === 'incident.reported' && entry.data.reopens !== undefined)
      this.#add.run(entry.data.incident);
  }

  /** Their identifiers. */
  all(most: number): readonly string[] {
    return this.#all.all(most).map(({ id }) => String(id));
  }
}
