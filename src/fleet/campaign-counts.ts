/**
 * What campaigns have: how many incidents, how many of these are not resolved, and the worst rank; on each machine
 * (`campaign_counts`) and in all (`campaigns`), so that a list of them looks at no incident.
 *
 * A member keeps as what it was counted. What has become of it since is in the entries behind those that were looked
 * through: readers add that (`countedSince`).
 */
import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { FleetTables } from './schema.ts';

type Tx = Transaction<FleetTables>;

/** A campaign while it grows. Times are in milliseconds since the epoch. */
export interface Grown {
  readonly campaign: string;
  readonly signature: string;
  first: number;
  last: number;
  /** From when to when it went before; undefined for one that is new. */
  readonly before: { readonly first: number; readonly last: number } | undefined;
}

interface Pair {
  readonly machine: string;
  readonly campaign: string;
}

interface PairCounts extends Pair {
  readonly incidents: number;
  readonly unresolved: number;
  readonly rank: number | null;
  readonly first_at: Date;
  readonly last_at: Date;
}

type CountedPair = Pick<PairCounts, 'machine' | 'campaign' | 'incidents' | 'unresolved' | 'rank'> & {
  readonly joined: number;
  readonly grown: number;
};

/** Counts what campaigns have that entries of a log have changed. Whoever counts has the rows of these campaigns. */
export class CampaignCounts {
  readonly #tx: Tx;
  readonly #machine: string;
  readonly #log: string;

  constructor(tx: Tx, { machine, log }: { readonly machine: string; readonly log: string }) {
    this.#tx = tx;
    this.#machine = machine;
    this.#log = log;
  }

