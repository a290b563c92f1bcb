/**
 * What happened in each hour: how many incidents were reported, and the times to containment and to resolution of those
 * that reached it in that hour.
 *
 * The table holds counts. A duration counts in a step of a scale on which each step is a fifth longer than the one
 * before, so percentiles are right to a tenth of their value, and a read costs the same however many incidents there
 * were. The share of an incident follows from the incident alone. When it changes or leaves the record, its old share is
 * subtracted: so the counts are always those of the incidents on record.
 *
 * An incident that is not contained yet counts as well, by when it was reported: for the time that it has waited so
 * far, so that a service that never answers makes the time to containment longer, not shorter.
 */
import { SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import { rangesOf } from '../audit/archived-ranges.ts';
import { HOUR, SECOND } from '../clock.ts';
import { BEGUN } from './archived-incidents.ts';
import type { Database, Statement } from './database.ts';
import { contribute, type Durations, isWaiting, type Measure, Scales, stepOf } from '../domain/activity.ts';
import type { Incident, RecordChange } from '../domain/incident.ts';
import type { ArchivedData } from '../domain/entries.ts';

/**
 * Durations with those that have not come to their end. In median and p90 they count for as long as they have waited.
 */
export interface DurationsSoFar extends Durations {
  /** How many still wait, whenever they began. */
  readonly waiting: number;
  /** How long the one that has waited longest has waited, nearly. */
  readonly oldest_waiting_ms: number | null;
}

export interface ActivityReading {
  /** RFC 3339: the beginning of the first hour. */
  readonly from: string;
  readonly hours: number;
  /** How many were reported in each hour, oldest first. */
  readonly reported: Readonly<Record<Severity, readonly number[]>>;
  /** Until all of an incident's actions were confirmed. */
  readonly time_to_containment: DurationsSoFar;
  readonly time_to_resolution: Durations;
}

/** The most hours that can be read at once: a week. */
export const MOST_HOURS = 168;

/**
 * Incidents that wait are counted by when they were reported, twice: in short stretches, which are read for the last
 * hours, and in long ones, which are read for the time before. So a read looks at few rows for any number of incidents.
 */
const SHORT = 10 * SECOND;
const LONG = HOUR;
/** Reports that are younger than this are read in short stretches, in milliseconds. */
const RECENT = 3 * HOUR;

export class Activity {
  readonly #count: Statement;
  readonly #dropEmpty: Statement;
  readonly #since: Statement;
  readonly #wait: Statement;
  readonly #dropDone: Statement;
  readonly #waiting: Statement;
  readonly #leaving: Statement;

  constructor(database: Database) {
    this.#count = database.prepare(`
      INSERT INTO activity (hour, what, step, count) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count`);
    this.#dropEmpty = database.prepare('DELETE FROM activity WHERE count = 0');
    this.#since = database.prepare('SELECT hour, what, step, count FROM activity WHERE hour BETWEEN ? AND ?');
    this.#wait = database.prepare(`
      INSERT INTO waiting (length, beginning, count) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count`);
    this.#dropDone = database.prepare('DELETE FROM waiting WHERE length = ? AND beginning = ? AND count = 0');
    this.#waiting = database.prepare(`
      SELECT length, beginning, count FROM waiting WHERE length = ${LONG} AND beginning < ?1
      UNION ALL SELECT length, beginning, count FROM waiting WHERE length = ${SHORT} AND beginning >= ?1`);
    this.#leaving = database.prepare(`SELECT document FROM incidents WHERE number IN (${BEGUN})`);
  }

  /** The last `hours` up to the one of `now` (milliseconds since the epoch). */
  read(now: number, hours: number): ActivityReading {
    const last = Math.floor(now / HOUR);
    const first = last - hours + 1;
    const reported = Object.fromEntries(SEVERITIES.map((severity) => [severity, Array<number>(hours).fill(0)]));
    const taken = { contained: new Scales(hours), resolved: new Scales(hours) };
    for (const row of this.#since.all(first, last)) {
      const at = Number(row.hour) - first;
      const counts = reported[String(row.what)];
      if (counts === undefined) taken[row.what as Measure].add(at, Number(row.step), Number(row.count));
      else counts[at] = Number(row.count);
    }
    return {
      from: new Date(first * HOUR).toISOString(),
      hours,
      reported: reported as Record<Severity, number[]>,
      time_to_containment: this.#soFar(taken.contained, now),
      time_to_resolution: taken.resolved.read(),
    };
  }

  /** Adds those that are not contained yet. */
  #soFar(scales: Scales, now: number): DurationsSoFar {
    const { hourly_median_ms, count } = scales.read();
    let waiting = 0;
    let oldest: number | null = null;
    const recent = Math.floor((now - RECENT) / LONG) * LONG;
    for (const { length, beginning, count: some } of this.#waiting.iterate(recent)) {
      // The clock may have been set back.
      const age = Math.max(0, now - Number(beginning) - Number(length) / 2);
      oldest = Math.max(oldest ?? 0, age);
      waiting += Number(some);
      scales.addWaiting(stepOf(age), Number(some));
    }
    return { ...scales.read(), hourly_median_ms, count, waiting, oldest_waiting_ms: oldest };
  }

  /** Adds what a batch of entries has changed. */
  add(changes: Iterable<RecordChange>): void {
    const counts = new Map<string, number>();
    const waiting = new Map<number, number>();
    for (const { before, now } of changes) {
      if (before !== undefined) contribute(counts, before.incident, -1);
      contribute(counts, now.incident, 1);
      const [did, does] = [isWaiting(before?.incident), isWaiting(now.incident)];
      if (did === does) continue;
      const at = Date.parse(now.incident.created_at);
      const short = Math.floor(at / SHORT) * SHORT;
      waiting.set(short, (waiting.get(short) ?? 0) + (does ? 1 : -1));
    }
    this.#write(counts);
    for (const [beginning, count] of waiting) {
      if (count === 0) continue;
      for (const length of [SHORT, LONG]) {
        const from = Math.floor(beginning / length) * length;
        this.#wait.run(length, from, count);
        if (count < 0) this.#dropDone.run(length, from);
      }
    }
  }

  /** Subtracts the shares of the incidents in archived segments. Called while they are still on record. */
  leave(data: ArchivedData): void {
    const counts = new Map<string, number>();
    for (const { first_seq, last_seq } of rangesOf(data)) {
      for (const { document } of this.#leaving.iterate(first_seq, last_seq)) {
        contribute(counts, JSON.parse(String(document)) as Incident, -1);
      }
    }
    this.#write(counts);
  }

  #write(counts: ReadonlyMap<string, number>): void {
    let decreased = false;
    for (const [key, count] of counts) {
      if (count === 0) continue;
      const [hour, what, step] = key.split(' ') as [string, string, string];
      this.#count.run(Number(hour), what, Number(step), count);
      decreased ||= count < 0;
    }
    if (decreased) this.#dropEmpty.run();
  }
}
