/**
 * What each webhook has taken of the log: how far it is, which entries up to there are parked and tried again, and
 * which were skipped.
 */
import type { Database, Statement } from './database.ts';
import type {
  ArchivedData,
  NoticeMemory,
  ParkedEntry,
  SkippedEntry,
  UntakenEntries,
  WebhookEntry,
} from '../domain/entries.ts';

/** As many skipped entries of one webhook are listed, the newest ones. The log has all. */
export const MOST_LISTED = 100;
/**
 * The same for all webhooks, those that the policy named before included: entries about the archive repeat the whole
 * list, and have to fit in a line.
 */
const MOST_LISTED_IN_ALL = 1000;

/** How far a webhook is. */
export interface WebhookPosition {
  /** The last entry that it got, that was parked, or that is not for it. */
  readonly seq: number;
  /** What it did not take up to there, and is tried again: oldest first. */
  readonly parked: readonly ParkedEntry[];
  /** What it has told besides, if it has a format. */
  readonly notices?: NoticeMemory;
}

/** What is shown of webhooks; it may be behind the log. */
export type ShownWebhooks = Pick<Webhooks, 'skipped' | 'countSkipped'>;

export class Webhooks {
  readonly #all: Statement;
  readonly #one: Statement;
  readonly #put: Statement;
  readonly #skipped: Statement;
  readonly #count: Statement;
  readonly #find: Statement;
  readonly #add: Statement;
  readonly #trim: Statement;
  readonly #trimAll: Statement;
  readonly #drop: Statement;
  readonly #leave: Statement;

