/**
 * Silences on all machines with some labels, and their end: each machine gets the command to add one of its own, or to end those
 * that run there.
 *
 * The act is stored first, with its machines, and then the commands. Whoever sees that some are missing adds them: they have the same
 * names at every process.
 */
import { sql } from 'kysely';
import type { Role } from '../../machines/vocabulary.ts';
import type { Clock } from '../clock.ts';
import { isRunning } from '../domain/silence.ts';
import type { SilenceMatchers, SilenceOnRecord } from '../domain/silence-terms.ts';
import { actName, ActStore, fewAtOnce, type StoredAct } from './acts.ts';
import {
  COMMAND_COLUMNS,
  type CommandRow,
  type CommandStatus,
  countsIn,
  type FleetCommands,
  idIn,
  type MachineCounts,
  machineCounts,
  worstOf,
} from './commands.ts';
import type { FleetDatabase } from './database.ts';
import {
  currentLogs,
  digestOfSeen,
  type LabelledMachine,
  labelledMachines,
  type Labels,
  SENT_NOTHING,
  type WantedMachines,
} from './labelled-machines.ts';
import { silencesOf } from './read-models/silences.ts';

/** What is done: a silence is added on each machine, or those that run are ended. */
export type SilenceKind = 'add' | 'end';

/** What would be done on a machine. */
export interface SilenceCandidate {
  readonly machine: string;
  readonly name: string;
  readonly labels: Labels;
  readonly possible: boolean;
  /** Why it is not possible. */
  readonly why: string | null;
  readonly silent: boolean;
  /** Those that would be ended. */
  readonly silences: readonly string[];
}

/** Which running silences are meant: those of an act, and those with these terms. */
export interface WantedSilences extends Partial<SilenceMatchers> {
  readonly act?: string;
}

export interface SilenceAct {
  readonly act: string;
  readonly kind: SilenceKind;
  readonly labels: Labels;
  /** The machines that were named besides. */
  readonly named: readonly string[];
  readonly reason: string;
  readonly principal: string;
  readonly by: string;
  readonly role: Role;
  /** In milliseconds. */
  readonly good_for: number;
  /** What each command says: of a silence its terms. */
  readonly body: Readonly<Record<string, unknown>>;
  /** What was asked for, so that the same key means the same. */
  readonly asked: Readonly<Record<string, unknown>>;
  /** To whom a command goes; `silence` is the one that it ends. */
  readonly targets: readonly { readonly machine: string; readonly silence?: string }[];
}

export type SilenceActRow = StoredAct<SilenceAct>;

/** What came of an act on one machine. */
export interface SilenceProgress {
  readonly machine: string;
  /** `pending` while one of its commands waits; else the worst of what came of them. */
  readonly status: CommandStatus;
  readonly reason: string | null;
  /** Those that it has made, or that it ends. */
  readonly silences: readonly string[];
}

const BY_LABEL = 'silence_by_label';
const COMMANDS: Readonly<Record<SilenceKind, string>> = { add: 'silence', end: 'end_silence' };

/** What whoever confirms has seen: the machines, and the silences that are ended there. */
export const digestOf = (candidates: readonly SilenceCandidate[]): string =>
  digestOfSeen(candidates.filter(({ possible }) => possible).map(({ machine, silences }) => [machine, silences]));

export interface SilenceActsOptions {
  readonly db: FleetDatabase;
  readonly commands: FleetCommands;
  /** In milliseconds. */
  readonly silentAfter: number;
  readonly clock: Pick<Clock, 'now'>;
}

export class SilenceActs {
  readonly stored: ActStore<SilenceAct>;
  readonly #options: SilenceActsOptions;

  constructor(options: SilenceActsOptions) {
    this.#options = options;
    this.stored = new ActStore(options.db, BY_LABEL);
  }

  /** On which machines a silence would be added. @throws RecorderError `limit_reached` for too many */
  async previewAdd(wanted: WantedMachines): Promise<readonly SilenceCandidate[]> {
    const { db, silentAfter } = this.#options;
    const found = await labelledMachines(db, silentAfter, wanted);
    return found.map((one) => candidate(one, one.log === null ? SENT_NOTHING : null, []));
  }

  /** Which silences would be ended, machine by machine. @throws RecorderError `limit_reached` for too many machines */
  async previewEnd(wanted: WantedMachines, silences: WantedSilences): Promise<readonly SilenceCandidate[]> {
    const { db, silentAfter, clock } = this.#options;
    const found = await labelledMachines(db, silentAfter, await this.#withAct(wanted, silences.act));
    const ofAct = silences.act === undefined ? undefined : await this.#madeBy(silences.act);
    const now = clock.now();
    const all = await silencesOf(
      db,
      found.map(({ machine }) => machine),
    );
    const meant = all.filter(
      ({ machine, silence }) =>
        isRunning(silence, now) &&
        (ofAct === undefined || ofAct.has(`${machine} ${silence.silence}`)) &&
        hasTerms(silence, silences),
    );
    const byMachine = Map.groupBy(meant, ({ machine }) => machine);
    return found.map((one) => {
      const own = (byMachine.get(one.machine) ?? []).map(({ silence }) => silence.silence);
      return candidate(one, own.length === 0 ? 'no such silence runs there' : null, own);
    });
  }

  /** The machines of an act, where nothing else says which. */
  async #withAct(wanted: WantedMachines, act: string | undefined): Promise<WantedMachines> {
    const { labels, named = [] } = wanted;
    if (act === undefined || named.length > 0 || Object.keys(labels).length > 0) return wanted;
    const targets = (await this.stored.find(act))?.detail.targets ?? [];
    // No machine has an empty name.
    return { ...wanted, named: ['', ...targets.map(({ machine }) => machine)] };
  }

