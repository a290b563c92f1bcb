/** Whether the log says that there was an access file: a start without one must not give everybody every role. */
import type { ArchivedData, EntryOf } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

export class AccessFiles {
  readonly #known: Statement;
  readonly #note: Statement;

  constructor(database: Database) {
    this.#known = database.prepare('SELECT 1 FROM access_file');
    this.#note = database.prepare('INSERT OR IGNORE INTO access_file (id) VALUES (1)');
  }

  /** Whether one was ever loaded. */
  get had(): boolean {
    return this.#known.get() !== undefined;
  }

  follow({ data: { source } }: EntryOf<'access.loaded'>): void {
    if (source === 'file') this.#note.run();
  }

  /** Takes it over from a `log.archived` entry, because the entries that say it may have left the log. */
  leave({ access_file }: ArchivedData): void {
    if (access_file === true) this.#note.run();
  }
}
