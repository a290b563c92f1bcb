/**
 * A command on many incidents: what was selected is stored first, as an act, and each incident then becomes a command to its
 * machine. The commands are named by the act and the incident, so that a request that is sent again gives none twice.
 */
import { sql } from 'kysely';
import { actName, ActStore, type StoredAct } from './acts.ts';
import { COMMAND_COLUMNS, type CommandRow, statusCounts } from './commands.ts';
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

/** An act without its incidents, but with how many there are on each machine. */
type ListedAct = Omit<BulkAct, 'incidents'> & { readonly machines: Readonly<Record<string, number>> };

export type ListedActRow = StoredAct<ListedAct>;

/** How many incidents of an act have come to what: those that no command was given for yet are `left`. */
export type BulkCounts = Readonly<Record<'left' | 'pending' | 'done' | 'refused' | 'expired', number>>;

const BULK = 'bulk';

export class BulkActs {
  readonly stored: ActStore<ListedAct>;
  readonly #db: FleetDatabase;

  constructor(db: FleetDatabase) {
    this.#db = db;
    this.stored = new ActStore(db, BULK);
  }

  /** Stores an act. @returns the one that is stored under this name: the first one stays */
  async store({ incidents, ...act }: BulkAct): Promise<BulkActRow | undefined> {
    const machines: Record<string, number> = {};
    for (const [machine] of incidents) machines[machine] = (machines[machine] ?? 0) + 1;
    await this.stored.store({ ...act, machines }, incidents.length, incidents);
    return this.find(act.act);
  }

  async find(act: string): Promise<BulkActRow | undefined> {
    const row = await this.stored.find(act);
    if (row === undefined) return undefined;
    const incidents = (await this.stored.selectionOf(act)) as BulkAct['incidents'];
    return { ...row, detail: { ...row.detail, incidents } };
  }

  /** Notes how many of its incidents were asked for, from the first on. */
  noteAsked(act: string, asked: number): Promise<void> {
    return this.stored.noteAsked(act, asked);
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

  /**
   * How far acts are.
   * @param totals how many incidents count of each act, by its name
   * @param machines those whose incidents count; undefined for all
   */
  async countsOf(
    totals: ReadonlyMap<string, number>,
    machines: readonly string[] | undefined,
  ): Promise<ReadonlyMap<string, BulkCounts>> {
    const given = await statusCounts(this.#db, [...totals.keys()], machines);
    return new Map(
      [...totals].map(([act, total]) => {
        const counts = given.get(act)!;
        const left = Object.values(counts).reduce((rest, count) => rest - count, total);
        return [act, { left, ...counts }];
      }),
    );
  }
}

export const keyOf = ({ machine, id }: Selected): string => `${machine} ${id}`;
