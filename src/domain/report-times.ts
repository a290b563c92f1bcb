/**
 * When the latest reports of each class came, counted from the log alone.
 *
 * Time here is that of the log. It begins with the timestamp of the first report, and grows by what passed between two
 * reports: the difference of their timestamps without `clock_step_ms`, by which the wall clock was set between them,
 * and never less than nothing. So reports stay as far from each other as they were when the clock is set forward or
 * back, and whoever reads the same entries counts the same: after a restart, and from a database that was rebuilt.
 */
import type { IncidentClass } from '../../machines/vocabulary.ts';
import type { DraftOf, EntryOf } from './entries.ts';

/** How many reports of a class are remembered: no rule of escalation counts more. */
export const MOST_REPORTS = 500;

export type ReportEntry = EntryOf<'incident.reported'> | EntryOf<'incident.recurred'>;

/**
 * Whether an entry, or the draft of one, records a report: one that opens an incident, or an occurrence. A drill is none,
 * nor is an incident that a person has taken up again.
 */
export const isReport = <Given extends { readonly event: string; readonly data: object }>(
  given: Given,
): given is Extract<Given, { readonly event: 'incident.reported' | 'incident.recurred' }> =>
  (given.event === 'incident.reported' || given.event === 'incident.recurred') &&
  !('drill' in given.data) &&
  !('reopens' in given.data);

/** What is counted of a report. */
export interface CountedReport {
  readonly class: IncidentClass;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  /** By how many milliseconds the wall clock was set since the report before. */
  readonly step: number;
}

/** What is counted of the report in an entry. */
export const countedIn = ({
  timestamp,
  data,
}: DraftOf<'incident.reported'> | DraftOf<'incident.recurred'>): CountedReport => ({
  class: data.report.class,
  timestamp: Date.parse(timestamp),
  step: data.clock_step_ms ?? 0,
});

/** The latest reports of a class, oldest first: `seq` of each, and its time. */
export interface RecentReports {
  readonly seqs: readonly number[];
  readonly times: readonly number[];
}

interface Recent extends RecentReports {
  readonly seqs: number[];
  readonly times: number[];
}

/** The latest report of any class: its timestamp and its time. */
export interface LatestTime {
  readonly timestamp: number;
  readonly time: number;
}

const NONE: RecentReports = { seqs: [], times: [] };

export class ReportTimes {
  #first: CountedReport | undefined;
  #latest: LatestTime | undefined;
  readonly #recent = new Map<IncidentClass, Recent>();

  /** @param recent the latest reports of each class, as `recentOf` gave them */
  constructor(latest?: LatestTime, recent: Iterable<readonly [IncidentClass, RecentReports]> = []) {
    this.#latest = latest;
    for (const [name, { seqs, times }] of recent) this.#recent.set(name, { seqs: [...seqs], times: [...times] });
  }

  get latest(): LatestTime | undefined {
    return this.#latest;
  }

  recentOf(ofClass: IncidentClass): RecentReports {
    return this.#recent.get(ofClass) ?? NONE;
  }

  /** The time of a report that follows the latest one. */
  timeOf({ timestamp, step }: Pick<CountedReport, 'timestamp' | 'step'>): number {
    if (this.#latest === undefined) return timestamp;
    return this.#latest.time + Math.max(0, timestamp - this.#latest.timestamp - step);
  }

  /** Counts the next report of the log. @returns its time */
  take(report: CountedReport, seq: number): number {
    this.#first ??= report;
    const time = this.timeOf(report);
    this.#latest = { timestamp: report.timestamp, time };
    const recent = this.#recentOf(report.class);
    recent.seqs.push(seq);
    recent.times.push(time);
    // Not each time: to drop the first of a list moves all others.
    if (recent.seqs.length >= 2 * MOST_REPORTS) this.#cut(recent);
    return time;
  }

  /** Whether so many reports of a class came within so many milliseconds, one at `time` included. */
  reaches(ofClass: IncidentClass, reports: number, within: number, time: number): boolean {
    if (reports <= 1) return true;
    const { times } = this.recentOf(ofClass);
    const earliest = times[times.length - (reports - 1)];
    return earliest !== undefined && time - earliest <= within;
  }

  /** Counts what another has counted that began where this one ends. */
  append(later: ReportTimes): void {
    if (later.#first === undefined || later.#latest === undefined) return;
    const passed = this.timeOf(later.#first) - later.#first.timestamp;
    for (const [name, { seqs, times }] of later.#recent) {
      const recent = this.#recentOf(name);
      recent.seqs.push(...seqs);
      recent.times.push(...times.map((time) => time + passed));
      this.#cut(recent);
    }
    this.#latest = { timestamp: later.#latest.timestamp, time: later.#latest.time + passed };
  }

  /** The same without the reports of some entries. */
  without(isGone: (seq: number) => boolean): ReportTimes {
    const kept = new Map<IncidentClass, RecentReports>();
    for (const [name, { seqs, times }] of this.#recent) {
      kept.set(name, {
        seqs: seqs.filter((seq) => !isGone(seq)),
        times: times.filter((_, index) => !isGone(seqs[index]!)),
      });
    }
    return new ReportTimes(this.#latest, kept);
  }

  copy(): ReportTimes {
    return new ReportTimes(this.#latest, this.#recent);
  }

  #recentOf(ofClass: IncidentClass): Recent {
    const known = this.#recent.get(ofClass);
    if (known !== undefined) return known;
    const recent: Recent = { seqs: [], times: [] };
    this.#recent.set(ofClass, recent);
    return recent;
  }

  #cut({ seqs, times }: Recent): void {
    const excess = Math.max(0, seqs.length - MOST_REPORTS);
    seqs.splice(0, excess);
    times.splice(0, excess);
  }
}
