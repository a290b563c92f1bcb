/**
 * The incidents that wait to be put into the search index while most of a log is applied.
 *
 * To write the words of an incident again after each of its entries takes a quarter of a rebuild. So a rebuild leaves the
 * index alone until the log is read to its end. Then each incident is indexed once, from its document, in the order of
 * their numbers, a slice at a time. The table holds the number of the first one that waits, and is written with the rest
 * of a transaction: a process that is ended goes on from there.
 */
import { systemClock } from '../clock.ts';
import type { Incident } from '../domain/incident.ts';
import type { Database, Statement } from './database.ts';
import type { Search } from './search.ts';

/** How long one slice may take, in milliseconds, and after how many incidents that is looked at. */
const SLICE_TIME = 10;
const LOOK_EVERY = 16;

export class SearchBacklog {
  readonly #search: Search;
  readonly #read: Statement;
  readonly #write: Statement;
  readonly #clear: Statement;
  readonly #next: Statement;
  #first = Infinity;

  constructor(database: Database, search: Search) {
    this.#search = search;
    this.#read = database.prepare('SELECT number FROM unsearched');
    this.#write = database.prepare(`
      INSERT INTO unsearched (one, number) VALUES (1, ?) ON CONFLICT DO UPDATE SET number = excluded.number`);
    this.#clear = database.prepare('DELETE FROM unsearched');
    this.#next = database.prepare(`
      SELECT number, document FROM incidents WHERE number >= ? ORDER BY number LIMIT ${LOOK_EVERY}`);
    this.reload();
  }

  /** Whether incidents wait, or may come to wait. */
  get isOpen(): boolean {
    return this.#first !== Infinity;
  }

  /** The number of the first incident that waits; Infinity when none does. */
  get first(): number {
    return this.#first;
  }

  /** Whether the incident with this number waits: then its words are written later. */
  has(number: number): boolean {
    return number >= this.#first;
  }

  /** Lets incidents wait from a number on. To be called in a transaction. */
  begin(number: number): void {
    this.#write.run(number);
    this.#first = number;
  }

  /** Indexes some of those that wait. To be called in a transaction. @returns whether none waits any more */
  take(): boolean {
    const end = systemClock.monotonic() + SLICE_TIME;
    let first = this.#first;
    do {
      const rows = this.#next.all(first);
      for (const { number, document } of rows) {
        this.#search.add(Number(number), JSON.parse(String(document)) as Incident);
        first = Number(number) + 1;
      }
      if (rows.length < LOOK_EVERY) {
        this.#clear.run();
        this.#first = Infinity;
        return true;
      }
    } while (systemClock.monotonic() < end);
    this.begin(first);
    return false;
  }

  /** Reads what is stored: what was not committed is undone. */
  reload(): void {
    this.#first = Number(this.#read.get()?.number ?? Infinity);
  }
}
