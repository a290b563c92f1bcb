/** Where the entries about each incident stand in the log. */
import type { LinePlace } from '../audit/log-reader.ts';
import type { StoredEntry } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';
import { MAX_PAGE_BYTES } from './incident-list.ts';

/** The most entries that one page of an incident's entries may hold. */
const MAX_PAGE_ENTRIES = 1000;

export interface EntriesPage {
  readonly places: readonly LinePlace[];
  /** The version behind which the next page begins, when there is one. */
  readonly next?: number;
}

export class EntryPlaces {
  readonly #insert: Statement;
  readonly #read: Statement;

  constructor(database: Database) {
    this.#insert = database.prepare(
      'INSERT INTO entries (incident, version, seq, offset, length) VALUES (?, ?, ?, ?, ?)',
    );
    this.#read = database.prepare(`
      SELECT version, seq, offset, length FROM entries
      WHERE incident = (SELECT number FROM incidents WHERE id = ?) AND version > ? ORDER BY version`);
  }

  /** @param incident the place of the incident among all: `seq` of its report */
  add(incident: number, version: number, { data, offset, length }: StoredEntry): void {
    this.#insert.run(incident, version, data.seq, offset, length);
  }

  /** The entries about an incident, oldest first, from behind its version `after` on, as many as fit a page. */
  page(id: string, after: number): EntriesPage {
    const places: LinePlace[] = [];
    let bytes = 0;
    let last = after;
    for (const row of this.#read.iterate(id, after)) {
      const place = { seq: Number(row.seq), offset: Number(row.offset), length: Number(row.length) };
      bytes += place.length;
      if (places.length === MAX_PAGE_ENTRIES || (places.length > 0 && bytes > MAX_PAGE_BYTES))
        return { places, next: last };
      places.push(place);
      last = Number(row.version);
    }
    return { places };
  }
}
