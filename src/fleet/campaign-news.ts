/**
 * What is new of campaigns: those that were raised and those that grew since they were looked at last. Any process may raise
 * one, so each looks at the newest in the table, which an index has in the order of their ends.
 */
import { sql } from 'kysely';
import { MINUTE } from '../clock.ts';
import type { FleetDatabase } from './database.ts';

/** Of so many campaigns, those that ended last. */
const MOST_LOOKED_AT = 200;

/** For how long one that was not seen before counts as new, in milliseconds. */
const NEW_FOR = MINUTE;

export interface CampaignChange {
  readonly campaign: string;
  /** What happened to it for somebody who sees some machines; undefined for nothing. @param machines undefined for all */
  readonly eventFor: (machines: ReadonlySet<string> | undefined) => 'campaign.raised' | 'campaign.grown' | undefined;
}

/** On how many machines a campaign was found before, for somebody who sees some of them: else it is new to them. */
const FEWEST_SEEN = 2;

export class CampaignNews {
  readonly #db: FleetDatabase;
  /** How many incidents each has; undefined before the first look. */
  #known: ReadonlyMap<string, number> | undefined;

  constructor(db: FleetDatabase) {
    this.#db = db;
  }

  /** Forgets what it knows: the next look finds nothing new. */
  reset(): void {
    this.#known = undefined;
  }

  async look(): Promise<readonly CampaignChange[]> {
    const { rows } = await sql<{ campaign: string; incidents: number; is_new: boolean }>`
      SELECT campaign, incidents, raised_at > clock_timestamp() - ${NEW_FOR}::float8 * interval '1 millisecond' AS is_new
      FROM campaigns WHERE machine = ''
      ORDER BY last_at DESC, campaign DESC LIMIT ${sql.lit(MOST_LOOKED_AT)}`.execute(this.#db);
    const known = this.#known;
    this.#known = new Map(rows.map(({ campaign, incidents }) => [campaign, incidents]));
    if (known === undefined) return [];
    const changed = rows
      .filter(({ campaign, incidents }) => known.get(campaign) !== incidents)
      // One that was not among the newest for a while has come back to them because it has grown.
      .map((one) => ({ ...one, before: known.get(one.campaign) ?? (one.is_new ? 0 : one.incidents - 1) }));
    return changed.length === 0 ? [] : this.#changesOf(changed);
  }

  /** @param changed with how many incidents they had before */
  async #changesOf(changed: readonly Changed[]): Promise<readonly CampaignChange[]> {
    const { rows } = await sql<{ campaign: string; machine: string; joined: number; grown: number }>`
      SELECT k.campaign, k.machine, k.joined, k.grown FROM campaign_counts k
      WHERE k.campaign = ANY(${changed.map(({ campaign }) => campaign)}::text[])`.execute(this.#db);
    const byCampaign = Map.groupBy(rows, ({ campaign }) => campaign);
    return changed.map(({ campaign, before }): CampaignChange => {
      const all = byCampaign.get(campaign) ?? [];
      return {
        campaign,
        eventFor: (machines) => {
          if (machines === undefined) return before === 0 ? 'campaign.raised' : 'campaign.grown';
          const own = all.filter(({ machine }) => machines.has(machine));
          if (!own.some(({ grown }) => grown > before)) return undefined;
          const known = own.filter(({ joined }) => joined <= before);
          return known.length < FEWEST_SEEN ? 'campaign.raised' : 'campaign.grown';
        },
      };
    });
  }
}

interface Changed {
  readonly campaign: string;
  readonly before: number;
}
