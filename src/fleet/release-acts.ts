/**
 * The counterpart of an action by label: ends an action on all machines with some labels, for every incident that holds it.
 *
 * Each of these gets the command to release the action early; the incidents stay. The act is stored first, with its machines and
 * incidents, and then the commands. Whoever sees that some are missing adds them: they have the same names at every process.
 */
import { sql } from 'kysely';
import type { ContainmentAction, Role } from '../../machines/vocabulary.ts';
import { RELEASED_EARLY } from '../domain/posture.ts';
import { RecorderError } from '../errors.ts';
import { actName, ActStore, fewAtOnce, type StoredAct } from './acts.ts';
import {
  COMMAND_COLUMNS,
  type CommandRow,
  type CommandStatus,
  countsIn,
  type FleetCommands,
  type MachineCounts,
  machineCounts,
  worstOf,
} from './commands.ts';
import type { FleetDatabase } from './database.ts';
import { currentLogs, digestOfSeen, isWanted, labelledMachines, SENT_NOTHING } from './labelled-machines.ts';

/** How many incidents one act may be about. */
const MOST_INCIDENTS = 10_000;

/** An incident that holds the action, and the role that its release takes there. */
export interface Holder {
  readonly id: string;
  readonly recovers: boolean;
}

/** What would be done on a machine. */
export interface ReleaseCandidate {
  readonly machine: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly possible: boolean;
  /** Why it is not possible. */
  readonly why: string | null;
  readonly in_force: boolean;
  readonly silent: boolean;
  /** Those that hold it. */
  readonly holders: readonly Holder[];
}

export interface ReleaseAct {
  readonly act: string;
  readonly action: ContainmentAction;
  readonly labels: Readonly<Record<string, string>>;
  readonly reason: string;
  readonly principal: string;
  readonly by: string;
  /** In milliseconds. */
  readonly good_for: number;
  /** How many, on all machines together. */
  readonly incidents: number;
  readonly machines: readonly {
    readonly machine: string;
    readonly incidents: readonly { readonly id: string; readonly role: Role }[];
  }[];
}

export type ReleaseActRow = StoredAct<ReleaseAct>;

/** What came of an act on one machine. */
export interface ReleaseProgress {
  readonly machine: string;
  /** `pending` while one of its incidents waits; else the worst of what came of them. */
  readonly status: CommandStatus;
  readonly reason: string | null;
  readonly incidents: number;
  readonly done: number;
  readonly in_force: boolean;
}

const RELEASE = 'release_by_label';

/** SHA-256 over the machines and those that hold the action there: whoever confirms it has seen these. */
export function digestOf(candidates: readonly ReleaseCandidate[]): string {
  const chosen = candidates.filter(({ possible }) => possible);
  return digestOfSeen(chosen.map(({ machine, holders }) => [machine, holders.map(({ id }) => id)]));
}

export class ReleaseActs {
  readonly stored: ActStore<ReleaseAct>;
  readonly #db: FleetDatabase;
  readonly #commands: FleetCommands;
  readonly #silentAfter: number;

  constructor(options: { readonly db: FleetDatabase; readonly commands: FleetCommands; readonly silentAfter: number }) {
    this.#db = options.db;
    this.stored = new ActStore(options.db, RELEASE);
    this.#commands = options.commands;
    this.#silentAfter = options.silentAfter;
  }

