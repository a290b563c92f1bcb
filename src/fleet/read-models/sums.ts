/**
 * Makes sums over all machines: what happened in each hour, and the incidents that were created in each hour and each day.
 *
 * Any number of processes may do it: one at a time has the row of `meta`. It takes marks away first and then adds up what
 * the machines have. What is stored in between is in the sum, and its mark stays for the next time.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely';
import { type Clock, SECOND } from '../../clock.ts';
import type { FleetDatabase } from '../database.ts';
import type { FleetTables } from '../schema.ts';
import { COUNTED, countsOfIncidents, createdIn, sumOfCounts } from './created-counts.ts';
import { takeMarks } from './marks.ts';

type Tx = Transaction<FleetTables>;

/** How many hours one transaction makes again, and how long all of them may take before others get their turn. */
const HOURS_AT_ONCE = 48;
const LONGEST = 10 * SECOND;

/** Sums are of an hour or of a day: `length` is in hours, and `beginning` in hours since the epoch. */
export const DAY_OF_HOURS = 24;

/** The name of the row of `meta` that a process has while it makes sums. */
const SUMS = 'sums';

export class Sums {
  readonly #db: FleetDatabase;
  readonly #clock: Pick<Clock, 'monotonic'>;

  constructor({ db, clock }: { readonly db: FleetDatabase; readonly clock: Pick<Clock, 'monotonic'> }) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Makes the sums of marked hours again, unless another process does. */
  async make(): Promise<void> {
    const until = this.#clock.monotonic() + LONGEST;
    while (this.#clock.monotonic() < until) if (!(await this.#makeSome())) break;
  }

  /** @returns whether there may be more */
  #makeSome(): Promise<boolean> {
    return this.#db.transaction().execute(async (tx) => {
      const { rows: turn } = await sql`
        SELECT value FROM meta WHERE machine = '' AND name = ${SUMS} FOR UPDATE SKIP LOCKED`.execute(tx);
      if (turn.length === 0) return false;
      const { hours, isAll } = await takeMarks(tx, HOURS_AT_ONCE);
      if (hours.activity.length > 0) await makeActivity(tx, hours.activity);
      if (hours.created.length > 0) await makeCreated(tx, hours.created);
      return !isAll;
    });
  }
}

const anyOf = (hours: readonly number[]): RawBuilder<unknown> => sql`ANY(${[...hours]}::bigint[])`;

async function makeActivity(tx: Tx, hours: readonly number[]): Promise<void> {
  await sql`DELETE FROM hour_sums WHERE machine = '' AND hour = ${anyOf(hours)}`.execute(tx);
  await sql`
    INSERT INTO hour_sums (machine, hour, what, step, count)
    SELECT '', h.hour, h.what, h.step, sum(h.count) FROM hours h
      JOIN logs l ON l.machine = h.machine AND l.log = h.log AND l.active
    WHERE h.hour = ${anyOf(hours)} GROUP BY h.hour, h.what, h.step`.execute(tx);
}

async function makeCreated(tx: Tx, hours: readonly number[]): Promise<void> {
  await sql`DELETE FROM created_sums WHERE machine = '' AND length = 1 AND beginning = ${anyOf(hours)}`.execute(tx);
  const spans = sql`
    SELECT hour, to_timestamp(hour * 3600) AS begun, to_timestamp((hour + 1) * 3600) AS ended
    FROM unnest(${[...hours]}::bigint[]) AS hour`;
  await sql`
    INSERT INTO created_sums (machine, length, beginning, class, source, rank, ${COUNTED})
    SELECT '', 1, span.hour, i.class, i.source, i.rank, ${countsOfIncidents} FROM ${createdIn(spans)}
    GROUP BY span.hour, i.class, i.source, i.rank`.execute(tx);
  await sql`
    DELETE FROM minute_sums m USING unnest(${[...hours]}::bigint[]) AS h (hour)
    WHERE m.machine = '' AND m.minute >= h.hour * 60 AND m.minute < (h.hour + 1) * 60`.execute(tx);
  await sql`
    INSERT INTO minute_sums (machine, minute, count)
    SELECT '', floor(extract(epoch FROM i.created_at) / 60)::bigint, count(*) FROM ${createdIn(spans)} GROUP BY 2`.execute(
    tx,
  );
  const days = [...new Set(hours.map((hour) => Math.floor(hour / DAY_OF_HOURS) * DAY_OF_HOURS))];
  await sql`
    DELETE FROM created_sums WHERE machine = '' AND length = ${DAY_OF_HOURS} AND beginning = ${anyOf(days)}`.execute(
    tx,
  );
  await sql`
    INSERT INTO created_sums (machine, length, beginning, class, source, rank, ${COUNTED})
    SELECT '', ${DAY_OF_HOURS}, d.day, s.class, s.source, s.rank, ${sumOfCounts}
    FROM unnest(${days}::bigint[]) AS d (day) JOIN created_sums s
      ON s.machine = '' AND s.length = 1 AND s.beginning >= d.day AND s.beginning < d.day + ${DAY_OF_HOURS}
    GROUP BY d.day, s.class, s.source, s.rank`.execute(tx);
}
