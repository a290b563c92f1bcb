/**
 * Campaigns: the same class with the same values on several machines within a time is one campaign. It is raised once and
 * grows.
 *
 * A process reads what the logs have got since it looked last, and keeps for each incident that a rule fits its signature:
 * a hash over the rule, the class and the values. That is a row of the machine. Where enough machines have one signature
 * within the time, a campaign is raised. Its name follows from the signature, so any number of processes may look, and
 * only one raises it.
 *
 * What a campaign has is counted as it grows, per machine and in all (`CampaignCounts`), in one transaction with how far
 * the log was looked through: what a process that ends leaves undone is done again.
 */
import { sql, type Transaction } from 'kysely';
import { type Clock, MINUTE, SECOND } from '../clock.ts';
import { CampaignCounts } from './campaign-counts.ts';
import { grow, Growth, insertRaised, type RaisedCampaign, RaisedMeanwhile } from './campaign-growth.ts';
import { memberIn, type NewMember } from './campaign-members.ts';
import { type FleetDatabase, isUnreachable } from './database.ts';
import type { FleetPolicy } from './fleet-policy.ts';
import type { FleetTables } from './schema.ts';

type Tx = Transaction<FleetTables>;

/** Logs that are read in one go, and entries of one log. */
const MOST_LOGS = 200;
const MOST_ENTRIES = 2000;
/** How long one look may take before others get their turn, in milliseconds. */
const LONGEST_LOOK = 5 * SECOND;
/** How far back logs are looked for that have advanced: transactions become visible in another order than their times. */
const OVERLAP = MINUTE;
/** How often all logs are looked at, in milliseconds: some are built, or are to be counted again, long after they have advanced. */
const ALL_EVERY = MINUTE;
/** A campaign that two processes raise at once is one: the slower process looks again, so often. */
const ATTEMPTS = 3;

export interface CampaignsOptions {
  readonly db: FleetDatabase;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly policy: () => FleetPolicy;
  readonly log: { warn(fields: object, message: string): void };
}

export class Campaigns {
  readonly #options: CampaignsOptions;
  /** The time of the database at which nothing was left to look at. */
  #through: Date | undefined;
  /** When all logs are looked at next: milliseconds of a clock that does not jump. */
  #allDue = -Infinity;

  constructor(options: CampaignsOptions) {
    this.#options = options;
  }

  /** Looks through what the logs have got, and raises what is a campaign. */
  async look(): Promise<void> {
    const { db, clock } = this.#options;
    const begun = clock.monotonic();
    const until = begun + LONGEST_LOOK;
    const since = begun < this.#allDue ? this.#through : undefined;
    const { rows: times } = await sql<{ now: Date }>`SELECT clock_timestamp() AS now`.execute(db);
    for (;;) {
      const { rows } = await sql<Omit<LogSlice, 'to'> & { readonly through: number; readonly shared: number }>`
        SELECT l.machine, l.log, l.built AS through, greatest(p.counted, l.first_seq - 1) AS done,
          greatest(p.through, l.first_seq - 1) AS known, coalesce(l.diverged_at_seq, l.first_seq) - 1 AS shared
        FROM logs l LEFT JOIN campaign_progress p ON p.machine = l.machine AND p.log = l.log
        WHERE l.active AND l.built > coalesce(p.counted, l.first_seq - 1) AND l.built >= coalesce(l.diverged_at_seq, 1) - 1
          ${since === undefined ? sql`` : sql`AND l.advanced_at > ${new Date(since.getTime() - OVERLAP).toISOString()}::timestamptz`}
        ORDER BY l.advanced_at LIMIT ${sql.lit(MOST_LOGS)}`.execute(db);
      let isAll = rows.length < MOST_LOGS;
      for (const { through, shared, ...behind } of rows) {
        const done = Math.max(behind.done, shared);
        const to = Math.min(through, done + MOST_ENTRIES);
        if (to < through) isAll = false;
        if (behind.done < shared) await this.#goOnWith(behind, shared);
        await this.#lookThrough({ ...behind, done, to });
        if (clock.monotonic() > until) return;
      }
      if (!isAll) continue;
      this.#through = times[0]!.now;
      if (since === undefined) this.#allDue = begun + ALL_EVERY;
      return;
    }
  }

