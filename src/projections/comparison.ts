/**
 * Compares the incidents that were reported in a range of time with those of the range of the same length before it: how
 * many there were, by class, source, severity or hour, and how long they took to be contained, acknowledged and resolved.
 *
 * All of it is read from the rows of the incidents, a few at a time, so that other requests are answered meanwhile. The
 * counts are exact. So are the times, up to `MOST_TIMED` incidents; of more, a sample is looked at, and the reading says so.
 */
import { ACTIONS } from '../../machines/vocabulary.ts';
import { HOUR } from '../clock.ts';
import {
  addCounted,
  type ComparedBy,
  comparisonOf,
  type ComparisonReading,
  type Counted,
  lengthOf,
  MOST_TIMED,
  nothingCounted,
  rangeBefore,
  type Step,
  type Timed,
  type TimeRange,
} from '../query/comparison-reading.ts';
import type { Database, Statement } from './database.ts';

/** How many incidents of a range are counted between two turns, and of how many the times are read. */
const COUNTED_AT_ONCE = 500;
const TIMED_AT_ONCE = 32;
const KEYS: Readonly<Record<ComparedBy, string>> = {
  class: 'class',
  source: 'source',
  severity: 'rank',
  // Numbers are bound as floating point.
  hour: `CAST((created_at - ?1) / ${HOUR} AS INTEGER)`,
};

export class Comparison {
  readonly #hours: Statement;
  readonly #archived: Statement;
  readonly #times: Statement;
  readonly #counts: Readonly<Record<ComparedBy, Statement>>;

  constructor(database: Database) {
    this.#hours = database.prepare(
      'SELECT min(first) AS first, max(last) AS last FROM hours WHERE hour BETWEEN ? AND ?',
    );
    this.#archived = database.prepare('SELECT 1 FROM archived_ranges WHERE since < ? AND until >= ? LIMIT 1');
    const counts = (key: string): Statement =>
      database.prepare(`
        SELECT ${key} AS value, max(number) AS last, count(*) AS looked, sum(is_in) AS count,
          sum(is_in AND is_waited_for) AS contain,
          min(CASE WHEN is_in AND is_waited_for THEN created_at END) AS contain_oldest,
          sum(is_in AND state IN ('open', 'contained')) AS acknowledge,
          min(CASE WHEN is_in AND state IN ('open', 'contained') THEN created_at END) AS acknowledge_oldest,
          sum(is_in AND state <> 'resolved') AS resolve,
          min(CASE WHEN is_in AND state <> 'resolved' THEN created_at END) AS resolve_oldest
        FROM (
          SELECT number, class, rank, source, state, created_at,
            drill = 0 AND created_at >= ?1 AND created_at < ?2 AS is_in,
            CASE state WHEN 'resolved' THEN 0 ELSE EXISTS (
              SELECT 1 FROM deliveries WHERE incident = number AND wait > 0 AND action IN (${ACTIONS.map((action) => `'${action}'`).join(', ')})
            ) END AS is_waited_for
          FROM incidents WHERE number BETWEEN ?3 AND ?4 ORDER BY number LIMIT ${COUNTED_AT_ONCE}
        ) GROUP BY 1`);
    this.#counts = {
      class: counts(KEYS.class),
      source: counts(KEYS.source),
      severity: counts(KEYS.severity),
      hour: counts(KEYS.hour),
    };
    // A sample by the numbers themselves would see only every other incident of those that take two entries each.
    this.#times = database.prepare(`
      SELECT number, created_at, document ->> '$.acknowledged_at' AS acknowledged,
        document ->> '$.resolved_at' AS resolved,
        CASE document ->> '$.containment.status' WHEN 'confirmed' THEN (
          SELECT max(value ->> '$.confirmed_at') FROM json_each(document, '$.containment.actions')
        ) END AS contained
      FROM incidents
      WHERE number BETWEEN ?1 AND ?2 AND created_at >= ?3 AND created_at < ?4 AND drill = 0
        AND ((number * 2654435761) >> 16) % ?5 = 0
      ORDER BY number LIMIT ${TIMED_AT_ONCE}`);
  }

  /**
   * Compares a range with the one before it.
   * @param now milliseconds since the epoch
   * @param turn awaited before each part of the work; what it throws ends the work
   */
  async read(range: TimeRange, by: ComparedBy, now: number, turn: () => Promise<void>): Promise<ComparisonReading> {
    const before = rangeBefore(range);
    const rest = async (): Promise<void> => {
      await turn();
      await new Promise(setImmediate);
    };
    const counted = { now: await this.#count(range, by, rest), before: await this.#count(before, by, rest) };
    const timed = {
      now: await this.#time(range, counted.now.count, rest),
      before: await this.#time(before, counted.before.count, rest),
    };
    const ranges = (['now', 'before'] as const).filter((name) => {
      const { since, until } = name === 'now' ? range : before;
      return this.#archived.get(until, since) !== undefined;
    });
    return comparisonOf(range, by, now, { counted, timed, archived: ranges });
  }

  async #count({ since, until }: TimeRange, by: ComparedBy, rest: () => Promise<void>): Promise<Counted> {
    const counted = nothingCounted();
    const { first, last } = this.#numbersBetween(since, until);
    for (let from = first; from <= last;) {
      await rest();
      let [looked, highest] = [0, from];
      for (const row of this.#counts[by].all(since, until, from, last)) {
        looked += Number(row.looked);
        highest = Math.max(highest, Number(row.last));
        addCounted(counted, by, row);
      }
      if (looked < COUNTED_AT_ONCE) break;
      from = highest + 1;
    }
    return counted;
  }

  /** Reads how long incidents took, each in milliseconds. @param incidents how many there are in the range */
  async #time({ since, until }: TimeRange, incidents: number, rest: () => Promise<void>): Promise<Timed> {
    const taken: Record<Step, number[]> = { contain: [], acknowledge: [], resolve: [] };
    const every = Math.max(1, Math.ceil(incidents / MOST_TIMED));
    const { first, last } = incidents === 0 ? NONE : this.#numbersBetween(since, until);
    let count = 0;
    for (let from = first; from <= last;) {
      await rest();
      const rows = this.#times.all(from, last, since, until, every);
      for (const { created_at, contained, acknowledged, resolved } of rows) {
        const begun = Number(created_at);
        if (contained !== null) taken.contain.push(lengthOf(contained, begun));
        if (acknowledged !== null) taken.acknowledge.push(lengthOf(acknowledged, begun));
        if (resolved !== null) taken.resolve.push(lengthOf(resolved, begun));
      }
      count += rows.length;
      if (rows.length < TIMED_AT_ONCE) break;
      from = Number(rows.at(-1)!.number) + 1;
    }
    return { taken, count, isSample: every > 1 };
  }

  /** Which numbers the incidents of this time can have. */
  #numbersBetween(since: number, until: number): { readonly first: number; readonly last: number } {
    const row = this.#hours.get(Math.floor(since / HOUR), Math.floor((until - 1) / HOUR));
    return row === undefined || row.first === null ? NONE : { first: Number(row.first), last: Number(row.last) };
  }
}

/** No numbers. */
const NONE = { first: 1, last: 0 };
