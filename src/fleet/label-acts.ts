/**
 * An action on all machines with some labels: "freeze the agents of site=berlin".
 *
 * A machine may have no incident that asks for the action. So each gets the command to report one, with the fleet as its source, of
 * a class whose rule has the action, and to contain it. It is an incident like any other then: people see why, and resolve
 * it when it is over.
 *
 * The act is stored first, with its machines, and then a command for each. Whoever sees that some are missing adds them:
 * they have the same names at every process.
 */
import { sql } from 'kysely';
import {
  ACTIONS,
  CLASSES,
  type ContainmentAction,
  type IncidentClass,
  type Role,
  stepsOf,
} from '../../machines/vocabulary.ts';
import { parsePolicy } from '../policy/parse.ts';
import { readYaml } from '../policy/yaml.ts';
import { actName, ActStore, fewAtOnce, NEVER_GIVEN, type StoredAct } from './acts.ts';
import {
  COMMAND_COLUMNS,
  type CommandRow,
  type FleetCommands,
  idIn,
  type MachineCounts,
  reasonOf,
  statusCounts,
} from './commands.ts';
import type { FleetDatabase } from './database.ts';
import { digestOfSeen, labelledMachines, SENT_NOTHING } from './labelled-machines.ts';

/** What would be done on a machine. */
export interface Candidate {
  readonly machine: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly possible: boolean;
  /** Why it is not possible. */
  readonly why: string | null;
  /** The class of the incident, and all actions that its rule engages there. */
  readonly class: IncidentClass | null;
  readonly actions: readonly ContainmentAction[];
  readonly in_force: boolean;
  readonly silent: boolean;
}

export interface LabelAct {
  readonly act: string;
  readonly action: ContainmentAction;
  readonly labels: Readonly<Record<string, string>>;
  readonly reason: string;
  readonly principal: string;
  readonly by: string;
  readonly role: Role;
  readonly good_for: number;
  /** The class that was asked for, where one was; older acts do not say it. */
  readonly class?: IncidentClass;
  readonly machines: readonly { readonly machine: string; readonly class: IncidentClass }[];
}

const BY_LABEL = 'contain_by_label';

/** SHA-256 over the machines on which an act is possible, and what it engages there: whoever confirms it has seen these. */
export function digestOf(candidates: readonly Candidate[]): string {
  const chosen = candidates.filter(({ possible }) => possible);
  return digestOfSeen(chosen.map(({ machine, class: ofClass, actions }) => [machine, ofClass, actions.toSorted()]));
}

export class LabelActs {
  readonly stored: ActStore<LabelAct>;
  readonly #db: FleetDatabase;
  readonly #commands: FleetCommands;
  readonly #silentAfter: number;

  constructor(options: { readonly db: FleetDatabase; readonly commands: FleetCommands; readonly silentAfter: number }) {
    this.#db = options.db;
    this.stored = new ActStore(options.db, BY_LABEL);
    this.#commands = options.commands;
    this.#silentAfter = options.silentAfter;
  }

