/**
 * When the latest reports of each class came (domain/report-times.ts), and the incident that each report was about which
 * others may repeat.
 *
 * The times are kept in memory, and written when the database is committed: a report costs nothing more than that.
 */
import { CLASSES, type IncidentClass } from '../../machines/vocabulary.ts';
import type { ArchivedData, EntryOf, RepeatNote } from '../domain/entries.ts';
import { rangesOf } from '../audit/archived-ranges.ts';
import {
  countedIn,
  MOST_REPORTS,
  type RecentReports as Recent,
  type ReportEntry,
  ReportTimes,
} from '../domain/report-times.ts';
import type { Database, Statement } from './database.ts';

/** The latest report with certain values. */
export interface Repeated {
  /** Identifier of its incident, which is not resolved. */
  readonly incident: string;
  /** When it came, in the time of `ReportTimes`. */
  readonly time: number;
}

/** How many values an entry repeats that carries an incident over; most incidents have one. */
const MOST_CARRIED = 16;

/** Stands for all classes: the latest report of any. */
const ANY = '';

export class RecentReports {
  readonly #read: Statement;
  readonly #write: Statement;
  readonly #note: Statement;
  readonly #find: Statement;
  readonly #newest: Statement;
  readonly #forget: Statement;
  readonly #changed = new Set<IncidentClass>();
  #times = new ReportTimes();

  constructor(database: Database) {
    this.#read = database.prepare('SELECT class, recent FROM reports');
    this.#write = database.prepare(`
      INSERT INTO reports (class, recent) VALUES (?, ?) ON CONFLICT DO UPDATE SET recent = excluded.recent`);
    this.#note = database.prepare(`
      INSERT INTO repeats (key, incident, seq, time) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET incident = excluded.incident, seq = excluded.seq, time = excluded.time
      WHERE excluded.seq > seq`);
    this.#find = database.prepare(`
      SELECT id, time FROM repeats JOIN incidents ON number = incident WHERE key = ? AND state <> 'resolved'`);
    this.#newest = database.prepare(`
      SELECT key, seq, time FROM repeats WHERE incident = ? ORDER BY seq DESC, key LIMIT ${MOST_CARRIED}`);
    this.#forget = database.prepare('DELETE FROM repeats WHERE incident = ?');
    this.reload();
  }

  /** Another object after each change that is not a further report: then what was made from the old one is worthless. */
  get times(): ReportTimes {
    return this.#times;
  }

  /** Counts the report in an entry. */
  follow(entry: ReportEntry): void {
    const { seq, report } = entry.data;
    this.#times.take(countedIn(entry), seq);
    this.#changed.add(report.class);
  }

  /**
   * Notes which incident the latest report is about. To be called after `follow`.
   * @param incident the place of the incident among all: `seq` of its report
   * @param seq of the entry
   */
  note(key: string, incident: number, seq: number): void {
    this.#note.run(key, incident, seq, this.#times.latest?.time ?? 0);
  }

  /** The latest report with the values that a key names, if its incident is not resolved. */
  find(key: string): Repeated | undefined {
    const row = this.#find.get(key);
    return row === undefined ? undefined : { incident: String(row.id), time: Number(row.time) };
  }

  /**
   * The newest values that reports may repeat of an incident, as an entry that carries it over repeats them.
   * @param timestamp that of the entry
   */
  newest(incident: number, timestamp: string): readonly RepeatNote[] {
    const now = this.#timeAt(timestamp);
    return this.#newest.all(incident).map(({ key, seq, time }) => [String(key), Number(seq), now - Number(time)]);
  }

  /**
   * Takes what an entry repeats that carries the incident over: others are forgotten. The time of the log may be another
   * one when it is counted from what remains, so the entry says how long before it the reports came.
   */
  carry(incident: number, { timestamp, data: { repeats = [] } }: EntryOf<'incident.carried'>): void {
    this.#forget.run(incident);
    if (repeats.length === 0) return;
    if (this.#times.latest === undefined) this.#begin(Date.parse(timestamp));
    const now = this.#timeAt(timestamp);
    for (const [key, seq, age] of repeats) this.#note.run(key, incident, seq, now - age);
  }

  /** The time of an entry that is no report. */
  #timeAt(timestamp: string): number {
    return this.#times.timeOf({ timestamp: Date.parse(timestamp), step: 0 });
  }

  /** Counts time from the entry that carries an incident over, where no report remains before it. */
  #begin(timestamp: number): void {
    this.#times = new ReportTimes({ timestamp, time: timestamp });
    for (const name of CLASSES) this.#changed.add(name);
  }

  /** Forgets the reports of archived entries. */
  leave(data: ArchivedData): void {
    const ranges = rangesOf(data);
    this.#times = this.#times.without((seq) =>
      ranges.some(({ first_seq, last_seq }) => first_seq <= seq && seq <= last_seq),
    );
    for (const name of CLASSES) this.#changed.add(name);
  }

  /** Writes what has changed since the last time. */
  settle(): void {
    const { latest } = this.#times;
    if (latest === undefined || this.#changed.size === 0) return;
    this.#write.run(ANY, bytesOf([latest.timestamp, latest.time]));
    for (const name of this.#changed) {
      const { seqs, times } = this.#times.recentOf(name);
      this.#write.run(name, bytesOf([...seqs.slice(-MOST_REPORTS), ...times.slice(-MOST_REPORTS)]));
    }
    this.#changed.clear();
  }

  /** Reads what is stored, and forgets the rest. */
  reload(): void {
    this.#changed.clear();
    const rows = new Map(this.#read.all().map(({ class: name, recent }) => [String(name), numbersIn(recent)]));
    const [timestamp, time] = rows.get(ANY) ?? [];
    const latest = timestamp === undefined || time === undefined ? undefined : { timestamp, time };
    this.#times = new ReportTimes(
      latest,
      CLASSES.flatMap((name) => {
        const numbers = rows.get(name);
        return numbers === undefined ? [] : [[name, recentIn(numbers)] as const];
      }),
    );
  }
}

const bytesOf = (numbers: readonly number[]): Uint8Array => new Uint8Array(Float64Array.from(numbers).buffer);

/** Numbers as `bytesOf` has written them; none where somebody else has written something. */
function numbersIn(value: unknown): readonly number[] {
  if (!(value instanceof Uint8Array) || value.length % 8 !== 0) return [];
  return [...new Float64Array(value.slice().buffer)];
}

function recentIn(numbers: readonly number[]): Recent {
  const half = Math.floor(numbers.length / 2);
  return { seqs: numbers.slice(0, half), times: numbers.slice(half, 2 * half) };
}
