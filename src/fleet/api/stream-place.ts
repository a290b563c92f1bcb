/**
 * A place in the logs of all machines: a time by the clock of the database, and how far one was in the logs that had advanced
 * shortly before. Transactions become visible in another order than their times: so of what was stored up to `OVERLAP` before that
 * time, only what the place names counts as seen. Entries count by when the fleet took them, whatever their own times are.
 */
import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { SECOND } from '../../clock.ts';
import { RecorderError } from '../../errors.ts';
import type { FleetDatabase } from '../database.ts';
import { time } from './list-filter.ts';

/** How far apart the times of two transactions that become visible at once may be, in milliseconds: these are times within each. */
export const OVERLAP = 10 * SECOND;
/** How many logs a place names; a header must hold it. */
const MOST_NAMED = 200;

export interface StreamPlace {
  /** Milliseconds since the epoch, by the clock of the database. */
  readonly at: number;
  /** How far one was in the logs that had advanced shortly before, by `keyOf`. */
  readonly sent: ReadonlyMap<string, number>;
}

/** One history of a machine's log. */
export interface LogName {
  readonly machine: string;
  readonly log: string;
}

/** A short word for a history of a machine's log. */
export const keyOf = ({ machine, log }: LogName): string =>
  createHash('sha256').update(`${machine} ${log}`).digest('base64url').slice(0, 12);

export const writeStreamPlace = ({ at, sent }: StreamPlace): string =>
  [String(at), ...[...sent].slice(-MOST_NAMED).map(([key, seq]) => `${key}:${seq}`)].join('.');

/** Reads what `writeStreamPlace` wrote. @throws RecorderError `invalid_request` for anything else */
export function readStreamPlace(text: string, message = 'Last-Event-ID must be the id of an event'): StreamPlace {
  const [at = '', ...named] = text.split('.');
  const sent = new Map<string, number>();
  for (const one of named) {
    const [, key, seq] = /^([\w-]{12}):(\d{1,15})$/.exec(one) ?? [];
    if (key === undefined) throw new RecorderError('invalid_request', message);
    sent.set(key, Number(seq));
  }
  if (!/^\d{1,15}$/.test(at) || named.length > MOST_NAMED) throw new RecorderError('invalid_request', message);
  return { at: Number(at), sent };
}

/**
 * The time of a place that begins now, by the clock of the database: now, or when the oldest transaction of the fleet began that has
 * stored something and is not over. Its commit may wait for long, as for a standby that is gone, and what it has stored becomes
 * visible with the times of then. An engine whose `pg_stat_activity` is empty says now.
 * @returns milliseconds since the epoch. Read it before the logs
 */
export async function timeOfNewPlace(db: FleetDatabase): Promise<number> {
  const { rows } = await sql<{ at: Date }>`
    SELECT least(clock_timestamp(), min(xact_start)) AS at FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xid IS NOT NULL
      AND application_name = current_setting('application_name')`.execute(db);
  return rows[0]!.at.getTime();
}

/** A history with the entries that are in it alone: those before are in the one that it has left. */
export interface LogExtent extends LogName {
  readonly first: number;
  readonly through: number;
}

/** How far each log was stored before a time, by the clock of the database: its entries were stored one after the other. */
export const storedBefore = (db: FleetDatabase, logs: readonly LogExtent[], at: number): Promise<readonly number[]> =>
  throughBefore(db, logs, sql`e.stored_at < ${time(at)}`);

/** How far each log was written before a time, by the clock of its machine, where that did not jump. */
export const writtenBefore = (db: FleetDatabase, logs: readonly LogExtent[], at: number): Promise<readonly number[]> =>
  throughBefore(db, logs, sql`e.at < ${time(at)}`);

/**
 * How far some logs meet a condition that all entries from the first on meet, up to one. Halving finds it, with one query a
 * step for all of them.
 * @param isEarlier on an entry `e`
 * @returns for each the last entry that meets it; the one before its first where none does
 */
async function throughBefore(
  db: FleetDatabase,
  logs: readonly LogExtent[],
  isEarlier: RawBuilder<unknown>,
): Promise<readonly number[]> {
  const ranges = logs.map(({ first, through }) => ({ low: first - 1, high: through }));
  for (;;) {
    const open = ranges.flatMap(({ low, high }, index) =>
      low < high ? [{ index, middle: Math.ceil((low + high) / 2) }] : [],
    );
    if (open.length === 0) return ranges.map(({ low }) => low);
    const { rows } = await sql<{ place: number; earlier: boolean }>`
      SELECT k.place, ${isEarlier} AS earlier FROM unnest(
        ${open.map(({ index }) => logs[index]!.machine)}::text[], ${open.map(({ index }) => logs[index]!.log)}::text[],
        ${open.map(({ middle }) => middle)}::bigint[]) WITH ORDINALITY AS k (machine, log, seq, place)
      JOIN entries e ON e.machine = k.machine AND e.log = k.log AND e.seq = k.seq`.execute(db);
    const earlier = new Map(rows.map((row) => [row.place - 1, row.earlier]));
    for (const [place, { index, middle }] of open.entries()) {
      const range = ranges[index]!;
      // An entry that is not there is no earlier one.
      if (earlier.get(place) === true) range.low = middle;
      else range.high = middle - 1;
    }
  }
}
