/** The silences on record: see `domain/silence.ts`. There are few, so all of them are kept in memory as well. */
import type { ArchivedData } from '../domain/entries.ts';
import { type SilenceEntry, silencesAfter, silenceState, withArchived } from '../domain/silence.ts';
import type { SilenceOnRecord } from '../domain/silence-terms.ts';
import type { Database, Statement } from './database.ts';

export class Silences {
  readonly #read: Statement;
  readonly #put: Statement;
  readonly #drop: Statement;
  /** What the table holds; undefined until it was read. */
  #known: readonly SilenceOnRecord[] | undefined;

  constructor(database: Pick<Database, 'prepare'>) {
    this.#read = database.prepare('SELECT silence FROM silences ORDER BY seq');
    this.#put = database.prepare('INSERT OR REPLACE INTO silences (seq, id, silence) VALUES (?, ?, ?)');
    this.#drop = database.prepare('DELETE FROM silences WHERE seq = ?');
  }

  /** All silences, oldest first. */
  all(): readonly SilenceOnRecord[] {
    this.#known ??= this.#read.all().map(({ silence }) => JSON.parse(String(silence)) as SilenceOnRecord);
    return this.#known;
  }

  get(id: string): SilenceOnRecord | undefined {
    return this.all().find(({ silence }) => silence === id);
  }

  /** Those that are active at a time: milliseconds since the epoch. */
  active(at: number): readonly SilenceOnRecord[] {
    const all = this.all();
    return all.length === 0 ? all : all.filter((silence) => silenceState(silence, at) === 'active');
  }

  follow(entry: SilenceEntry): void {
    this.#change(silencesAfter(this.all(), entry));
  }

  /** Takes silences over from a `log.archived` entry, because the entries about them may have left the log. */
  leave(data: ArchivedData): void {
    this.#change(withArchived(this.all(), data));
  }

  /** Forgets what it has read: the table has changed in another way. */
  forget(): void {
    this.#known = undefined;
  }

  #change(now: readonly SilenceOnRecord[]): void {
    const before = this.all();
    if (now === before) return;
    for (const one of before) if (!now.includes(one)) this.#drop.run(one.seq);
    for (const one of now) if (!before.includes(one)) this.#put.run(one.seq, one.silence, JSON.stringify(one));
    this.#known = now;
  }
}
