/**
 * What the log says of the guards: when each was heard, and whether it is silent.
 *
 * A guard is a source that the policy expects to hear from. The log holds its first sign of life, each silence and each
 * return, and one sign of life in a while: see `guard-watch.ts`.
 */
import type { ArchivedData, EntryOf, GuardOnRecord } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

/** How many guards are repeated when segments are archived: those that are silent, and the latest others. */
export const MOST_GUARDS = 256;

export type GuardEntry = EntryOf<'guard.silent'> | EntryOf<'guard.heard'>;

export class Guards {
  readonly #one: Statement;
  readonly #all: Statement;
  readonly #put: Statement;

  constructor(database: Pick<Database, 'prepare'>) {
    this.#one = database.prepare('SELECT source, heard_at, silent_since FROM guards WHERE source = ?');
    this.#all = database.prepare(`
      SELECT source, heard_at, silent_since FROM guards
      ORDER BY silent_since IS NULL, heard_at DESC, source LIMIT ${MOST_GUARDS}`);
    this.#put = database.prepare(`
      INSERT INTO guards (source, heard_at, silent_since) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET heard_at = excluded.heard_at, silent_since = excluded.silent_since`);
  }

  /** A guard on record; undefined when the log says nothing about it. */
  get(source: string): GuardOnRecord | undefined {
    const row = this.#one.get(source);
    return row && guardIn(row);
  }

  /** All guards, as a `log.archived` entry repeats them. */
  all(): readonly GuardOnRecord[] {
    return this.#all.all().map(guardIn);
  }

  follow({ event, timestamp, data: { source } }: GuardEntry): void {
    if (event === 'guard.heard') this.#put.run(source, timestamp, null);
    else this.#put.run(source, this.get(source)?.heard_at ?? null, timestamp);
  }

  /** Takes guards over from a `log.archived` entry, because the entries about them may have left the log. */
  leave({ guards = [] }: Pick<ArchivedData, 'guards'>): void {
    for (const { source, heard_at, silent_since } of guards) {
      if (this.get(source) === undefined) this.#put.run(source, heard_at, silent_since);
    }
  }
}

const guardIn = (row: Readonly<Record<string, unknown>>): GuardOnRecord => ({
  source: String(row.source),
  heard_at: row.heard_at === null ? null : String(row.heard_at),
  silent_since: row.silent_since === null ? null : String(row.silent_since),
});