  /**
   * What an act would do, machine by machine.
   * @param bounds further labels that the machines must have: what the principal may see
   * @throws RecorderError `limit_reached` for too many machines or incidents
   */
  async preview(
    action: ContainmentAction,
    labels: Readonly<Record<string, string>>,
    bounds: 'any' | Readonly<Record<string, string>>,
  ): Promise<readonly ReleaseCandidate[]> {
    const wanted = { labels, bounds };
    const found = await labelledMachines(this.#db, this.#silentAfter, wanted, action);
    const held = await sql<{ machine: string; id: string; recovery: number }>`
      SELECT d.machine, d.incident AS id, i.recovery
      FROM machines m JOIN logs l ON l.machine = m.machine AND l.active
        JOIN deliveries d ON d.machine = m.machine AND d.log = l.log
        JOIN incidents i ON i.machine = d.machine AND i.log = d.log AND i.id = d.incident
      WHERE ${isWanted(wanted)} AND d.action = ${action} AND d.directive = 'engage' AND d.status <> ${RELEASED_EARLY}
        AND i.drill = 0
      ORDER BY d.machine, i.number LIMIT ${sql.lit(MOST_INCIDENTS + 1)}`.execute(this.#db);
    if (held.rows.length > MOST_INCIDENTS)
      throw new RecorderError('limit_reached', `more than ${MOST_INCIDENTS} incidents hold it; name more labels`);
    const holders = Map.groupBy(held.rows, ({ machine }) => machine);
    return found.map(({ machine, name, labels: all, log, silent, holders: count }) => {
      const own = holders.get(machine) ?? [];
      const why = log === null ? SENT_NOTHING : own.length === 0 ? 'no incident holds it there' : null;
      return {
        machine,
        name,
        labels: all,
        possible: why === null,
        why,
        in_force: count > 0,
        silent,
        holders: own.map(({ id, recovery }) => ({ id, recovers: recovery > 0 })),
      };
    });
  }

  /** The identifier of an act: the same for the same key of the same principal. */
  nameOf(principal: string, key: string | undefined): string {
    return actName(key === undefined ? undefined : [RELEASE, principal, key]);
  }

  /** Stores an act and its commands. One that is there already stays as it is. */
  async begin(act: ReleaseAct): Promise<void> {
    const stored = await this.stored.store(act, act.incidents);
    if (stored !== undefined) await this.#issue(stored.detail);
  }

  /** What came of an act on each of its machines, and whether the action is in force there now. */
  async progressOf({
    over,
    detail: { act, action, machines },
  }: Pick<ReleaseActRow, 'over' | 'detail'>): Promise<readonly ReleaseProgress[]> {
    const { rows } = await sql<CommandRow>`SELECT ${COMMAND_COLUMNS} FROM commands c WHERE c.act = ${act}`.execute(
      this.#db,
    );
    const { rows: postures } = await sql<{ machine: string }>`
      SELECT p.machine FROM posture p JOIN logs l ON l.machine = p.machine AND l.log = p.log AND l.active
      WHERE p.action = ${action} AND p.holders > 0
        AND p.machine = ANY(${machines.map(({ machine }) => machine)}::text[])`.execute(this.#db);
    const inForce = new Set(postures.map(({ machine }) => machine));
    const byIncident = new Map(rows.map((row) => [`${row.machine} ${row.incident}`, row]));
    return machines.map(({ machine, incidents }) => {
      const own = incidents.map(({ id }) => byIncident.get(`${machine} ${id}`));
      const { status, reason, statuses } = worstOf(own, over);
      return {
        machine,
        status,
        reason,
        incidents: incidents.length,
        done: statuses.filter((one) => one === 'done').length,
        in_force: inForce.has(machine),
      };
    });
  }

  /** On how many of its machines an act has come to what. @param seen the machines that count; undefined for all */
  async countsOf(
    row: Pick<ReleaseActRow, 'over' | 'detail'>,
    seen: readonly string[] | undefined,
  ): Promise<MachineCounts> {
    const { act, machines } = row.detail;
    const incidents = machines.reduce((sum, one) => sum + one.incidents.length, 0);
    const counts = await machineCounts(this.#db, act, incidents, seen);
    return counts ?? countsIn(await this.progressOf(row));
  }

  /** Adds the commands that a process which has ended has left out. */
  async complete(): Promise<void> {
    for (const act of await this.stored.incomplete(sql`(a.detail->>'incidents')::bigint`)) await this.#issue(act);
  }

  async #issue(act: ReleaseAct): Promise<void> {
    const names = act.machines.map(({ machine }) => machine);
    const { rows: known } = await sql<{ machine: string; incident: string }>`
      SELECT c.machine, c.incident FROM commands c WHERE c.act = ${act.act}`.execute(this.#db);
    const logs = await currentLogs(this.#db, names);
    const stored = new Set(known.map(({ machine, incident }) => `${machine} ${incident}`));
    const missing = act.machines.flatMap(({ machine, incidents }) => {
      const log = logs.get(machine);
      if (log === undefined) return [];
      return incidents.flatMap((one) => (stored.has(`${machine} ${one.id}`) ? [] : [{ machine, log, ...one }]));
    });
    await fewAtOnce(missing, ({ machine, log, id, role }) =>
      this.#commands.issue({
        machine,
        log,
        command: 'release',
        incident: id,
        body: { id, action: act.action, reason: act.reason },
        key: `${act.act} ${id}`,
        principal: act.principal,
        by: act.by,
        role,
        goodFor: act.good_for,
        act: act.act,
      }),
    );
  }
}