  /** Notes what some incidents are now. @returns the campaigns with their signatures, whose rows are taken */
  async take(incidents: readonly string[]): Promise<readonly Grown[]> {
    await sql`
      UPDATE campaign_members m SET unresolved = i.state <> 'resolved', rank = i.rank FROM incidents i
      WHERE m.machine = ${this.#machine} AND m.log = ${this.#log} AND m.incident = ANY(${[...incidents]}::text[])
        AND i.machine = m.machine AND i.log = m.log AND i.id = m.incident
        AND (m.unresolved <> (i.state <> 'resolved') OR m.rank IS DISTINCT FROM i.rank)`.execute(this.#tx);
    const { rows } = await sql<{ campaign: string; signature: string; first_at: Date; last_at: Date }>`
      SELECT c.campaign, c.signature, c.first_at, c.last_at FROM campaigns c
      WHERE c.machine = '' AND c.signature = ANY(ARRAY(
        SELECT DISTINCT m.signature FROM campaign_members m
        WHERE m.machine = ${this.#machine} AND m.log = ${this.#log} AND m.incident = ANY(${[...incidents]}::text[])))
      ORDER BY c.campaign FOR UPDATE`.execute(this.#tx);
    return rows.map(({ campaign, signature, first_at, last_at }) => {
      const [first, last] = [first_at.getTime(), last_at.getTime()];
      return { campaign, signature, first, last, before: { first, last } };
    });
  }

  /** Stores how far campaigns go now, and counts what they have on this machine, and on others that came in with that. */
  async make(campaigns: readonly Grown[]): Promise<void> {
    if (campaigns.length === 0) return;
    const longer = campaigns.filter(
      ({ first, last, before }) => before !== undefined && (before.first !== first || before.last !== last),
    );
    if (longer.length > 0)
      await sql`
        UPDATE campaigns c SET first_at = n.first_at, last_at = n.last_at FROM unnest(
          ${longer.map(({ campaign }) => campaign)}::text[], ${timesOf(longer.map(({ first }) => first))},
          ${timesOf(longer.map(({ last }) => last))}) AS n (campaign, first_at, last_at)
        WHERE c.machine = '' AND c.campaign = n.campaign`.execute(this.#tx);
    const pairs = [
      ...campaigns.map(({ campaign }) => ({ machine: this.#machine, campaign })),
      ...(await this.#cameIn(campaigns)),
    ];
    await this.#store(campaigns, await this.#countsOf(pairs), await this.#countedOf(pairs));
  }

  /** The other machines with members in the times by which campaigns are longer. */
  async #cameIn(campaigns: readonly Grown[]): Promise<readonly Pair[]> {
    const spans = campaigns.flatMap(({ campaign, signature, first, last, before }) =>
      before === undefined
        ? [{ campaign, signature, first, last }]
        : [
            ...(first < before.first ? [{ campaign, signature, first, last: before.first }] : []),
            ...(last > before.last ? [{ campaign, signature, first: before.last, last }] : []),
          ],
    );
    if (spans.length === 0) return [];
    const { rows } = await sql<Pair>`
      SELECT DISTINCT m.machine, s.campaign FROM unnest(
        ${spans.map(({ campaign }) => campaign)}::text[], ${spans.map(({ signature }) => signature)}::text[],
        ${timesOf(spans.map(({ first }) => first))}, ${timesOf(spans.map(({ last }) => last))}) AS s (campaign, signature, first_at, last_at)
      JOIN campaign_members m ON m.signature = s.signature AND m.at BETWEEN s.first_at AND s.last_at
      WHERE m.machine <> ${this.#machine}`.execute(this.#tx);
    return rows;
  }

  async #countsOf(pairs: readonly Pair[]): Promise<readonly PairCounts[]> {
    const { rows } = await sql<PairCounts>`
      SELECT p.machine, p.campaign, n.* FROM ${rowsOf(pairs)} JOIN campaigns c ON c.machine = '' AND c.campaign = p.campaign
      CROSS JOIN LATERAL (
        SELECT count(*) AS incidents, count(*) FILTER (WHERE m.unresolved) AS unresolved, min(m.rank) AS rank,
          min(m.at) AS first_at, max(m.at) AS last_at
        FROM campaign_members m
        WHERE m.machine = p.machine AND m.signature = c.signature AND m.at BETWEEN c.first_at AND c.last_at) AS n
      WHERE n.incidents > 0`.execute(this.#tx);
    return rows;
  }

  /** What was counted of them before. */
  async #countedOf(pairs: readonly Pair[]): Promise<ReadonlyMap<string, CountedPair>> {
    const { rows } = await sql<CountedPair>`
      SELECT k.machine, k.campaign, k.incidents, k.unresolved, k.rank, k.joined, k.grown FROM ${rowsOf(pairs)}
      JOIN campaign_counts k ON k.machine = p.machine AND k.campaign = p.campaign`.execute(this.#tx);
    return new Map(rows.map((row) => [keyOf(row), row]));
  }

  async #store(
    campaigns: readonly Grown[],
    counts: readonly PairCounts[],
    counted: ReadonlyMap<string, CountedPair>,
  ): Promise<void> {
    const changed = counts.filter((one) => {
      const before = counted.get(keyOf(one));
      return (['incidents', 'unresolved', 'rank'] as const).some((name) => before?.[name] !== one[name]);
    });
    if (changed.length === 0) return;
    const sums = new Map(campaigns.map(({ campaign }) => [campaign, { machines: 0, incidents: 0, unresolved: 0 }]));
    for (const one of changed) {
      const [sum, before] = [sums.get(one.campaign)!, counted.get(keyOf(one))];
      sum.machines += before === undefined ? 1 : 0;
      sum.incidents += one.incidents - (before?.incidents ?? 0);
      sum.unresolved += one.unresolved - (before?.unresolved ?? 0);
    }
    const all = [...sums].map(([campaign, sum]) => ({ campaign, ...sum }));
    const { rows } = await sql<{ campaign: string; incidents: number }>`
      UPDATE campaigns c SET machines = c.machines + n.machines, incidents = c.incidents + n.incidents,
        unresolved = c.unresolved + n.unresolved, rank = least(c.rank, n.rank)
      FROM unnest(${all.map(({ campaign }) => campaign)}::text[], ${all.map(({ machines }) => machines)}::integer[],
        ${all.map(({ incidents }) => incidents)}::bigint[], ${all.map(({ unresolved }) => unresolved)}::bigint[],
        ${all.map(({ campaign }) => worstOf(changed.filter((one) => one.campaign === campaign)))}::smallint[])
        AS n (campaign, machines, incidents, unresolved, rank)
      WHERE c.machine = '' AND c.campaign = n.campaign RETURNING c.campaign, c.incidents`.execute(this.#tx);
    const totals = new Map(rows.map(({ campaign, incidents }) => [campaign, incidents]));
    const grown = changed.map((one) => {
      const [before, total] = [counted.get(keyOf(one)), totals.get(one.campaign)!];
      const isLarger = one.incidents > (before?.incidents ?? 0);
      return { ...one, joined: before?.joined ?? total, grown: isLarger ? total : (before?.grown ?? total) };
    });
    await sql`
      INSERT INTO campaign_counts (machine, campaign, incidents, unresolved, rank, first_at, last_at, joined, grown)
      SELECT * FROM unnest(${grown.map(({ machine }) => machine)}::text[], ${grown.map(({ campaign }) => campaign)}::text[],
        ${grown.map(({ incidents }) => incidents)}::bigint[], ${grown.map(({ unresolved }) => unresolved)}::bigint[],
        ${grown.map(({ rank }) => rank)}::smallint[], ${timesOf(grown.map((one) => one.first_at.getTime()))},
        ${timesOf(grown.map((one) => one.last_at.getTime()))}, ${grown.map(({ joined }) => joined)}::bigint[],
        ${grown.map((one) => one.grown)}::bigint[])
      ON CONFLICT (machine, campaign) DO UPDATE SET incidents = excluded.incidents, unresolved = excluded.unresolved,
        rank = excluded.rank, first_at = excluded.first_at, last_at = excluded.last_at, grown = excluded.grown`.execute(
      this.#tx,
    );
  }
}

const keyOf = ({ machine, campaign }: Pair): string => `${machine} ${campaign}`;

const timesOf = (times: readonly number[]): RawBuilder<unknown> =>
  sql`${times.map((time) => new Date(time).toISOString())}::timestamptz[]`;

const rowsOf = (pairs: readonly Pair[]): RawBuilder<unknown> =>
  sql`unnest(${pairs.map(({ machine }) => machine)}::text[], ${pairs.map(({ campaign }) => campaign)}::text[]) AS p (machine, campaign)`;

function worstOf(counts: readonly PairCounts[]): number | null {
  const ranks = counts.flatMap(({ rank }) => (rank === null ? [] : [rank]));
  return ranks.length === 0 ? null : Math.min(...ranks);
}

/** Entries that readers look through: of more, counts are those of a moment ago. */
const MOST_LOOKED_AT = 20_000;

/**
 * The members that are not any more what they were counted as, as rows of `changed`: `machine`, `signature`, `at`, by how
 * much fewer or more are `unresolved`, and `rank`. A part of `WITH`, as the whole query sees one state of the database.
 */
export const countedSince: RawBuilder<unknown> = sql`
  behind AS MATERIALIZED (
    SELECT l.machine, l.log, coalesce(p.counted, l.first_seq - 1) AS done, l.built AS through
    FROM logs l LEFT JOIN campaign_progress p ON p.machine = l.machine AND p.log = l.log
    WHERE l.active AND l.built > coalesce(p.counted, l.first_seq - 1)
  ), fresh AS MATERIALIZED (
    SELECT DISTINCT e.machine, e.log, e.incident FROM behind b CROSS JOIN LATERAL (
      SELECT x.machine, x.log, x.incident FROM entries x
      WHERE x.machine = b.machine AND x.log = b.log AND x.seq > b.done AND x.seq <= b.through
        AND x.incident IS NOT NULL OFFSET 0) AS e
    WHERE (SELECT sum(through - done) FROM behind) <= ${sql.lit(MOST_LOOKED_AT)}
  ), changed AS MATERIALIZED (
    SELECT m.machine, m.signature, m.at, (i.state <> 'resolved')::int - m.unresolved::int AS unresolved, i.rank
    FROM fresh f JOIN campaign_members m ON m.machine = f.machine AND m.log = f.log AND m.incident = f.incident
      JOIN incidents i ON i.machine = m.machine AND i.log = m.log AND i.id = m.incident
    WHERE (i.state <> 'resolved') <> m.unresolved OR i.rank IS DISTINCT FROM m.rank
  )`;
