/** When the wall clock has jumped, as far as the log still holds the entries. */
import type { ArchivedData, ClockJump, EntryOf } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

/** How many are shown, the newest ones. */
const MOST_SHOWN = 16;

export class ClockJumps {
  readonly #add: Statement;
  readonly #newest: Statement;
  readonly #leave: Statement;

  constructor(database: Database) {
    this.#add = database.prepare('INSERT OR REPLACE INTO clock_jumps (seq, jump) VALUES (?, ?)');
    this.#newest = database.prepare(`SELECT jump FROM clock_jumps ORDER BY seq DESC LIMIT ${MOST_SHOWN}`);
    this.#leave = database.prepare('DELETE FROM clock_jumps WHERE seq BETWEEN ? AND ?');
  }

  /** The newest, oldest first. */
  newest(): readonly ClockJump[] {
    return this.#newest
      .all()
      .map(({ jump }) => JSON.parse(String(jump)) as ClockJump)
      .toReversed();
  }

  follow({ timestamp: at, data }: EntryOf<'clock.jumped'>): void {
    const jump: ClockJump = { ...data, at };
    this.#add.run(data.seq, JSON.stringify(jump));
  }

  leave({ first_seq: first, last_seq: last }: ArchivedData): void {
    this.#leave.run(first, last);
  }
}
