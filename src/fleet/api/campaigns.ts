/** The campaigns: what is the same on several machines. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import * as z from 'zod/mini';
import { SEVERITIES } from '../../../machines/vocabulary.ts';
import type { Admission } from '../../api/middleware/admission.ts';
import { readingOf } from '../../api/middleware/read-access.ts';
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { callerOf, isFilled } from '../../api/request/caller.ts';
import { filled, nothingSchema, signature } from '../../api/request/fields.ts';
import { parseQuery } from '../../api/request/query.ts';
import { readBody } from '../../api/request/read.ts';
import { validate } from '../../api/request/validate.ts';
import { respondJson } from '../../api/respond.ts';
import { RecorderError } from '../../errors.ts';
import { isWithin, type MachineBounds } from '../access.ts';
import { noteAct } from '../acts.ts';
import type { FleetDatabase } from '../database.ts';
import { actorIn } from './acting.ts';
import type { FleetDependencies } from './dependencies.ts';
import { placeTime } from './fleet-incidents.ts';
import { anyText } from './list-filter.ts';
import { paged, pageOf, paging, timeOrNull } from './paging.ts';
import { type Reading, readingIn } from './reading.ts';
import { scopeOf } from './scope.ts';

/** How many members of a campaign are shown. */
const MOST_MEMBERS = 10_000;

const campaignsSchema = z.strictObject(paging());

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
        validate(nothingSchema, parseQuery(reading.query), 'parameter');
        const named = String(ctx.params.campaign);
        const [row] = await readCampaigns(db, reading, { limit: 1, named });
        if (row === undefined) throw new RecorderError('not_found', 'campaign not found');
        const members = await membersOf(db, named, reading);
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
        const [row] = await readCampaigns(db, reading, { limit: 1, named: campaign });
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
  readonly named?: string;
}

/** The campaigns as whoever is bound to some machines sees them: as if there were no others. */
async function readBoundCampaigns(
  db: FleetDatabase,
  { machines, bounds }: Pick<Reading, 'machines' | 'bounds'>,
  { limit, after, named }: Wanted,
): Promise<readonly CampaignRow[]> {
  const [at, last] = after ?? [];
  const seen = await scopeOf(db, '', bounds);
  const { rows } = await sql<CampaignRow>`
    SELECT c.campaign, c.rule, c.class, c.shared, min(m.at) AS first_at, max(m.at) AS last_at, c.raised_at,
      count(DISTINCT m.machine) FILTER (WHERE ${isAmong(machines)}) AS machines,
      count(*) FILTER (WHERE ${isAmong(machines)}) AS incidents,
      count(*) FILTER (WHERE i.state <> 'resolved' AND ${isAmong(machines)}) AS unresolved,
      min(i.rank) FILTER (WHERE ${isAmong(machines)}) AS rank
    FROM campaigns c JOIN campaign_members m ON ${ofCampaign(seen)}
      LEFT JOIN incidents i ON i.machine = m.machine AND i.log = m.log AND i.id = m.incident
    WHERE c.machine = '' ${named === undefined ? sql`` : sql`AND c.campaign = ${named}`}
    GROUP BY c.campaign, c.rule, c.class, c.shared, c.raised_at
    HAVING count(DISTINCT m.machine) >= ${sql.lit(FEWEST_SEEN)} AND bool_or(${isAmong(machines)})
      ${at === undefined ? sql`` : sql`AND (max(m.at), c.campaign) < (${placeTime(at)}::timestamptz, ${last})`}
    ORDER BY max(m.at) DESC, c.campaign DESC LIMIT ${limit}::bigint`.execute(db);
  return rows;
}

const isAmong = (machines: Reading['machines']) => sql`m.machine = ${anyText(machines ?? [])}`;

async function readCampaigns(
  db: FleetDatabase,
  reading: Pick<Reading, 'machines' | 'bounds'>,
  { limit, after, named }: Wanted,
): Promise<readonly CampaignRow[]> {
  if (reading.bounds !== 'any') return readBoundCampaigns(db, reading, { limit, after, ...(named && { named }) });
  const [at, last] = after ?? [];
  const { rows } = await sql<CampaignRow>`
    WITH page AS (
      SELECT c.campaign, c.signature, c.rule, c.class, c.shared, c.first_at, c.last_at, c.raised_at FROM campaigns c
      WHERE c.machine = '' ${named === undefined ? sql`` : sql`AND c.campaign = ${named}`}
        ${at === undefined ? sql`` : sql`AND (c.last_at, c.campaign) < (${placeTime(at)}::timestamptz, ${last})`}
        AND EXISTS (SELECT 1 FROM campaign_members m WHERE ${ofCampaign(reading)})
      ORDER BY c.last_at DESC, c.campaign DESC LIMIT ${limit}::bigint
    )
    SELECT c.campaign, c.rule, c.class, c.shared, c.first_at, c.last_at, c.raised_at,
      count(DISTINCT m.machine) AS machines, count(*) AS incidents,
      count(*) FILTER (WHERE i.state <> 'resolved') AS unresolved, min(i.rank) AS rank
    FROM page c JOIN campaign_members m ON ${ofCampaign(reading)}
      LEFT JOIN incidents i ON i.machine = m.machine AND i.log = m.log AND i.id = m.incident
    GROUP BY c.campaign, c.rule, c.class, c.shared, c.first_at, c.last_at, c.raised_at
    ORDER BY c.last_at DESC, c.campaign DESC`.execute(db);
  return rows;
}

async function membersOf(
  db: FleetDatabase,
  campaign: string,
  reading: Pick<Reading, 'machines'>,
): Promise<readonly object[]> {
  const { rows } = await sql<{
    machine: string;
    name: string | null;
    log: string;
    incident: string;
    at: Date;
    state: string | null;
    rank: number | null;
    source: string | null;
  }>`
    SELECT m.machine, n.name, m.log, m.incident, m.at, i.state, i.rank, i.source
    FROM campaigns c JOIN campaign_members m ON ${ofCampaign(reading)}
      LEFT JOIN machines n ON n.machine = m.machine
      LEFT JOIN incidents i ON i.machine = m.machine AND i.log = m.log AND i.id = m.incident
    WHERE c.machine = '' AND c.campaign = ${campaign}
    ORDER BY m.at, m.machine, m.incident LIMIT ${sql.lit(MOST_MEMBERS)}`.execute(db);
  return rows.map(({ rank, at, name, ...row }) => ({
    ...row,
    name: name ?? row.machine,
    at: at.toISOString(),
    severity: rank === null ? null : SEVERITIES[rank],
  }));
}

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
      JOIN incidents i ON i.machine = m.machine AND i.log = m.log AND i.id = m.incident
      JOIN entries e ON e.machine = i.machine AND e.log = i.log AND e.seq = i.number
    WHERE e.stored_at <= n.at GROUP BY c.campaign`.execute(db);
  return new Map(rows.map(({ campaign, count }) => [campaign, count]));
}

/** A campaign as a reader sees it; undefined where there is none for them. */
export async function campaignFor(
  db: FleetDatabase,
  campaign: string,
  reading: Pick<Reading, 'machines' | 'bounds' | 'reader'>,
): Promise<ShownCampaign | undefined> {
  const [row] = await readCampaigns(db, reading, { limit: 1, named: campaign });
  if (row === undefined) return undefined;
  return shownCampaign(row, reading, (await acknowledgedOf(db, [row], reading)).get(campaign));
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
