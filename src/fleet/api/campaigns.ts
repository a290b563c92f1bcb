/** The campaigns: what is the same on several machines. */
import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import * as z from 'zod/mini';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import type { Admission } from '../../api/middleware/admission.ts';
import { readingOf } from '../../api/middleware/read-access.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { callerOf, isFilled } from '../../api/request/caller.ts';
import { filled, signature } from '../../api/request/fields.ts';
import { parseQuery } from '../../api/request/query.ts';
import { readBody } from '../../api/request/read.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { RecorderError } from '../../errors.ts';
import { isWithin, type MachineBounds } from '../access.ts';
import { noteAct } from '../acts.ts';
import { countedSince } from '../campaign-counts.ts';
import type { FleetDatabase } from '../database.ts';
import { actorIn } from './acting.ts';
import type { FleetDependencies } from './dependencies.ts';
import { placeTime } from './fleet-incidents.ts';
import { anyText } from './list-filter.ts';
import { paged, pageOf, paging, timeOrNull } from './paging.ts';
import { type Reading, readingIn } from './reading.ts';
import { scopeOf } from './scope.ts';

/** How many members of a campaign a page has when nothing else is asked for. */
const USUAL_MEMBERS = 1000;

const campaignsSchema = z.strictObject(paging());
const membersSchema = z.strictObject(paging());

interface CampaignRow {
  readonly campaign: string;
  readonly rule: string;
  readonly class: string;
  readonly shared: string;
  readonly first_at: Date;
  readonly last_at: Date;
  readonly raised_at: Date;
  readonly machines: number;
  readonly incidents: number;
  readonly unresolved: number;
  readonly rank: number | null;
}

/** Who has taken note of a campaign, which machines they see, and how many incidents it had for them. */
interface Acknowledged {
  readonly campaign: string;
  readonly at: Date;
  readonly who: string;
  readonly detail: { readonly note: string | null; readonly incidents: number; readonly bounds: MachineBounds };
}

const ACKNOWLEDGE = 'acknowledge_campaign';
const REQUIRED = 'campaign is required';
const acknowledgeCampaignSchema = z.strictObject({ campaign: filled(REQUIRED), ...signature() });

