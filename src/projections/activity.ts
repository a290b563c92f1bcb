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
import type { Database, Statement } from './database.ts';
import type { Incident, RecordChange } from '../domain/incident.ts';
import { type ActivityReading, activityOf, ActivityShares, hoursUpTo, LONG, SHORT } from '../query/activity-counts.ts';

export class Activity {
  readonly #count: Statement;
  readonly #dropEmpty: Statement;
  readonly #since: Statement;
  readonly #wait: Statement;
  readonly #dropDone: Statement;
  readonly #waiting: Statement;

  constructor(database: Database) {
    this.#count = database.prepare(`
      INSERT INTO activity (hour, what, step, count) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count`);
    this.#dropEmpty = database.prepare('DELETE FROM activity WHERE hour = ? AND what = ? AND step = ? AND count = 0');
    this.#since = database.prepare('SELECT hour, what, step, count FROM activity WHERE hour BETWEEN ? AND ?');
    this.#wait = database.prepare(`
      INSERT INTO waiting (length, beginning, count) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count`);
    this.#dropDone = database.prepare('DELETE FROM waiting WHERE length = ? AND beginning = ? AND count = 0');
    this.#waiting = database.prepare(`
      SELECT length, beginning, count FROM waiting WHERE length = ${LONG} AND beginning < ?1
      UNION ALL SELECT length, beginning, count FROM waiting WHERE length = ${SHORT} AND beginning >= ?1`);
  }

  /** The last `hours` up to the one of `now` (milliseconds since the epoch). */
  read(now: number, hours: number): ActivityReading {
    const { first, last, recent } = hoursUpTo(now, hours);
    return activityOf(now, hours, {
      counts: this.#since.all(first, last).map((row) => ({
        hour: Number(row.hour),
        what: String(row.what),
        step: Number(row.step),
        count: Number(row.count),
      })),
      waiting: this.#waiting.all(recent).map((row) => ({
        length: Number(row.length),
        beginning: Number(row.beginning),
        count: Number(row.count),
      })),
    });
  }

  /** Adds what a batch of entries has changed. */
  add(changes: Iterable<RecordChange>): void {
    const shares = new ActivityShares();
    for (const { before, now } of changes) shares.follow(before?.incident, now.incident);
    this.#write(shares.counts);
    for (const { length, beginning, count } of shares.waiting.rows()) {
      this.#wait.run(length, beginning, count);
      if (count < 0) this.#dropDone.run(length, beginning);
    }
  }

  /** Subtracts the shares of incidents that leave the record. */
  leave(incidents: readonly Incident[]): void {
    const shares = new ActivityShares();
    for (const incident of incidents) shares.leave(incident);
    this.#write(shares.counts);
  }

  #write(counts: ReadonlyMap<string, number>): void {
    for (const [key, count] of counts) {
      if (count === 0) continue;
      const [hour, what, step] = key.split(' ') as [string, string, string];
      this.#count.run(Number(hour), what, Number(step), count);
      if (count < 0) this.#dropEmpty.run(Number(hour), what, Number(step));
    }
  }
}
