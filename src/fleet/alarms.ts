/**
 * The alarms of the fleet itself: a machine that has gone silent, and one whose clock is wrong.
 *
 * Any number of processes look, without locks: the identifier of an alarm follows from what is the matter, so whoever
 * sees it second opens nothing. What was opened on old news is closed by the next look.
 */
import { sql } from 'kysely';
import { type Clock, MINUTE, SECOND } from '../clock.ts';
import type { FleetDatabase } from './database.ts';

/** From how far on a clock is wrong, in milliseconds. */
export const MOST_SKEW = MINUTE;
/** How many alarms one look opens or closes of each kind: the next look goes on. */
const MOST_AT_ONCE = 1000;
/** How long after its start a process calls no machine silent: the fleet itself may have been away. In milliseconds. */
const LONGEST_GRACE = 2 * MINUTE;
/** How often requests may look. */
const LOOK_EVERY = SECOND;

/** What to say when most clocks of machines differ from the fleet's, which then is the wrong one itself. */
export async function clockWarnings(db: FleetDatabase): Promise<readonly string[]> {
  const { rows } = await sql<{ machines: number; ahead: number; behind: number }>`
    SELECT count(*) AS machines, count(*) FILTER (WHERE m.clock_skew_ms > ${sql.lit(MOST_SKEW)}) AS ahead,
      count(*) FILTER (WHERE m.clock_skew_ms < ${sql.lit(-MOST_SKEW)}) AS behind
    FROM machines m WHERE m.revoked_at IS NULL AND m.clock_skew_ms IS NOT NULL`.execute(db);
  const { machines, ahead, behind } = rows[0]!;
  const most = Math.max(ahead, behind);
  if (most < 2 || most * 2 <= machines) return [];
  const where = ahead > behind ? 'ahead of' : 'behind';
  return [
    `the clocks of ${most} of ${machines} machines are ${where} the fleet’s by more than a minute: that of the fleet may be wrong, and then machines refuse its commands`,
  ];
}

export interface AlarmsOptions {
  readonly db: FleetDatabase;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** After how many milliseconds without a word a machine is silent. */
  readonly silentAfter: number;
  readonly log: { error(fields: object, message: string): void; info(fields: object, message: string): void };
}

export class FleetAlarms {
  readonly #options: AlarmsOptions;
  /** Since when machines could be heard: the start, or when the database was there again. */
  #started: number;
  #looked = -Infinity;

  constructor(options: AlarmsOptions) {
    this.#options = options;
    this.#started = options.clock.monotonic();
  }

  /** Opens and closes what is due, unless somebody has just looked. @throws what the database throws */
  async look(): Promise<void> {
    const now = this.#options.clock.monotonic();
    if (now - this.#looked < LOOK_EVERY) return;
    this.#looked = now;
    try {
      await this.#lookAt(now);
    } catch (error) {
      // Where nothing can be stored, it is not stored either who was heard.
      this.#started = this.#options.clock.monotonic();
      throw error;
    }
  }

  async #lookAt(now: number): Promise<void> {
    const { silentAfter } = this.#options;
    await this.#close();
    if (now - this.#started >= Math.min(silentAfter, LONGEST_GRACE)) await this.#openSilent();
    await this.#openSkewed();
  }

  async #openSilent(): Promise<void> {
    const { db, silentAfter, log } = this.#options;
    const after = sql`(${silentAfter}::float8 * interval '1 millisecond')`;
    const { rows } = await sql<{ machine: string; heard: Date }>`
      SELECT m.machine, coalesce(m.heard_at, m.enrolled_at) AS heard FROM machines m
      WHERE m.revoked_at IS NULL AND m.enrolled_at IS NOT NULL
        AND coalesce(m.heard_at, m.enrolled_at) < clock_timestamp() - ${after}
        AND NOT EXISTS (SELECT 1 FROM fleet_incidents f
          WHERE f.machine = m.machine AND f.kind = 'machine_silent' AND f.closed_at IS NULL)
      ORDER BY m.machine LIMIT ${sql.lit(MOST_AT_ONCE)}`.execute(db);
    for (const { machine, heard } of rows) {
      const id = `machine_silent:${heard.toISOString()}`;
      const detail = JSON.stringify({ heard_at: heard.toISOString(), silent_after_seconds: silentAfter / SECOND });
      // Unless it was heard meanwhile.
      const opened = await sql`
        INSERT INTO fleet_incidents (machine, id, kind, opened_at, detail)
        SELECT m.machine, ${id}, 'machine_silent', clock_timestamp(), ${detail}::jsonb FROM machines m
        WHERE m.machine = ${machine} AND coalesce(m.heard_at, m.enrolled_at) = ${heard.toISOString()}::timestamptz
        ON CONFLICT DO NOTHING RETURNING id`.execute(db);
      if (opened.rows.length === 0) continue;
      await sql`
        UPDATE machines SET silent_since = ${heard.toISOString()}::timestamptz
        WHERE machine = ${machine}`.execute(db);
      log.error({ machine, heard_at: heard.toISOString() }, 'A MACHINE IS SILENT');
    }
  }

