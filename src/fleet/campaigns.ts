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
import { createHash } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import type { Rule } from '../../machines/vocabulary.ts';
import { CampaignCounts, type Grown } from './campaign-counts.ts';
import { type Clock, MINUTE, SECOND } from '../clock.ts';
import type { Entry, Report } from '../domain/entries.ts';
import { repeatedValues } from '../domain/repeat.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import { type JsonValue, parseExact } from '../json/exact-json.ts';
import { storable } from './acts.ts';
import { type FleetDatabase, isUnreachable } from './database.ts';
import type { CampaignRule, FleetPolicy } from './fleet-policy.ts';
import { incidentOf } from './ingest/history-fold.ts';
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
/** How many members are compared with those around them in one query, and with how many each. */
const COMPARED_AT_ONCE = 50;
const MOST_COMPARED = 10_000;
/** A campaign that two processes raise at once is one: the slower process looks again, so often. */
const ATTEMPTS = 3;
/** What the fleet itself has had reported: the same on many machines, of course. */
const OWN_SOURCE = 'fleet:';
/** In characters: more would make a row of the list too long to read. */
const LONGEST_VALUES = 4096;

export interface CampaignsOptions {
  readonly db: FleetDatabase;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly policy: () => FleetPolicy;
  readonly log: { warn(fields: object, message: string): void };
}

interface NewMember {
  readonly signature: string;
  readonly incident: string;
  readonly at: string;
  readonly rule: CampaignRule;
  readonly class: string;
  readonly values: Readonly<Record<string, JsonValue>>;
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
      const { rows } = await sql<Omit<LogSlice, 'to'> & { readonly through: number }>`
        SELECT l.machine, l.log, l.built AS through, greatest(p.counted, l.first_seq - 1) AS done,
          greatest(p.through, l.first_seq - 1) AS known
        FROM logs l LEFT JOIN campaign_progress p ON p.machine = l.machine AND p.log = l.log
        WHERE l.active AND l.built > coalesce(p.counted, l.first_seq - 1)
          ${since === undefined ? sql`` : sql`AND l.advanced_at > ${new Date(since.getTime() - OVERLAP).toISOString()}::timestamptz`}
        ORDER BY l.advanced_at LIMIT ${sql.lit(MOST_LOGS)}`.execute(db);
      let isAll = rows.length < MOST_LOGS;
      for (const { through, ...behind } of rows) {
        const to = Math.min(through, behind.done + MOST_ENTRIES);
        if (to < through) isAll = false;
        await this.#lookThrough({ ...behind, to });
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
   * Stores new members in a transaction of their own, so that of two processes at least the second one sees both. What another
   * history of the machine has as well is a member of this one from now on: an incident counts once.
   */
  async #add({ machine, log }: LogSlice, members: readonly NewMember[]): Promise<void> {
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
    await this.#grow(tx, machine, growing, members);
    await insertRaised(tx, growing.raised);
    await counts.make(growing.changed);
    await sql`
      UPDATE campaign_progress SET through = greatest(through, ${to}::bigint), counted = ${to}
      WHERE machine = ${machine} AND log = ${log}`.execute(tx);
    return growing.raised;
  }

  /** Finds out which campaigns grow by new members, and which are new. */
  async #grow(tx: Tx, machine: string, growing: Growth, members: readonly NewMember[]): Promise<void> {
    const left = members.filter((member) => !growing.takes(member));
    if (left.length === 0) return;
    const { rows: shared } = await sql<{ signature: string }>`
      SELECT s.signature FROM unnest(${[...new Set(left.map(({ signature }) => signature))]}::text[]) AS s (signature)
      WHERE EXISTS (SELECT 1 FROM campaign_members m WHERE m.signature = s.signature AND m.machine <> ${machine})`.execute(
      tx,
    );
    const signatures = new Set(shared.map(({ signature }) => signature));
    let rest = left.filter(({ signature }) => signatures.has(signature));
    while (rest.length > 0) {
      const some = rest.slice(0, COMPARED_AT_ONCE);
      const around = await membersAround(tx, some);
      for (const [place, member] of some.entries()) {
        if (growing.takes(member)) continue;
        const found = stretchOf(around.get(place) ?? [], member.rule);
        if (found !== undefined) growing.raise(member, found);
      }
      rest = rest.slice(some.length).filter((member) => !growing.takes(member));
    }
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

/** A campaign that another process has raised between: it is to be looked at again. */
class RaisedMeanwhile extends Error {}

interface RaisedCampaign extends Grown {
  readonly rule: string;
  readonly class: string;
  readonly shared: string;
  readonly machines: number;
}

/** What becomes of campaigns by the new members of a log. */
class Growth {
  readonly raised: RaisedCampaign[] = [];
  readonly #bySignature = new Map<string, Grown[]>();

  constructor(known: readonly Grown[]) {
    for (const one of known) this.#keep(one);
  }

  #keep(campaign: Grown): void {
    const others = this.#bySignature.get(campaign.signature);
    if (others === undefined) this.#bySignature.set(campaign.signature, [campaign]);
    else others.push(campaign);
  }

