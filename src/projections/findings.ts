/** What was found wrong with the log, and whether an operator has taken note of it. */
import type { KnownFindings } from '../audit/log-findings.ts';
import type { ArchivedData, EntryOf, FindingOnRecord } from '../domain/entries.ts';
import type { Database, Statement } from './database.ts';

/** How many findings are shown, and repeated when segments are archived. More means that somebody is playing. */
export const MOST_FINDINGS = 256;

export class Findings implements KnownFindings {
  readonly #one: Statement;
  readonly #open: Statement;
  readonly #all: Statement;
  readonly #find: Statement;
  readonly #acknowledge: Statement;

  constructor(database: Database) {
    this.#one = database.prepare('SELECT finding, detail, found_at, open FROM findings WHERE finding = ?');
    this.#open = database.prepare(`
      SELECT finding, detail, found_at, open FROM findings WHERE open = 1 ORDER BY found_at, finding LIMIT ${MOST_FINDINGS}`);
    this.#all = database.prepare(`
      SELECT finding, detail, found_at, open FROM findings ORDER BY open DESC, found_at, finding LIMIT ${MOST_FINDINGS}`);
    this.#find = database.prepare(`
      INSERT INTO findings (finding, detail, found_at, open) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET detail = excluded.detail, found_at = excluded.found_at, open = excluded.open`);
    this.#acknowledge = database.prepare('UPDATE findings SET open = 0 WHERE finding = ?');
  }

  get(finding: string): FindingOnRecord | undefined {
    const row = this.#one.get(finding);
    return row && findingIn(row);
  }

  open(): readonly FindingOnRecord[] {
    return this.#open.all().map(findingIn);
  }

  /** All findings, as a `log.archived` entry repeats them. */
  all(): readonly FindingOnRecord[] {
    return this.#all.all().map(findingIn);
  }

  follow(entry: EntryOf<'log.damage_found'> | EntryOf<'log.damage_acknowledged'>): void {
    if (entry.event === 'log.damage_acknowledged') this.#acknowledge.run(entry.data.finding);
    else this.#find.run(entry.data.finding, entry.data.detail, entry.timestamp, 1);
  }

  /** Takes findings over from a `log.archived` entry, because the entries that told them may have left the log. */
  leave({ findings = [] }: ArchivedData): void {
    for (const { finding, detail, found_at, open } of findings) {
      if (this.get(finding) === undefined) this.#find.run(finding, detail, found_at, Number(open));
    }
  }
}

const findingIn = (row: Readonly<Record<string, unknown>>): FindingOnRecord => ({
  finding: String(row.finding),
  detail: String(row.detail),
  found_at: String(row.found_at),
  open: row.open === 1,
});
