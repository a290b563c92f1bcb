/**
 * A command on many incidents: what was selected is stored first, as an act, and each incident then becomes a command to its
 * machine. The commands are named by the act and the incident, so that a request that is sent again gives none twice.
 */
import { sql } from 'kysely';
import { actName, ActStore, type StoredAct } from './acts.ts';
import { COMMAND_COLUMNS, type CommandRow } from './commands.ts';
import type { FleetDatabase } from './database.ts';

/** An incident of a machine. */
export interface Selected {
  readonly machine: string;
  readonly id: string;
}

export interface BulkAct {
  readonly act: string;
  readonly command: string;
  /** The filters that have selected the incidents; null where these were named. */
  readonly filter: Readonly<Record<string, readonly string[]>> | null;
  /** What names command and selection: see `bulkDigest`. */
  readonly digest: string;
  /** What each command says besides the incident: who, why, the resolution. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly principal: string;
  readonly by: string;
  /** In milliseconds. */
  readonly good_for: number;
  readonly incidents: readonly (readonly [machine: string, id: string])[];
}

export type BulkActRow = StoredAct<BulkAct>;

/** How many incidents of an act have come to what: those that no command was given for yet are `left`. */
export type BulkCounts = Readonly<Record<'left' | 'pending' | 'done' | 'refused' | 'expired', number>>;

const BULK = 'bulk';

export class BulkActs {
  readonly stored: ActStore<BulkAct>;
  readonly #db: FleetDatabase;

  constructor(db: FleetDatabase) {
    this.#db = db;
    this.stored = new ActStore(db, BULK);
  }

  /** The identifier of an act: the same for the same key of the same principal. */
  nameOf(principal: string, key: string | undefined): string {
    return actName(key === undefined ? undefined : [BULK, principal, key]);
  }

  /** The commands of an act, by machine and incident. @param some only those of these incidents */
  async commandsOf(act: string, some?: readonly Selected[]): Promise<ReadonlyMap<string, CommandRow>> {
    const { rows } = await sql<CommandRow>`
      SELECT ${COMMAND_COLUMNS} FROM commands c WHERE c.act = ${act}
        ${some === undefined ? sql`` : sql`AND c.incident = ANY(${some.map(({ id }) => id)}::text[])`}`.execute(
      this.#db,
    );
    return new Map(rows.map((row) => [keyOf({ machine: row.machine, id: row.incident ?? '' }), row]));
  }

  /** How far an act is. @param incidents those of it that count */
  async countsOf(act: string, incidents: readonly Selected[]): Promise<BulkCounts> {
    const { rows } = await sql<{ machine: string; incident: string; status: CommandRow['status'] }>`
      SELECT c.machine, c.incident, CASE WHEN c.state IN ('done', 'refused', 'expired') THEN c.state
        WHEN c.expires_at <= clock_timestamp() THEN 'expired' ELSE 'pending' END AS status
      FROM commands c WHERE c.act = ${act}`.execute(this.#db);
    const statuses = new Map(rows.map((row) => [keyOf({ machine: row.machine, id: row.incident }), row.status]));
    const counts = { left: 0, pending: 0, done: 0, refused: 0, expired: 0 };
    for (const one of incidents) counts[statuses.get(keyOf(one)) ?? 'left'] += 1;
    return counts;
  }
}

export const keyOf = ({ machine, id }: Selected): string => `${machine} ${id}`;
