/**
 * What is new of campaigns: those that were raised and those that grew since they were looked at last. Any process may raise
 * one, so each looks at the newest in the table, which an index has in the order of their ends.
 */
import { sql } from 'kysely';
import type { FleetDatabase } from './database.ts';

/** Of so many campaigns, those that ended last. */
const MOST_LOOKED_AT = 200;

export interface CampaignChange {
  readonly campaign: string;
  readonly event: 'campaign.raised' | 'campaign.grown';
}

export class CampaignNews {
  readonly #db: FleetDatabase;
  /** What says whether each has grown; undefined before the first look. */
  #known: ReadonlyMap<string, number> | undefined;

  constructor(db: FleetDatabase) {
    this.#db = db;
  }

  /** Forgets what it knows: the next look finds nothing new. */
  reset(): void {
    this.#known = undefined;
  }

  async look(): Promise<readonly CampaignChange[]> {
    const { rows } = await sql<{ campaign: string; grown: number }>`
      SELECT campaign, grown FROM campaigns WHERE machine = ''
      ORDER BY last_at DESC, campaign DESC LIMIT ${sql.lit(MOST_LOOKED_AT)}`.execute(this.#db);
    const known = this.#known;
    const now = new Map(rows.map(({ campaign, grown }) => [campaign, grown]));
    this.#known = now;
    if (known === undefined) return [];
    return [...now].flatMap(([campaign, grown]): readonly CampaignChange[] => {
      const before = known.get(campaign);
      if (before === grown) return [];
      return [{ campaign, event: before === undefined ? 'campaign.raised' : 'campaign.grown' }];
    });
  }
}