  get changed(): readonly Grown[] {
    return [...this.#bySignature.values()].flat();
  }

  /** Whether a member belongs to a campaign, which then goes on at least to it. */
  takes({ signature, at, rule }: NewMember): boolean {
    const time = Date.parse(at);
    const near = (this.#bySignature.get(signature) ?? []).filter(
      ({ first, last }) => time >= first - rule.within && time <= last + rule.within,
    );
    for (const campaign of near) {
      campaign.first = Math.min(campaign.first, time);
      campaign.last = Math.max(campaign.last, time);
    }
    return near.length > 0;
  }

  raise({ signature, rule, class: of, values }: NewMember, { first, last, machines }: Stretch): void {
    const before = this.#bySignature.get(signature) ?? [];
    const campaign: RaisedCampaign = {
      campaign: `CAM-${signature.slice(0, 16)}-${before.length + 1}`,
      signature,
      first: first.getTime(),
      last: last.getTime(),
      before: undefined,
      rule: rule.name,
      class: of,
      shared: storable(values),
      machines,
    };
    this.#keep(campaign);
    this.raised.push(campaign);
  }
}

/** The members around each of some members, as far as its rule says; by their place, the oldest first. */
async function membersAround(
  tx: Tx,
  members: readonly NewMember[],
): Promise<ReadonlyMap<number, readonly { readonly machine: string; readonly at: Date }[]>> {
  const { rows } = await sql<{ place: number; machine: string; at: Date }>`
    SELECT n.place, o.machine, o.at FROM unnest(
      ${members.map(({ signature }) => signature)}::text[], ${members.map(({ at }) => at)}::timestamptz[],
      ${members.map(({ rule }) => rule.within)}::float8[]) WITH ORDINALITY AS n (signature, at, length, place)
    CROSS JOIN LATERAL (
      SELECT m.machine, m.at FROM campaign_members m WHERE m.signature = n.signature
        AND m.at BETWEEN n.at - n.length * interval '1 millisecond' AND n.at + n.length * interval '1 millisecond'
      ORDER BY m.at LIMIT ${sql.lit(MOST_COMPARED)}) AS o
    ORDER BY n.place, o.at`.execute(tx);
  return Map.groupBy(rows, ({ place }) => place - 1);
}

/** @throws RaisedMeanwhile */
async function insertRaised(tx: Tx, raised: readonly RaisedCampaign[]): Promise<void> {
  if (raised.length === 0) return;
  // All processes in one order: so none waits for another that waits for it.
  const all = raised.toSorted((one, other) => (one.campaign < other.campaign ? -1 : 1));
  const times = (of: (one: RaisedCampaign) => number) => all.map((one) => new Date(of(one)).toISOString());
  const { rows } = await sql`
    INSERT INTO campaigns (machine, campaign, signature, rule, class, shared, first_at, last_at, raised_at)
    SELECT '', n.*, clock_timestamp() FROM unnest(
      ${all.map(({ campaign }) => campaign)}::text[], ${all.map(({ signature }) => signature)}::text[],
      ${all.map(({ rule }) => rule)}::text[], ${all.map((one) => one.class)}::text[],
      ${all.map(({ shared }) => shared)}::text[], ${times(({ first }) => first)}::timestamptz[],
      ${times(({ last }) => last)}::timestamptz[]) AS n
    ON CONFLICT DO NOTHING RETURNING campaign`.execute(tx);
  if (rows.length < raised.length) throw new RaisedMeanwhile();
}

interface Stretch {
  readonly first: Date;
  readonly last: Date;
  readonly machines: number;
}

/** The first stretch of time, as long as the rule says, in which there are enough machines; with all that follow on it. */
export function stretchOf(
  members: readonly { readonly machine: string; readonly at: Date }[],
  { machines: enough, within }: Pick<CampaignRule, 'machines' | 'within'>,
): Stretch | undefined {
  const inside = new Map<string, number>();
  let begin = 0;
  for (const [end, { machine, at }] of members.entries()) {
    inside.set(machine, (inside.get(machine) ?? 0) + 1);
    for (; at.getTime() - members[begin]!.at.getTime() > within; begin += 1) {
      const left = members[begin]!.machine;
      const count = inside.get(left)! - 1;
      if (count === 0) inside.delete(left);
      else inside.set(left, count);
    }
    if (inside.size < enough) continue;
    let last = end;
    while (last + 1 < members.length && members[last + 1]!.at.getTime() - members[last]!.at.getTime() <= within)
      last += 1;
    const machines = new Set(members.slice(begin, last + 1).map((one) => one.machine)).size;
    return { first: members[begin]!.at, last: members[last]!.at, machines };
  }
  return undefined;
}

/** What an entry that opens an incident adds; undefined where no rule fits. */
function memberIn(line: string, rules: readonly CampaignRule[]): NewMember | undefined {
  try {
    const { timestamp: at, data } = parseExact(line) as unknown as {
      readonly timestamp: string;
      readonly data: { readonly report: Report; readonly rule: Rule; readonly drill?: true };
    };
    const { report } = data;
    const incident = incidentOf({ data } as unknown as Entry);
    if (incident === undefined) return undefined;
    if (data.drill === true || report.source.startsWith(OWN_SOURCE)) return undefined;
    for (const rule of rules) {
      if (!rule.classes.includes(report.class)) continue;
      const values = repeatedValues(report, data.rule, rule);
      if (values === undefined || values.some(isEmpty)) continue;
      const text = canonicalForm([rule.same, values]);
      const signature = createHash('sha256').update(text).digest('hex');
      // After the class: a path, its value, and so on.
      const shared = Object.fromEntries(
        rule.same.map((path, place) => [path, shortened(values[2 * place + 2]!)] as const),
      );
      return { signature, incident, at, rule, class: report.class, values: shared };
    }
  } catch {
    // An entry that the fleet can't read: a newer recorder has written it, or nobody of ours.
  }
  return undefined;
}

const isEmpty = (value: JsonValue): boolean =>
  value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

const shortened = (value: JsonValue): JsonValue => {
  const text = canonicalForm(value);
  return text.length <= LONGEST_VALUES ? value : `${text.slice(0, LONGEST_VALUES)}…`;
};