  async #lookThrough(slice: LogSlice): Promise<void> {
    const { db, policy, log: logger } = this.#options;
    const { machine, log, done, known, to } = slice;
    const { campaigns } = policy();
    if (campaigns.length > 0) {
      const { rows } = await sql<{ incident: string; line: string | null }>`
        SELECT e.incident, CASE WHEN e.event = 'incident.reported' AND e.seq > ${known} THEN e.line END AS line FROM entries e
        WHERE e.machine = ${machine} AND e.log = ${log} AND e.seq > ${done} AND e.seq <= ${to}
          AND e.incident IS NOT NULL ORDER BY e.seq`.execute(db);
      const members = rows.flatMap(({ line }) => (line === null ? [] : (memberIn(line, campaigns) ?? [])));
      const touched = [...new Set(rows.map(({ incident }) => incident))];
      try {
        if (members.length > 0) await this.#add(slice, members);
        if (touched.length > 0) return await this.#count(slice, touched, members);
      } catch (err) {
        // What one machine has sent must not keep the fleet from looking at the others.
        if (isUnreachable(err)) throw err;
        logger.warn({ err, machine }, 'entries of a machine are left out of campaigns');
      }
    }
    await sql`
      INSERT INTO campaign_progress (machine, log, through, counted) VALUES (${machine}, ${log}, ${to}, ${to})
      ON CONFLICT (machine, log) DO UPDATE SET through = greatest(campaign_progress.through, excluded.through),
        counted = greatest(campaign_progress.counted, excluded.counted)`.execute(db);
  }

  /**
   * A history has left another: what both have goes on in this one, so it counts as it is here. It is not among the entries of this
   * history. What only the other has stays a member with that.
   * @param shared the last entry that both have
   */
  async #goOnWith(log: Pick<LogSlice, 'machine' | 'log'>, shared: number): Promise<void> {
    const { db, log: logger } = this.#options;
    try {
      for (let after: string | undefined = ''; after !== undefined;) {
        const { rows } = await sql<{ incident: string; signature: string; at: Date }>`
          SELECT m.incident, m.signature, m.at FROM campaign_members m
            JOIN incidents i ON i.machine = m.machine AND i.log = ${log.log} AND i.id = m.incident
          WHERE m.machine = ${log.machine} AND m.incident > ${after} AND i.number <= ${shared}
          ORDER BY m.incident LIMIT ${sql.lit(MOST_ENTRIES)}`.execute(db);
        const members = rows.map(({ at, ...row }) => ({ ...row, at: at.toISOString() }));
        const incidents = [...new Set(members.map(({ incident }) => incident))];
        if (members.length > 0) {
          await this.#add(log, members);
          await db.transaction().execute(async (tx) => {
            const counts = new CampaignCounts(tx, log);
            await counts.make(await counts.take(incidents));
          });
        }
        after = members.length < MOST_ENTRIES ? undefined : incidents.at(-1);
      }
    } catch (err) {
      if (isUnreachable(err)) throw err;
      logger.warn({ err, machine: log.machine }, 'what two histories of a machine share counts in campaigns as before');
    }
  }

  /**
   * Stores new members in a transaction of their own, so that of two processes at least the second one sees both. What another
   * history of the machine has as well is a member of this one from now on: an incident counts once.
   */
  async #add(
    { machine, log }: Pick<LogSlice, 'machine' | 'log'>,
    members: readonly Pick<NewMember, 'incident' | 'signature' | 'at'>[],
  ): Promise<void> {
    await sql`
      WITH m AS MATERIALIZED (
        SELECT * FROM unnest(
          ${members.map(({ incident }) => incident)}::text[], ${members.map(({ signature }) => signature)}::text[],
          ${members.map(({ at }) => at)}::timestamptz[]) AS m (incident, signature, at)
      ), left_behind AS (
        DELETE FROM campaign_members o USING m
        WHERE o.machine = ${machine} AND o.incident = m.incident AND o.log <> ${log}
          AND o.signature = m.signature AND o.at = m.at
        RETURNING o.incident, o.stored_at
      )
      INSERT INTO campaign_members (machine, log, incident, signature, at, stored_at, unresolved, rank)
      SELECT ${machine}, ${log}, m.incident, m.signature, m.at,
        coalesce((SELECT min(b.stored_at) FROM left_behind b WHERE b.incident = m.incident), e.stored_at, now()),
        coalesce(i.state <> 'resolved', false), i.rank
      FROM m
      LEFT JOIN incidents i ON i.machine = ${machine} AND i.log = ${log} AND i.id = m.incident
      LEFT JOIN entries e ON e.machine = ${machine} AND e.log = ${log} AND e.seq = i.number
      ON CONFLICT DO NOTHING`.execute(this.#options.db);
  }

  /** Lets campaigns grow by new members, raises new ones, counts what they have, and notes how far that is. */
  async #count(slice: LogSlice, touched: readonly string[], members: readonly NewMember[]): Promise<void> {
    const { db, log } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const raised = await db.transaction().execute((tx) => this.#countIn(tx, slice, touched, members));
        for (const { campaign, rule, class: of, machines } of raised)
          log.warn({ campaign, rule, class: of, machines }, 'THE SAME IS HAPPENING ON SEVERAL MACHINES');
        return;
      } catch (error) {
        if (!(error instanceof RaisedMeanwhile) || attempt >= ATTEMPTS) throw error;
      }
    }
  }

  async #countIn(
    tx: Tx,
    { machine, log, done, to }: LogSlice,
    touched: readonly string[],
    members: readonly NewMember[],
  ): Promise<readonly RaisedCampaign[]> {
    await sql`
      INSERT INTO campaign_progress (machine, log, through, counted) VALUES (${machine}, ${log}, ${done}, ${done})
      ON CONFLICT DO NOTHING`.execute(tx);
    const { rows } = await sql<{ counted: number }>`
      SELECT counted FROM campaign_progress WHERE machine = ${machine} AND log = ${log} FOR UPDATE`.execute(tx);
    // Another process was here.
    if (rows[0]!.counted >= to) return [];
    const counts = new CampaignCounts(tx, { machine, log });
    const known = await counts.take(touched);
    const growing = new Growth(known);
    await grow(tx, machine, growing, members);
    await insertRaised(tx, growing.raised);
    await counts.make(growing.changed);
    await sql`
      UPDATE campaign_progress SET through = greatest(through, ${to}::bigint), counted = ${to}
      WHERE machine = ${machine} AND log = ${log}`.execute(tx);
    return growing.raised;
  }
}

/** Entries of a log: those behind `done`, up to `to`. Those up to `known` are counted again, and open no campaign. */
interface LogSlice {
  readonly machine: string;
  readonly log: string;
  readonly done: number;
  readonly known: number;
  readonly to: number;
}
