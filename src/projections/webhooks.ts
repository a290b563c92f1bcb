/** How far each webhook has taken the log: the last entry that it got, or that is not for it. */
import type { Database, Statement } from './database.ts';
import type { ArchivedData, NotifiedData } from '../domain/entries.ts';

export class Webhooks {
  readonly #all: Statement;
  readonly #one: Statement;
  readonly #move: Statement;

  constructor(database: Database) {
    this.#all = database.prepare('SELECT url, seq FROM webhooks ORDER BY url');
    this.#one = database.prepare('SELECT seq FROM webhooks WHERE url = ?');
    this.#move = database.prepare(`
      INSERT INTO webhooks (url, seq) VALUES (?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)`);
  }

  /** The `seq` up to which a webhook has taken the log; undefined when it never was there. */
  cursor(url: string): number | undefined {
    const row = this.#one.get(url);
    return row === undefined ? undefined : Number(row.seq);
  }

  all(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#all.all().map(({ url, seq }) => [String(url), Number(seq)]));
  }

  move({ url, through_seq }: NotifiedData): void {
    this.#move.run(url, through_seq);
  }

  /** Restores how far webhooks are, after the entries that said so have left the log. */
  leave({ notified }: ArchivedData): void {
    for (const [url, seq] of Object.entries(notified)) this.#move.run(url, seq);
  }
}