  async #openSkewed(): Promise<void> {
    const { db, log } = this.#options;
    const { rows } = await sql<{ machine: string; skew: number; times: number }>`
      SELECT m.machine, m.clock_skew_ms AS skew, (SELECT count(*) FROM fleet_incidents f
        WHERE f.machine = m.machine AND f.kind = 'clock_skew') AS times FROM machines m
      WHERE m.revoked_at IS NULL AND abs(m.clock_skew_ms) > ${sql.lit(MOST_SKEW)}
        AND NOT EXISTS (SELECT 1 FROM fleet_incidents f
          WHERE f.machine = m.machine AND f.kind = 'clock_skew' AND f.closed_at IS NULL)
      ORDER BY m.machine LIMIT ${sql.lit(MOST_AT_ONCE)}`.execute(db);
    for (const { machine, skew, times } of rows) {
      const id = `clock_skew:${times + 1}`;
      const detail = JSON.stringify({ clock_skew_ms: skew, most_ms: MOST_SKEW });
      const opened = await sql`
        INSERT INTO fleet_incidents (machine, id, kind, opened_at, detail)
        VALUES (${machine}, ${id}, 'clock_skew', clock_timestamp(), ${detail}::jsonb)
        ON CONFLICT DO NOTHING RETURNING id`.execute(db);
      if (opened.rows.length > 0) log.error({ machine, clock_skew_ms: skew }, 'THE CLOCK OF A MACHINE IS WRONG');
    }
  }

  /** What is over: the machine was heard or revoked, or its clock is right. */
  async #close(): Promise<void> {
    const { db, log } = this.#options;
    const { rows } = await sql<{ machine: string; id: string; kind: string }>`
      SELECT f.machine, f.id, f.kind FROM fleet_incidents f JOIN machines m ON m.machine = f.machine
      WHERE f.closed_at IS NULL AND (
        (f.kind = 'machine_silent' AND (m.revoked_at IS NOT NULL
          OR m.heard_at > (f.detail->>'heard_at')::timestamptz OR m.enrolled_at > (f.detail->>'heard_at')::timestamptz))
        OR (f.kind = 'clock_skew' AND (m.revoked_at IS NOT NULL OR abs(m.clock_skew_ms) <= ${sql.lit(MOST_SKEW)})))
      ORDER BY f.machine, f.id LIMIT ${sql.lit(MOST_AT_ONCE)}`.execute(db);
    for (const { machine, id, kind } of rows) {
      const closed = await sql`
        UPDATE fleet_incidents SET closed_at = clock_timestamp()
        WHERE machine = ${machine} AND id = ${id} AND closed_at IS NULL RETURNING id`.execute(db);
      if (kind === 'machine_silent')
        await sql`UPDATE machines SET silent_since = NULL WHERE machine = ${machine}`.execute(db);
      if (closed.rows.length > 0) log.info({ machine, alarm: id }, 'an alarm of the fleet is over');
    }
  }
}
