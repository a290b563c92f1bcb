/**
 * Proves what decides about reports: that the latest reports are those of the log, and that each set of values belongs to
 * the incident of an entry that has them. Who could change that would keep incidents from being raised, or have reports
 * counted as occurrences of an incident that nobody looks at any more.
 */
import { CLASSES } from '../../machines/vocabulary.ts';
import { rangesOf } from '../audit/archived-ranges.ts';
import type { ArchivedRange, EntryOf, StoredEntry } from '../domain/entries.ts';
import { countedIn, isReport, MOST_REPORTS, ReportTimes } from '../domain/report-times.ts';
import type { Database, Statement } from './database.ts';
import type { Incidents } from './incidents.ts';
import type { RecentReports } from './recent-reports.ts';

/** Of how many values the latest entry may be due at the same time; of more it is not proved that it is the latest. */
const MOST_DUE = 100_000;

export class ReportsProof {
  readonly #reports: RecentReports;
  readonly #incidents: Pick<Incidents, 'has'>;
  readonly #times = new ReportTimes();
  readonly #repeat: Statement;
  /** Entries that come later and must be the latest with certain values, by `seq`. */
  readonly #due = new Map<number, string>();
  readonly #archived: ArchivedRange[] = [];
  #difference: string | undefined;

  constructor(database: Database, reports: RecentReports, incidents: Pick<Incidents, 'has'>) {
    this.#reports = reports;
    this.#incidents = incidents;
    this.#repeat = database.prepare(
      'SELECT seq, (SELECT id FROM incidents WHERE number = incident) AS id FROM repeats WHERE key = ?',
    );
  }

  /** Takes the next entry of the log. */
  take(entry: StoredEntry): void {
    if (entry.event === 'log.archived') this.#archived.push(...rangesOf(entry.data));
    if (entry.event === 'incident.carried') this.#difference ??= this.#compareCarried(entry);
    if (isReport(entry)) {
      this.#times.take(countedIn(entry), entry.data.seq);
      const { seq, incident, repeat } = entry.data;
      if (repeat !== undefined) this.#difference ??= this.#compare(repeat, seq, incident);
    }
    this.#difference ??= this.#due.has(entry.data.seq) ? misnoted(entry.data.seq) : undefined;
  }

  /**
   * How the database differs, after the last entry.
   * @param head `seq` of the last entry that was taken
   * @param last `seq` of the last entry that is applied
   */
  difference(head: number, last: number): string | undefined {
    if (this.#difference !== undefined) return this.#difference;
    // What comes after the head is the work of this process.
    const missed = [...this.#due.keys()].find((seq) => seq <= head || seq > last);
    if (missed !== undefined) return misnoted(missed);
    return CLASSES.some((name) => !this.#isSame(name, head)) ? 'other reports are counted than the log has' : undefined;
  }

  /**
   * What is noted of values must be the incident of the latest entry with them.
   * @param seq of an entry with them
   */
  #compare(key: string, seq: number, incident: string): string | undefined {
    const due = this.#due.get(seq);
    this.#due.delete(seq);
    if (due !== undefined && due !== key) return misnoted(seq);
    const row = this.#repeat.get(key);
    // Those of incidents that were archived are not noted any more.
    if (row === undefined) return undefined;
    const noted = Number(row.seq);
    if (noted === seq) return row.id === incident ? undefined : misnoted(seq);
    if (noted < seq) return this.#incidents.has(incident) ? misnoted(seq) : undefined;
    if (this.#due.size < MOST_DUE) this.#due.set(noted, key);
    return undefined;
  }

  /** What was carried over counts like the entries that it is from, which may be archived. */
  #compareCarried({ data: { incident, repeats = [] } }: EntryOf<'incident.carried'>): string | undefined {
    for (const [key, seq] of repeats) {
      const difference = this.#compare(key, seq, incident);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }

  /** Whether the latest reports of a class up to an entry are those that were counted here. */
  #isSame(name: (typeof CLASSES)[number], head: number): boolean {
    const isGone = (seq: number): boolean =>
      this.#archived.some(({ first_seq, last_seq }) => first_seq <= seq && seq <= last_seq);
    const { seqs, times } = this.#reports.times.recentOf(name);
    const counted = this.#times.recentOf(name);
    const stored = reportsOf(seqs, times, (seq) => seq <= head);
    const expected = reportsOf(counted.seqs, counted.times, (seq) => !isGone(seq));
    // Either may have forgotten the first ones, when there were too many.
    if (stored.length > expected.length && expected.length < MOST_REPORTS) return false;
    if (stored.length < expected.length && seqs.length < MOST_REPORTS) return false;
    const compared = Math.min(stored.length, expected.length);
    const before = expected.slice(expected.length - compared);
    const isSameTime = (one: number, other: number): boolean => this.#archived.length > 0 || one === other;
    return stored
      .slice(stored.length - compared)
      .every(({ seq, time }, index) => seq === before[index]!.seq && isSameTime(time, before[index]!.time));
  }
}

const misnoted = (seq: number): string => `entry ${seq} is not the latest with the values that are noted of it`;

const reportsOf = (seqs: readonly number[], times: readonly number[], isMeant: (seq: number) => boolean) =>
  seqs.map((seq, index) => ({ seq, time: times[index]! })).filter(({ seq }) => isMeant(seq));
