/** The last anchor of the log: how far somebody else has signed it. */
import type { AnchorOnRecord, ArchivedData, EntryOf } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

export class Anchors {
  readonly #last: Statement;
  readonly #note: Statement;

  constructor(database: Database) {
    this.#last = database.prepare('SELECT anchor FROM anchor');
    this.#note = database.prepare(`
      INSERT INTO anchor (one, seq, anchor) VALUES (1, ?, ?)
      ON CONFLICT DO UPDATE SET seq = excluded.seq, anchor = excluded.anchor WHERE excluded.seq > anchor.seq`);
  }

  /** The last one; undefined when there is none. */
  last(): AnchorOnRecord | undefined {
    const row = this.#last.get();
    return row === undefined ? undefined : (JSON.parse(String(row.anchor)) as AnchorOnRecord);
  }

  follow(entry: EntryOf<'log.anchored'>): void {
    this.#keep(anchorIn(entry));
  }

  /** Takes it over from a `log.archived` entry, because the entry that records it may have left the log. */
  leave({ anchor }: ArchivedData): void {
    if (anchor !== undefined) this.#keep(anchor);
  }

  #keep(anchor: AnchorOnRecord): void {
    this.#note.run(anchor.seq, JSON.stringify(anchor));
  }
}

/** The anchor that an entry records. */
export const anchorIn = ({ timestamp: at, data }: EntryOf<'log.anchored'>): AnchorOnRecord => ({ ...data, at });
