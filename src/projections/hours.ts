import { HOUR } from '../clock.ts';
import type { Database, Statement } from './database.ts';

/** The numbers of incidents from `from` to `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Which incidents were created in which hours, as far as their numbers say it. */
export class Hours {
  readonly #between: Statement;

  constructor(database: Database) {
    this.#between = database.prepare(
      'SELECT min(first) AS first, max(last) AS last FROM hours WHERE hour BETWEEN ? AND ?',
    );
  }

  /**
   * Which numbers the incidents of these hours can have; all when no time is given.
   * @param since in milliseconds since the epoch, as `until`
   */
  numbersBetween(since: number | undefined, until: number | undefined): Range {
    if (since === undefined && until === undefined) return { from: 0, to: Number.MAX_SAFE_INTEGER };
    const hourOf = (time: number): number => Math.floor(time / HOUR);
    const row = this.#between.get(hourOf(since ?? 0), until === undefined ? Number.MAX_SAFE_INTEGER : hourOf(until));
    return row?.first === null || row === undefined
      ? { from: 1, to: 0 }
      : { from: Number(row.first), to: Number(row.last) };
  }
}
