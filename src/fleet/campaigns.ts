/**
 * Campaigns: the same class with the same values on several machines within a time is one campaign. It is raised once and
 * grows.
 *
 * A process reads what the logs have got since it looked last, and keeps for each incident that a rule fits its signature:
 * a hash over the rule, the class and the values. That is a row of the machine. Where enough machines have one signature
 * within the time, a campaign is raised. Its name follows from the signature, so that any number of processes may look
 * without a lock, and only one raises it. How far a log was looked through is stored last: what a process that ends leaves
 * undone is done again, and changes nothing then.
 */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Rule } from '../../machines/vocabulary.ts';
import { type Clock, MINUTE, SECOND } from '../clock.ts';
import type { Entry, Report } from '../domain/entries.ts';
import { repeatedValues } from '../domain/repeat.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import { type JsonValue, parseExact } from '../json/exact-json.ts';
import { storable } from './acts.ts';
import { type FleetDatabase, isUnreachable } from './database.ts';
import type { CampaignRule, FleetPolicy } from './fleet-policy.ts';
import { incidentOf } from './ingest/history-fold.ts';

/** Logs that are read in one go, and entries of one log. */
const MOST_LOGS = 200;
const MOST_ENTRIES = 2000;
/** How long one look may take before others get their turn, in milliseconds. */
const LONGEST_LOOK = 5 * SECOND;
/** How far back logs are looked for that have advanced: transactions become visible in another order than their times. */
const OVERLAP = MINUTE;
/** How many members one look at a signature compares. */
const MOST_COMPARED = 10_000;
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

  constructor(options: CampaignsOptions) {
    this.#options = options;
  }

  /** Looks through what the logs have got, and raises what is a campaign. */
  async look(): Promise<void> {
    const { db, clock } = this.#options;
    const until = clock.monotonic() + LONGEST_LOOK;
    const { rows: times } = await sql<{ now: Date }>`SELECT clock_timestamp() AS now`.execute(db);
    for (;;) {
      const since = this.#through;
      const { rows } = await sql<{ machine: string; log: string; through: number; done: number }>`
        SELECT l.machine, l.log, l.through, coalesce(p.through, l.first_seq - 1) AS done
        FROM logs l LEFT JOIN campaign_progress p ON p.machine = l.machine AND p.log = l.log
        WHERE l.active AND l.through > coalesce(p.through, l.first_seq - 1)
          ${since === undefined ? sql`` : sql`AND l.advanced_at > ${new Date(since.getTime() - OVERLAP).toISOString()}::timestamptz`}
        ORDER BY l.advanced_at LIMIT ${sql.lit(MOST_LOGS)}`.execute(db);
      let isAll = rows.length < MOST_LOGS;
      for (const { machine, log, through, done } of rows) {
        const to = Math.min(through, done + MOST_ENTRIES);
        if (to < through) isAll = false;
        await this.#lookThrough(machine, log, done, to);
        if (clock.monotonic() > until) return;
      }
      if (!isAll) continue;
      this.#through = times[0]!.now;
      return;
    }
  }

  async #lookThrough(machine: string, log: string, done: number, to: number): Promise<void> {
    const { db } = this.#options;
    const { campaigns } = this.#options.policy();
    if (campaigns.length > 0) {
      const { rows } = await sql<{ line: string }>`
        SELECT e.line FROM entries e
        WHERE e.machine = ${machine} AND e.log = ${log} AND e.seq > ${done} AND e.seq <= ${to}
          AND e.event = 'incident.reported' ORDER BY e.seq`.execute(db);
      const members = rows.flatMap(({ line }) => memberIn(line, campaigns) ?? []);
      try {
        if (members.length > 0) await this.#add(machine, log, members);
      } catch (err) {
        // What one machine has sent must not keep the fleet from looking at the others.
        if (isUnreachable(err)) throw err;
        this.#options.log.warn({ err, machine }, 'entries of a machine are left out of campaigns');
      }
    }
    await sql`
      INSERT INTO campaign_progress (machine, log, through) VALUES (${machine}, ${log}, ${to})
      ON CONFLICT (machine, log) DO UPDATE SET through = greatest(campaign_progress.through, excluded.through)`.execute(
      db,
    );
  }

  async #add(machine: string, log: string, members: readonly NewMember[]): Promise<void> {
    const { db } = this.#options;
    await sql`
      INSERT INTO campaign_members (machine, log, incident, signature, at)
      SELECT ${machine}, ${log}, m.incident, m.signature, m.at FROM unnest(
        ${members.map(({ incident }) => incident)}::text[], ${members.map(({ signature }) => signature)}::text[],
        ${members.map(({ at }) => at)}::timestamptz[]) AS m (incident, signature, at)
      ON CONFLICT DO NOTHING`.execute(db);
    // From here on: in a statement of its own, so that of two processes at least the second one sees both.
    const { rows } = await sql<{ signature: string }>`
      SELECT DISTINCT s.signature FROM unnest(${members.map(({ signature }) => signature)}::text[]) AS s (signature)
      WHERE EXISTS (SELECT 1 FROM campaign_members m WHERE m.signature = s.signature AND m.machine <> ${machine})`.execute(
      db,
    );
    const shared = new Set(rows.map(({ signature }) => signature));
    for (const member of members) if (shared.has(member.signature)) await this.#raise(member);
  }

  /** Adds a member to its campaign, or raises one when there are enough. */
  async #raise(member: NewMember): Promise<void> {
    const { db, log } = this.#options;
    const { signature, at, rule } = member;
    const within = sql`(${rule.within}::float8 * interval '1 millisecond')`;
    // Twice: somebody else may raise it between.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const grown = await sql`
        UPDATE campaigns SET first_at = least(first_at, ${at}::timestamptz),
          last_at = greatest(last_at, ${at}::timestamptz), grown = grown + 1
        WHERE machine = '' AND signature = ${signature}
          AND ${at}::timestamptz BETWEEN first_at - ${within} AND last_at + ${within} RETURNING campaign`.execute(db);
      if (grown.rows.length > 0) return;
      const { rows } = await sql<{ machine: string; at: Date }>`
        SELECT m.machine, m.at FROM campaign_members m
        WHERE m.signature = ${signature}
          AND m.at BETWEEN ${at}::timestamptz - ${within} AND ${at}::timestamptz + ${within}
        ORDER BY m.at LIMIT ${sql.lit(MOST_COMPARED)}`.execute(db);
      const found = stretchOf(rows, rule);
      if (found === undefined) return;
      const before = await sql<{ count: number }>`
        SELECT count(*) AS count FROM campaigns WHERE machine = '' AND signature = ${signature}`.execute(db);
      const campaign = `CAM-${signature.slice(0, 16)}-${(before.rows[0]?.count ?? 0) + 1}`;
      const raised = await sql`
        INSERT INTO campaigns (machine, campaign, signature, rule, class, shared, first_at, last_at, raised_at)
        VALUES ('', ${campaign}, ${signature}, ${rule.name}, ${member.class}, ${storable(member.values)},
          ${found.first.toISOString()}::timestamptz, ${found.last.toISOString()}::timestamptz, clock_timestamp())
        ON CONFLICT DO NOTHING RETURNING campaign`.execute(db);
      if (raised.rows.length === 0) continue;
      const { machines } = found;
      log.warn(
        { campaign, rule: rule.name, class: member.class, machines },
        'THE SAME IS HAPPENING ON SEVERAL MACHINES',
      );
      return;
    }
  }
}

/** The first stretch of time, as long as the rule says, in which there are enough machines; with all that follow on it. */
export function stretchOf(
  members: readonly { readonly machine: string; readonly at: Date }[],
  { machines: enough, within }: Pick<CampaignRule, 'machines' | 'within'>,
): { readonly first: Date; readonly last: Date; readonly machines: number } | undefined {
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