  constructor(database: Pick<Database, 'prepare'>) {
    this.#all = database.prepare('SELECT url, seq, parked, notices FROM webhooks ORDER BY url');
    this.#one = database.prepare('SELECT seq, parked, notices FROM webhooks WHERE url = ?');
    this.#put = database.prepare(`
      INSERT INTO webhooks (url, seq, parked, notices) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq), parked = excluded.parked, notices = excluded.notices`);
    this.#skipped = database.prepare('SELECT entry FROM skipped ORDER BY url, seq');
    this.#count = database.prepare('SELECT count(*) AS count FROM skipped WHERE url = ?');
    this.#find = database.prepare('SELECT entry FROM skipped WHERE url = ? AND seq = ?');
    this.#add = database.prepare(
      'INSERT INTO skipped (url, seq, entry) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET entry = excluded.entry',
    );
    this.#trim = database.prepare(`
      DELETE FROM skipped WHERE url = ?1 AND seq NOT IN (
        SELECT seq FROM skipped WHERE url = ?1 ORDER BY seq DESC LIMIT ${MOST_LISTED})`);
    this.#trimAll = database.prepare(`
      DELETE FROM skipped WHERE (url, seq) NOT IN (
        SELECT url, seq FROM skipped ORDER BY seq DESC, url LIMIT ${MOST_LISTED_IN_ALL})`);
    this.#drop = database.prepare('DELETE FROM skipped WHERE url = ? AND seq = ?');
    this.#leave = database.prepare('DELETE FROM skipped WHERE seq BETWEEN ? AND ?');
  }

  /** How far a webhook is; undefined when it never was there. */
  position(url: string): WebhookPosition | undefined {
    const row = this.#one.get(url);
    if (row === undefined) return undefined;
    const notices = row.notices === null ? {} : { notices: JSON.parse(String(row.notices)) as NoticeMemory };
    return { seq: Number(row.seq), parked: JSON.parse(String(row.parked)) as readonly ParkedEntry[], ...notices };
  }

  /** How far each webhook has taken the log. */
  all(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#all.all().map(({ url, seq }) => [String(url), Number(seq)]));
  }

  /** What webhooks have not taken; undefined when they have taken all. */
  untaken(): UntakenEntries | undefined {
    const rows = this.#all.all().filter(({ parked }) => parked !== '[]');
    const parked = rows.map(({ url, parked: list }) => [String(url), JSON.parse(String(list)) as ParkedEntry[]]);
    const skipped = this.skipped();
    if (rows.length === 0 && skipped.length === 0) return undefined;
    return { parked: Object.fromEntries(parked) as UntakenEntries['parked'], skipped };
  }

  /** What webhooks with a format have told besides their position; undefined when that is nothing. */
  notices(): Readonly<Record<string, NoticeMemory>> | undefined {
    const rows = this.#all.all().filter(({ notices }) => notices !== null);
    if (rows.length === 0) return undefined;
    return Object.fromEntries(
      rows.map(({ url, notices }) => [String(url), JSON.parse(String(notices)) as NoticeMemory]),
    );
  }

  /** The entries that were skipped, for each webhook oldest first. */
  skipped(): readonly SkippedEntry[] {
    return this.#skipped.all().map(({ entry }) => JSON.parse(String(entry)) as SkippedEntry);
  }

  /** How many entries were skipped for a webhook. */
  countSkipped(url: string): number {
    return Number(this.#count.get(url)?.count ?? 0);
  }

  /** An entry that was skipped for a webhook; undefined when that one was not. */
  findSkipped(url: string, seq: number): SkippedEntry | undefined {
    const row = this.#find.get(url, seq);
    return row && (JSON.parse(String(row.entry)) as SkippedEntry);
  }

  follow(entry: WebhookEntry): void {
    const { event, data, timestamp } = entry;
    switch (event) {
      case 'notification.delivered':
        this.#put.run(data.url, data.through_seq, JSON.stringify(data.parked ?? []), textOf(data.notices));
        break;
      case 'webhook.skipped': {
        const { url, skipped_seq: seq, skipped_event, since, attempts, error } = data;
        this.#setParked(url, (parked) => parked.filter((one) => one.seq !== seq));
        this.#skip({
          webhook: url,
          seq,
          event: skipped_event,
          parked_at: since,
          skipped_at: timestamp,
          attempts,
          error,
        });
        this.#keepNewest(url);
        break;
      }
      case 'webhook.retried': {
        const { url, retried_seq: seq, retried_event } = data;
        const again: ParkedEntry = { seq, event: retried_event, since: timestamp, attempts: 0, waited_ms: 0 };
        this.#drop.run(url, seq);
        this.#setParked(url, (parked) => merged(parked, [again]));
        break;
      }
      default:
        entry satisfies never;
    }
  }

  /** Restores how far webhooks are after the entries that said so have left the log, and forgets what can't be sent. */
  leave({ notified, untaken, notices, first_seq, last_seq }: ArchivedData): void {
    for (const [url, seq] of Object.entries(notified)) {
      const known = this.position(url);
      const parked = merged(untaken?.parked[url] ?? [], known?.parked ?? []);
      this.#put.run(url, seq, JSON.stringify(parked), textOf(known?.notices ?? notices?.[url]));
    }
    for (const entry of untaken?.skipped ?? []) {
      if (this.findSkipped(entry.webhook, entry.seq) === undefined) this.#skip(entry);
    }
    for (const url of new Set(untaken?.skipped.map(({ webhook }) => webhook))) this.#keepNewest(url);
    this.#leave.run(first_seq, last_seq);
  }

  #skip(entry: SkippedEntry): void {
    this.#add.run(entry.webhook, entry.seq, JSON.stringify(entry));
  }

  #keepNewest(url: string): void {
    this.#trim.run(url);
    this.#trimAll.run();
  }

  #setParked(url: string, change: (parked: readonly ParkedEntry[]) => readonly ParkedEntry[]): void {
    const { seq = 0, parked = [], notices } = this.position(url) ?? {};
    this.#put.run(url, seq, JSON.stringify(change(parked)), textOf(notices));
  }
}

const textOf = (notices: NoticeMemory | undefined): string | null =>
  notices === undefined ? null : JSON.stringify(notices);

/** The entries of two lists, oldest first; of an entry that is in both, what the second says. */
const merged = (some: readonly ParkedEntry[], others: readonly ParkedEntry[]): readonly ParkedEntry[] =>
  [...new Map([...some, ...others].map((entry) => [entry.seq, entry])).values()].toSorted(
    (one, other) => one.seq - other.seq,
  );