export const campaignRoutes = (
  dependencies: FleetDependencies,
  { command }: Pick<Admission, 'command'>,
): readonly ApiRoute[] => {
  const { db, readEvidence = 'open' } = dependencies;
  return [
    {
      method: 'GET',
      path: '/api/v1/campaigns',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const page = pageOf(validate(campaignsSchema, parseQuery(reading.query), 'parameter'), 2);
        const rows = await readCampaigns(db, reading, { limit: page.limit + 1, after: page.after });
        const shown = paged(ctx, page, rows, (row) => [row.last_at.toISOString(), row.campaign]);
        const acknowledged = await acknowledgedOf(db, shown, reading);
        const campaigns = shown.map((row) => shownCampaign(row, reading, acknowledged.get(row.campaign)));
        respondJson(ctx, 200, JSON.stringify(campaigns));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/campaigns/:campaign',
      handle: async (ctx) => {
        const reading = await readingIn(dependencies, ctx);
        const given = validate(membersSchema, parseQuery(reading.query), 'parameter');
        const page = pageOf({ limit: [String(USUAL_MEMBERS)], ...given }, 3);
        const named = String(ctx.params.campaign);
        const [row] = await readCampaigns(db, reading, { limit: 1, named: [named] });
        if (row === undefined) throw new RecorderError('not_found', 'campaign not found');
        const rows = await membersOf(db, named, reading, { limit: page.limit + 1, after: page.after });
        const place = ({ at, machine, incident }: MemberRow) => [at.toISOString(), machine, incident];
        const members = paged(ctx, page, rows, place).map(shownMember);
        const acknowledged = (await acknowledgedOf(db, [row], reading)).get(named);
        respondJson(ctx, 200, JSON.stringify({ ...shownCampaign(row, reading, acknowledged), members }));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/campaigns/acknowledge',
      before: command('operator'),
      handle: async (ctx) => {
        const { campaign, by, note } = readBody(ctx, acknowledgeCampaignSchema, REQUIRED);
        const { machines: bounds } = actorIn(ctx);
        const reading = { bounds, machines: (await scopeOf(db, '', bounds)).machines };
        const [row] = await readCampaigns(db, reading, { limit: 1, named: [campaign] });
        if (row === undefined) throw new RecorderError('not_found', 'campaign not found');
        const caller = callerOf(ctx, by);
        const who = caller.by ?? caller.principal ?? '';
        const detail = { campaign, note: isFilled(note) ? note : null, incidents: row.incidents, bounds };
        // The first one counts, until the campaign has grown.
        const known = (await acknowledgedOf(db, [row], reading)).get(campaign);
        if (known === undefined || known.detail.incidents < row.incidents)
          await noteAct(db, { machine: '', id: acknowledgementId(detail), who, what: ACKNOWLEDGE, detail });
        const acknowledged = (await acknowledgedOf(db, [row], reading)).get(campaign);
        const reader = { words: true, evidence: readingOf(actorIn(ctx), { readEvidence }).evidence };
        respondJson(ctx, 200, JSON.stringify(shownCampaign(row, { reader }, acknowledged)));
      },
    },
  ];
};

/** The members of a campaign `c`, as far as the reader may see their machines. */
const ofCampaign = ({ machines }: Pick<Reading, 'machines'>) => sql`m.signature = c.signature
  AND m.at BETWEEN c.first_at AND c.last_at ${machines === undefined ? sql`` : sql`AND m.machine = ${anyText(machines)}`}`;

/** Fewer machines are no campaign to who sees these alone: it would say that others have the same. */
const FEWEST_SEEN = 2;

interface Wanted {
  readonly limit: number;
  readonly after?: readonly string[] | undefined;
  readonly named?: readonly string[];
}

/** The campaigns in the order of their ends, and those whose reader is bound to some machines as if there were no others. */
async function readCampaigns(
  db: FleetDatabase,
  { machines, bounds }: Pick<Reading, 'machines' | 'bounds'>,
  { limit, after, named }: Wanted,
): Promise<readonly CampaignRow[]> {
  const [at, last] = after ?? [];
  const isBound = bounds !== 'any';
  const onlyNamed = named === undefined ? sql`` : sql`AND c.campaign = ${anyText(named)}`;
  const seen = isBound ? (await scopeOf(db, '', bounds)).machines : machines;
  const end = isBound ? sql`k.last_at` : sql`c.last_at`;
  const behind = at === undefined ? sql`` : sql`AND (${end}, c.campaign) < (${placeTime(at)}::timestamptz, ${last})`;
  const page =
    seen === undefined
      ? sql`SELECT c.campaign, c.first_at, c.last_at, c.machines, c.incidents, c.unresolved, c.rank
          FROM campaigns c WHERE c.machine = '' ${onlyNamed} ${behind}`
      : sql`SELECT c.campaign, ${isBound ? sql`k.first_at, k.last_at` : sql`c.first_at, c.last_at`},
            k.machines, k.incidents, k.unresolved, k.rank
          FROM (
            SELECT c.campaign, min(c.first_at) AS first_at, max(c.last_at) AS last_at, ${sumsOf(machines, isBound)}
            FROM campaign_counts c WHERE c.machine = ${anyText(seen)} ${onlyNamed} GROUP BY c.campaign
            HAVING count(*) >= ${sql.lit(isBound ? FEWEST_SEEN : 1)}
          ) AS k JOIN campaigns c ON c.machine = '' AND c.campaign = k.campaign WHERE k.machines > 0 ${behind}`;
  const { rows } = await sql<CampaignRow>`
    WITH ${countedSince}, page AS (${page} ORDER BY ${end} DESC, c.campaign DESC LIMIT ${limit}::bigint)
    SELECT p.campaign, c.rule, c.class, c.shared, p.first_at, p.last_at, c.raised_at, p.machines, p.incidents,
      p.unresolved + coalesce(n.unresolved, 0) AS unresolved, least(p.rank, n.rank) AS rank
    FROM page p JOIN campaigns c ON c.machine = '' AND c.campaign = p.campaign
    CROSS JOIN LATERAL (
      SELECT sum(m.unresolved)::bigint AS unresolved, min(m.rank) AS rank FROM changed m WHERE ${ofCampaign({ machines })}) AS n
    ORDER BY p.last_at DESC, p.campaign DESC`.execute(db);
  return rows;
}

/** What campaigns have on some machines, of counts `c`. @param isBound whether there are counts of other machines */
function sumsOf(machines: Reading['machines'], isBound: boolean): RawBuilder<unknown> {
  const among = isBound && machines !== undefined ? sql`FILTER (WHERE c.machine = ${anyText(machines)})` : sql``;
  return sql`count(*) ${among} AS machines, sum(c.incidents) ${among} ::bigint AS incidents,
    sum(c.unresolved) ${among} ::bigint AS unresolved, min(c.rank) ${among} AS rank`;
}

interface MemberRow {
  readonly machine: string;
  readonly name: string | null;
  readonly log: string;
  /** Whether the machine has left this history. */
  readonly left: boolean;
  readonly incident: string;
  readonly at: Date;
  readonly state: string | null;
  readonly rank: number | null;
  readonly source: string | null;
}

/** Members of a campaign, in the order of their reports. */
async function membersOf(
  db: FleetDatabase,
  campaign: string,
  { machines }: Pick<Reading, 'machines'>,
  { limit, after }: Pick<Wanted, 'limit' | 'after'>,
): Promise<readonly MemberRow[]> {
  const { rows: found } = await sql<{ signature: string; first_at: Date; last_at: Date }>`
    SELECT signature, first_at, last_at FROM campaigns WHERE machine = '' AND campaign = ${campaign}`.execute(db);
  const [of] = found;
  if (of === undefined) return [];
  const [at, machine, incident] = after ?? [];
  const from = sql`${at === undefined ? of.first_at.toISOString() : placeTime(at)}::timestamptz`;
  // With values that are known beforehand: then an index gives the order.
  const { rows } = await sql<MemberRow>`
    SELECT m.machine, n.name, m.log, l.active IS FALSE AS left, m.incident, m.at, i.state, i.rank, i.source
    FROM (
      SELECT m.machine, m.log, m.incident, m.at FROM campaign_members m
      WHERE m.signature = ${of.signature} AND m.at >= ${from} AND m.at <= ${of.last_at.toISOString()}::timestamptz
        ${at === undefined ? sql`` : sql`AND (m.at, m.machine, m.incident) > (${from}, ${machine}, ${incident})`}
        ${machines === undefined ? sql`` : sql`AND m.machine = ${anyText(machines)}`}
      ORDER BY m.at, m.machine, m.incident LIMIT ${limit}::bigint
    ) AS m
      LEFT JOIN machines n ON n.machine = m.machine
      LEFT JOIN logs l ON l.machine = m.machine AND l.log = m.log
      LEFT JOIN incidents i ON i.machine = m.machine AND i.log = m.log AND i.id = m.incident
    ORDER BY m.at, m.machine, m.incident`.execute(db);
  return rows;
}

const shownMember = ({ rank, at, name, ...row }: MemberRow): object => ({
  ...row,
  name: name ?? row.machine,
  at: at.toISOString(),
  severity: rank === null ? null : SEVERITIES[rank],
});

/** One for each number of incidents, among those who see the same machines. */
function acknowledgementId(of: { campaign: string; incidents: number; bounds: MachineBounds }): string {
  const { campaign, incidents, bounds } = of;
  if (bounds === 'any') return `${campaign} ${incidents}`;
  const labels = Object.entries(bounds).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const digest = createHash('sha256').update(JSON.stringify(labels)).digest('hex');
  return `${campaign} ${incidents} ${digest.slice(0, 24)}`;
}

/** Whether who is bound to `own` sees no machine that who is bound to `others` does not see. */
const seesNoMore = (own: MachineBounds, others: MachineBounds): boolean =>
  own === 'any' ? others === 'any' : isWithin(own, others);

/**
 * The last acknowledgement of each of some campaigns, with the number of incidents that its reader would have seen then. Whoever
 * is bound to some machines gets those alone of people who see all of these: others can have taken note of less.
 */
async function acknowledgedOf(
  db: FleetDatabase,
  campaigns: readonly Pick<CampaignRow, 'campaign'>[],
  reading: Pick<Reading, 'machines' | 'bounds'>,
): Promise<ReadonlyMap<string, Acknowledged>> {
  if (campaigns.length === 0) return new Map();
  const { rows } = await sql<Acknowledged>`
    SELECT n.campaign, a.at, a.who, a.detail FROM unnest(${campaigns.map(({ campaign }) => campaign)}::text[]) AS n (campaign)
      JOIN acts a ON a.machine = '' AND a.id >= n.campaign || ' ' AND a.id < n.campaign || '!' AND a.what = ${ACKNOWLEDGE}
    ORDER BY (a.detail->>'incidents')::bigint, a.at`.execute(db);
  const { bounds } = reading;
  if (bounds === 'any') return new Map(rows.map((row) => [row.campaign, row]));
  const inTime = rows.toSorted((one, other) => one.at.getTime() - other.at.getTime());
  const last = new Map(
    inTime.filter(({ detail }) => seesNoMore(bounds, detail.bounds)).map((row) => [row.campaign, row]),
  );
  const counts = await countsThen(db, [...last.values()], reading);
  return new Map(
    [...last].map(([campaign, row]) => {
      const incidents = Math.min(row.detail.incidents, counts.get(campaign) ?? 0);
      return [campaign, { ...row, detail: { ...row.detail, incidents } }];
    }),
  );
}

/** How many incidents campaigns had on the machines of a reader when they were acknowledged. */
async function countsThen(
  db: FleetDatabase,
  acknowledged: readonly Acknowledged[],
  reading: Pick<Reading, 'machines'>,
): Promise<ReadonlyMap<string, number>> {
  if (acknowledged.length === 0) return new Map();
  const { rows } = await sql<{ campaign: string; count: number }>`
    SELECT c.campaign, count(*) AS count
    FROM unnest(${acknowledged.map(({ campaign }) => campaign)}::text[],
        ${acknowledged.map(({ at }) => at.toISOString())}::timestamptz[]) AS n (campaign, at)
      JOIN campaigns c ON c.machine = '' AND c.campaign = n.campaign
      JOIN campaign_members m ON ${ofCampaign(reading)}
    WHERE m.stored_at <= n.at GROUP BY c.campaign`.execute(db);
  return new Map(rows.map(({ campaign, count }) => [campaign, count]));
}

/** Some campaigns as a reader sees them, by name; those that there are for them. */
export async function campaignsFor(
  db: FleetDatabase,
  named: readonly string[],
  reading: Pick<Reading, 'machines' | 'bounds' | 'reader'>,
): Promise<ReadonlyMap<string, ShownCampaign>> {
  const rows = await readCampaigns(db, reading, { limit: named.length, named });
  const acknowledged = await acknowledgedOf(db, rows, reading);
  return new Map(rows.map((row) => [row.campaign, shownCampaign(row, reading, acknowledged.get(row.campaign))]));
}

export interface ShownCampaign {
  readonly campaign: string;
  readonly class: string;
  readonly severity: string | null;
}

function shownCampaign(
  row: CampaignRow,
  { reader }: { readonly reader: Pick<Reading['reader'], 'words' | 'evidence'> },
  acknowledged: Acknowledged | undefined,
): ShownCampaign {
  const { rank, shared, machines, incidents, unresolved, first_at, last_at, raised_at, ...rest } = row;
  return {
    ...rest,
    // They are evidence.
    values: reader.evidence ? (JSON.parse(shared) as object) : null,
    severity: rank === null ? null : SEVERITIES[rank]!,
    machines,
    incidents,
    unresolved,
    first_at: first_at.toISOString(),
    last_at: last_at.toISOString(),
    raised_at: raised_at.toISOString(),
    acknowledged_at: timeOrNull(acknowledged?.at ?? null),
    acknowledged_by: acknowledged?.who ?? null,
    // It has grown since when it has more now.
    acknowledged_incidents: acknowledged?.detail.incidents ?? null,
    note: reader.words ? (acknowledged?.detail.note ?? null) : null,
  } as ShownCampaign;
}
