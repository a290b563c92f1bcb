/**
 * Does for PGlite what autovacuum does for a server: gives the room of old rows back for new ones, and counts what the planner
 * goes by. PGlite is one process of PostgreSQL, and has none that would do it: its files would grow with every change.
 */
import { sql } from 'kysely';
import { type Clock, MINUTE, SECOND } from '../clock.ts';
import type { FleetDatabase } from './database.ts';

/** How often it looks, and for how long it goes on with another table. */
const EVERY = 1 * MINUTE;
const LONGEST = 5 * SECOND;

export interface UpkeepParts {
  readonly db: FleetDatabase;
  readonly clock: Pick<Clock, 'monotonic'>;
}

export class Upkeep {
  readonly #parts: UpkeepParts;
  /** When to look again, by the monotonic clock. */
  #due = -Infinity;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** Vacuums the tables that have changed much, if it is time to look. Others wait for one table at a time. */
  async look(): Promise<void> {
    const { db, clock } = this.#parts;
    const now = clock.monotonic();
    if (now < this.#due) return;
    this.#due = now + EVERY;
    const done: string[] = [];
    while (clock.monotonic() - now < LONGEST) {
      const table = await this.#mostChanged(done);
      if (table === undefined) return;
      done.push(table);
      await sql`VACUUM (ANALYZE) ${sql.id(table)}`.execute(db);
    }
    // There are others.
    this.#due = -Infinity;
  }

  /** The table that needs it most, by autovacuum's own bounds. Nothing is written while the disk is full. */
  async #mostChanged(done: readonly string[]): Promise<string | undefined> {
    const { rows } = await sql<{ readonly name: string }>`
      SELECT relname AS name FROM pg_stat_user_tables
      WHERE current_setting('default_transaction_read_only') = 'off' AND schemaname = current_schema()
        AND relname <> ALL(${[...done]}::text[])
        AND (n_dead_tup > 50 + 0.2 * n_live_tup OR n_ins_since_vacuum > 1000 + 0.2 * n_live_tup
          OR n_mod_since_analyze > 50 + 0.1 * n_live_tup)
      ORDER BY n_dead_tup + n_ins_since_vacuum DESC LIMIT 1`.execute(this.#parts.db);
    return rows[0]?.name;
  }
}
