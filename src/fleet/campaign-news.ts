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
  /** How far each reached; undefined before the first look. */
  #known: ReadonlyMap<string, string> | undefined;

  constructor(db: FleetDatabase) {
    this.#db = db;
  }

  /** Forgets what it knows: the next look finds nothing new. */
  reset(): void {
    this.#known = undefined;
  }

  async look(): Promise<readonly CampaignChange[]> {
    const { rows } = await sql<{ campaign: string; first_at: Date; last_at: Date }>`
      SELECT campaign, first_at, last_at FROM campaigns WHERE machine = ''
      ORDER BY last_at DESC, campaign DESC LIMIT ${sql.lit(MOST_LOOKED_AT)}`.execute(this.#db);
    const known = this.#known;
    const now = new Map(rows.map((row) => [row.campaign, `${row.first_at.getTime()} ${row.last_at.getTime()}`]));
    this.#known = now;
    if (known === undefined) return [];
    return [...now].flatMap(([campaign, reach]): readonly CampaignChange[] => {
      const before = known.get(campaign);
      if (before === reach) return [];
      return [{ campaign, event: before === undefined ? 'campaign.raised' : 'campaign.grown' }];
    });
  }
}