  /**
   * What an act would do, machine by machine.
   * @param bounds further labels that the machines must have: what the principal may see
   * @throws RecorderError `limit_reached` for too many machines
   */
  async preview(
    action: ContainmentAction,
    labels: Readonly<Record<string, string>>,
    bounds: 'any' | Readonly<Record<string, string>>,
    incidentClass?: IncidentClass,
  ): Promise<readonly Candidate[]> {
    const found = await labelledMachines(this.#db, this.#silentAfter, { labels, bounds }, action);
    // Most machines have one policy, and to read it takes long.
    const classes = new Map<string | null, ReturnType<typeof classFor>>();
    return found.map(({ machine, name, labels: all, policy_text, log, silent, holders }) => {
      let rule = log === null ? undefined : classes.get(policy_text);
      if (log !== null && rule === undefined) {
        rule = classFor(action, policy_text, incidentClass);
        classes.set(policy_text, rule);
      }
      const why = log === null ? SENT_NOTHING : typeof rule === 'string' ? rule : null;
      const chosen = typeof rule === 'object' ? rule : undefined;
      return {
        machine,
        name,
        labels: all,
        possible: why === null,
        why,
        class: chosen?.class ?? null,
        actions: chosen?.actions ?? [],
        in_force: holders > 0,
        silent,
      };
    });
  }

  /** The identifier of an act: the same for the same key of the same principal. */
  nameOf(principal: string, key: string | undefined): string {
    return actName(key === undefined ? undefined : [principal, key]);
  }

  /** Stores an act and its commands. One that is there already stays as it is. */
  async begin(act: LabelAct): Promise<void> {
    const stored = await this.stored.store(act, act.machines.length);
    if (stored !== undefined) await this.#issue(stored.detail);
  }

  /** How far acts are: how many of their commands have which status. */
  countsOf(acts: readonly string[]): Promise<ReadonlyMap<string, MachineCounts>> {
    return statusCounts(this.#db, acts);
  }

  /** The commands of an act with what came of each, and whether the action is in force there now. */
  async progressOf({
    over,
    detail: { act, action, machines },
  }: Pick<StoredAct<LabelAct>, 'over' | 'detail'>): Promise<readonly object[]> {
    const { rows } = await sql<CommandRow & { in_force: boolean }>`
      SELECT ${COMMAND_COLUMNS}, EXISTS (
        SELECT 1 FROM posture p JOIN logs l ON l.machine = p.machine AND l.log = p.log AND l.active
        WHERE p.machine = c.machine AND p.action = ${action} AND p.holders > 0) AS in_force
      FROM commands c WHERE c.act = ${act}`.execute(this.#db);
    const byMachine = new Map(rows.map((row) => [row.machine, row]));
    return machines.map(({ machine }) => {
      const row = byMachine.get(machine);
      if (row === undefined) {
        const fate = over ? { status: 'expired', reason: NEVER_GIVEN } : { status: 'pending', reason: null };
        return { machine, command: null, ...fate, incident: null, in_force: false };
      }
      return {
        machine,
        command: row.id,
        status: row.status,
        reason: reasonOf(row),
        incident: row.status === 'done' ? idIn(row.result) : null,
        in_force: row.in_force,
      };
    });
  }

  /** Adds the commands that a process which has ended has left out. */
  async complete(): Promise<void> {
    const wanted = sql<number>`jsonb_array_length(a.detail->'machines')`;
    for (const act of await this.stored.incomplete(wanted)) await this.#issue(act);
  }

  async #issue(act: LabelAct): Promise<void> {
    const { rows } = await sql<{ machine: string; identity: string; stored: boolean }>`
      SELECT l.machine, l.identity, EXISTS (
        SELECT 1 FROM commands c WHERE c.machine = l.machine AND c.act = ${act.act}) AS stored
      FROM logs l WHERE l.active AND l.machine = ANY(${act.machines.map(({ machine }) => machine)}::text[])`.execute(
      this.#db,
    );
    const logs = new Map(rows.map((row) => [row.machine, row]));
    const missing = act.machines.filter(({ machine }) => logs.get(machine)?.stored === false);
    await fewAtOnce(missing, ({ machine, class: ofClass }) =>
      this.#commands.issue({
        machine,
        log: logs.get(machine)!.identity,
        command: 'report',
        body: {
          class: ofClass,
          action: act.action,
          description: act.reason,
          evidence: { fleet_act: act.act, action: act.action, labels: act.labels, by: act.by },
          dedup_key: act.act,
        },
        key: act.act,
        principal: act.principal,
        by: act.by,
        role: act.role,
        goodFor: act.good_for,
        act: act.act,
      }),
    );
  }
}

interface Rule {
  readonly actions: readonly ContainmentAction[];
  readonly recovery?: object;
}

/**
 * The class whose rule engages an action and as little else as possible; one without a recovery first. An alert is nothing
 * that is engaged.
 * @returns why there is none
 */
function classFor(
  action: ContainmentAction,
  policy: string | null,
  wanted: IncidentClass | undefined,
): { readonly class: IncidentClass; readonly actions: readonly ContainmentAction[] } | string {
  if (policy === null) return 'its policy is not known yet';
  const rules = rulesOf(policy);
  if (rules === undefined) return 'its policy can’t be read here';
  const found = CLASSES.filter((name) => wanted === undefined || name === wanted)
    .flatMap((name) => {
      const { actions = [], recovery } = rules[name] ?? {};
      return actions.includes(action) ? [{ class: name, actions, steps: stepsOf(recovery).length }] : [];
    })
    .toSorted(
      (one, other) =>
        one.steps - other.steps || engagedBy(one) - engagedBy(other) || one.actions.length - other.actions.length,
    );
  const [first] = found;
  if (first !== undefined) return { class: first.class, actions: first.actions };
  return `its policy has no rule${wanted === undefined ? '' : ` for ${wanted}`} with ${action}`;
}

const engagedBy = ({ actions }: Pick<Rule, 'actions'>): number =>
  actions.filter((action) => action !== 'log_alert').length;

function rulesOf(text: string): Readonly<Partial<Record<IncidentClass, Rule>>> | undefined {
  try {
    return parsePolicy(text, 'policy', true).rules;
  } catch {
    // The machine may run a newer recorder, whose policy says more.
    const { value } = readYaml(text);
    const { rules } = (value ?? {}) as { readonly rules?: unknown };
    if (typeof rules !== 'object' || rules === null) return undefined;
    const read = Object.entries(rules).flatMap(([name, rule]) => {
      const { actions, recovery } = (rule ?? {}) as { readonly actions?: unknown; readonly recovery?: object };
      if (!Array.isArray(actions)) return [];
      return [[name, { actions: ACTIONS.filter((action) => actions.includes(action)), recovery }] as const];
    });
    return Object.fromEntries(read) as Partial<Record<IncidentClass, Rule>>;
  }
}