  /** The silences that an act has made, each with its machine. */
  async #madeBy(act: string): Promise<ReadonlySet<string>> {
    const { rows } = await sql<{ machine: string; result: string | null }>`
      SELECT c.machine, c.result FROM commands c
      WHERE c.act = ${act} AND c.command = ${COMMANDS.add} AND c.state = 'done'`.execute(this.#options.db);
    return new Set(rows.map(({ machine, result }) => `${machine} ${idIn(result)}`));
  }

  /** The identifier of an act: the same for the same key of the same principal. */
  nameOf(principal: string, key: string | undefined): string {
    return actName(key === undefined ? undefined : [BY_LABEL, principal, key]);
  }

  /** Stores an act and its commands. One that is there already stays as it is. */
  async begin(act: SilenceAct): Promise<void> {
    const stored = await this.stored.store(act, act.targets.length);
    if (stored !== undefined) await this.#issue(stored.detail);
  }

  /** What came of an act on each of its machines. */
  async progressOf({ over, detail }: Pick<SilenceActRow, 'over' | 'detail'>): Promise<readonly SilenceProgress[]> {
    const { rows } = await sql<CommandRow>`
      SELECT ${COMMAND_COLUMNS} FROM commands c WHERE c.act = ${detail.act}`.execute(this.#options.db);
    const given = new Map(rows.map((row) => [keyOf({ machine: row.machine, ...silenceIn(row.body) }), row]));
    return [...Map.groupBy(detail.targets, ({ machine }) => machine)].map(([machine, targets]) => {
      const own = targets.map((target) => given.get(keyOf(target)));
      const { status, reason } = worstOf(own, over);
      const silences = targets.flatMap(({ silence }, index) => {
        const row = own[index];
        return silence ?? (row?.status === 'done' ? (idIn(row.result) ?? []) : []);
      });
      return { machine, status, reason, silences };
    });
  }

  /** On how many of its machines an act has come to what. @param seen the machines that count; undefined for all */
  async countsOf(
    row: Pick<SilenceActRow, 'over' | 'detail'>,
    seen: readonly string[] | undefined,
  ): Promise<MachineCounts> {
    const { act, targets } = row.detail;
    const counts = await machineCounts(this.#options.db, act, targets.length, seen);
    return counts ?? countsIn(await this.progressOf(row));
  }

  /** Adds the commands that a process which has ended has left out. */
  async complete(): Promise<void> {
    const wanted = sql<number>`jsonb_array_length(a.detail->'targets')`;
    for (const act of await this.stored.incomplete(wanted)) await this.#issue(act);
  }

  async #issue(act: SilenceAct): Promise<void> {
    const { db, commands } = this.#options;
    const names = [...new Set(act.targets.map(({ machine }) => machine))];
    const { rows: known } = await sql<Pick<CommandRow, 'machine' | 'body'>>`
      SELECT c.machine, c.body FROM commands c WHERE c.act = ${act.act}`.execute(db);
    const logs = await currentLogs(db, names);
    const stored = new Set(known.map(({ machine, body }) => keyOf({ machine, ...silenceIn(body) })));
    const missing = act.targets.filter((target) => logs.has(target.machine) && !stored.has(keyOf(target)));
    await fewAtOnce(missing, ({ machine, silence }) =>
      commands.issue({
        machine,
        log: logs.get(machine)!,
        command: COMMANDS[act.kind],
        body: silence === undefined ? act.body : { id: silence, ...act.body },
        key: silence === undefined ? act.act : `${act.act} ${silence}`,
        principal: act.principal,
        by: act.by,
        role: act.role,
        goodFor: act.good_for,
        act: act.act,
      }),
    );
  }
}

const candidate = (
  { machine, name, labels, silent }: LabelledMachine,
  why: string | null,
  silences: readonly string[],
): SilenceCandidate => ({ machine, name, labels, possible: why === null, why, silent, silences });

const keyOf = ({ machine, silence = '' }: SilenceAct['targets'][number]): string => `${machine} ${silence}`;

/** The silence that a command ends; none of one that adds a silence. */
const silenceIn = (body: object): { readonly silence?: string } => {
  const { id } = body as { readonly id?: string };
  return id === undefined ? {} : { silence: id };
};

/** Whether a silence matches what was asked for, as far as that says it. */
const hasTerms = (silence: SilenceOnRecord, { q, ...lists }: WantedSilences): boolean =>
  (q === undefined || silence.q === q) &&
  (['class', 'source', 'severity'] as const).every((name) => {
    const wanted: readonly string[] | undefined = lists[name];
    return wanted === undefined || formOf(wanted) === formOf(silence[name]);
  });

const formOf = (values: readonly string[]): string => [...new Set(values)].toSorted().join('\n');
