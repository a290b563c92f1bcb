/** Where the entries about each incident stand in the log. */
import type { LinePlace } from '../audit/log-reader.ts';
import type { IncidentEntry, StoredEntry } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';
import { MAX_PAGE_BYTES } from '../query/collapsed-page.ts';

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
  readonly #one: Statement;
  readonly #opening: Statement;
  readonly #stray: Statement;
  readonly #adopt: Statement;
  readonly #forget: Statement;
  readonly #anyStray: Statement;
  readonly #dropStrays: Statement;

  constructor(database: Database) {
    this.#insert = database.prepare(
      'INSERT INTO entries (incident, version, seq, offset, length) VALUES (?, ?, ?, ?, ?)',
    );
    this.#read = database.prepare(`
      SELECT version, seq, offset, length FROM entries
      WHERE incident = (SELECT number FROM incidents WHERE id = ?) AND version > ? ORDER BY version`);
    this.#one = database.prepare(`
      SELECT seq, offset, length FROM entries
      WHERE incident = (SELECT number FROM incidents WHERE id = ?) AND version = ?`);
    this.#opening = database.prepare(`
      SELECT entries.seq, offset, length FROM entries JOIN incidents ON number = incident
      WHERE id = ? AND entries.seq = base`);
    this.#stray = database.prepare(`
      INSERT INTO strays (id, version, seq, offset, length) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`);
    this.#adopt = database.prepare(`
      INSERT INTO entries (incident, version, seq, offset, length)
      SELECT ?, version, seq, offset, length FROM strays WHERE id = ?`);
    this.#forget = database.prepare('DELETE FROM strays WHERE id = ?');
    this.#anyStray = database.prepare('SELECT 1 FROM strays LIMIT 1');
    this.#dropStrays = database.prepare('DELETE FROM strays');
  }

  /** @param incident the place of the incident among all: `seq` of its report */
  add(incident: number, version: number, { data, offset, length }: StoredEntry): void {
    this.#insert.run(incident, version, data.seq, offset, length);
  }

  /** Keeps an entry about an incident that is not on record: a later one may carry that over. */
  stray({ data, offset, length }: StoredEntry & IncidentEntry): void {
    this.#stray.run(data.incident, data.version, data.seq, offset, length);
  }

  /** Takes the entries about an incident that was carried over and whose report is archived. */
  adopt(incident: number, id: string): void {
    this.#adopt.run(incident, id);
    this.#forget.run(id);
  }

  hasStrays(): boolean {
    return this.#anyStray.get() !== undefined;
  }

  /** Forgets all of them. */
  dropStrays(): void {
    this.#dropStrays.run();
  }

  /** Where the entry stands that made an incident this version. */
  of(id: string, version: number): LinePlace | undefined {
    const row = this.#one.get(id, version);
    return row && { seq: Number(row.seq), offset: Number(row.offset), length: Number(row.length) };
  }

  /** Where the entry stands that a replay begins an incident with. */
  opening(id: string): LinePlace | undefined {
    const row = this.#opening.get(id);
    return row && { seq: Number(row.seq), offset: Number(row.offset), length: Number(row.length) };
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
