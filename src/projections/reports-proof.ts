/**
 * Proves what decides about reports: that the latest reports are those of the log, and that each set of values belongs to
 * the incident of an entry that has them. Who could change that would keep incidents from being raised, or have reports
 * counted as occurrences of an incident that nobody looks at any more.
 */
import { CLASSES } from '../../machines/vocabulary.ts';
import { rangesOf } from '../audit/archived-ranges.ts';
import type { ArchivedRange, StoredEntry } from '../domain/entries.ts';
import { countedIn, isReport, MOST_REPORTS, ReportTimes } from '../domain/report-times.ts';
import type { Database, Statement } from './database.ts';
import type { RecentReports } from './recent-reports.ts';

export class ReportsProof {
  readonly #reports: RecentReports;
  readonly #times = new ReportTimes();
  readonly #repeat: Statement;
  readonly #beyond: Statement;
  readonly #archived: ArchivedRange[] = [];
  /** Whether there were repeated values when the proof began: what came later is the work of this process. */
  readonly #hasRepeats: boolean;
  #difference: string | undefined;

  constructor(database: Database, reports: RecentReports) {
    this.#reports = reports;
    this.#repeat = database.prepare(
      'SELECT key, incident, (SELECT id FROM incidents WHERE number = incident) AS id FROM repeats WHERE seq = ?',
    );
    this.#beyond = database.prepare('SELECT 1 FROM repeats WHERE seq > ? LIMIT 1');
    this.#hasRepeats = this.#beyond.get(-1) !== undefined;
  }

  /** Takes the next entry of the log. */
  take(entry: StoredEntry): void {
    if (entry.event === 'log.archived') this.#archived.push(...rangesOf(entry.data));
    if (isReport(entry)) this.#times.take(countedIn(entry), entry.data.seq);
    if (this.#hasRepeats) this.#difference ??= this.#compare(entry);
  }

  /**
   * How the database differs, after the last entry.
   * @param head `seq` of the last entry that was taken
   * @param last `seq` of the last entry that is applied
   */
  difference(head: number, last: number): string | undefined {
    if (this.#difference !== undefined) return this.#difference;
    if (this.#beyond.get(last) !== undefined) return 'values are noted that the log does not have';
    return CLASSES.some((name) => !this.#isSame(name, head)) ? 'other reports are counted than the log has' : undefined;
  }

  /** Whatever is noted for an entry must be what it says. */
  #compare(entry: StoredEntry): string | undefined {
    const { seq } = entry.data;
    for (const { key, id } of this.#repeat.all(seq)) {
      const isNoted = isReport(entry) && entry.data.repeat === key && entry.data.incident === id;
      if (!isNoted) return `entry ${seq} does not say what is noted of it`;
    }
    return undefined;
  }

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

const reportsOf = (seqs: readonly number[], times: readonly number[], isMeant: (seq: number) => boolean) =>
  seqs.map((seq, index) => ({ seq, time: times[index]! })).filter(({ seq }) => isMeant(seq));
