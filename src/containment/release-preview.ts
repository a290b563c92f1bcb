/**
 * What a command would release, before it is given: an action is released when the last unresolved incident that holds
 * it lets it end. For several incidents together it says what the command does to all of them: where one refuses it, what
 * that one holds stays in force.
 */
import { decide } from '../../machines/decision.ts';
import { missingSteps, releasable } from '../../machines/incident.ts';
import { ACTIONS, type ContainmentAction, type RecoveryStep, type State } from '../../machines/vocabulary.ts';
import type { CurrentReads } from '../projections/current-reads.ts';

/** The commands that release actions. */
export const RELEASING = ['resolve', 'release'] as const;
export type Releasing = (typeof RELEASING)[number];

/** What would become of one action that the incidents hold. */
export interface ActionPreview {
  readonly action: ContainmentAction;
  /** Whether it would be released: these are the last that hold it, and each of them takes the command now. */
  readonly releases: boolean;
  /** How many unresolved incidents hold it now, and how many of them are others than these. */
  readonly holders: number;
  readonly others: number;
  /** Whether these are the last that hold it. */
  readonly last: boolean;
}

/** One of the incidents. */
export interface IncidentPreview {
  readonly id: string;
  readonly state: State;
  /** Whether it takes the command now. */
  readonly possible: boolean;
  /** The actions that it holds and that the command would let end. */
  readonly actions: readonly ContainmentAction[];
  /** What its recovery still needs, when that is why it does not take it. */
  readonly missing?: readonly RecoveryStep[];
}

export interface Preview {
  readonly command: Releasing;
  /** Each action that one of the incidents holds. */
  readonly actions: readonly ActionPreview[];
  readonly incidents: readonly IncidentPreview[];
  /** Those that are not on record. */
  readonly unknown: readonly string[];
}

/** What became of an action that was released early. */
export interface Released {
  readonly action: ContainmentAction;
  /** Whether its release is asked for: nobody else holds it. */
  readonly releases: boolean;
  /** How many other incidents hold it still, so that it stays in force. */
  readonly others: number;
}

export interface ReleasePreviewDependencies {
  /** @throws RecorderError `log_unavailable` while the posture is behind the log */
  readonly current: () => Pick<CurrentReads, 'posture' | 'situation' | 'absenceOf'>;
}

/** How many incidents are looked at before others get their turn: each takes a millisecond. */
const IN_ONE_TURN = 8;

export class ReleasePreview {
  readonly #dependencies: ReleasePreviewDependencies;

  constructor(dependencies: ReleasePreviewDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * What a command would do to the actions that these incidents hold.
   * @param action with `release`: the one that is meant
   * @param turn awaited after a few of them
   * @throws RecorderError `not_found` or `gone` when none of them is on record, `log_unavailable`
   */
  async of(
    ids: readonly string[],
    command: Releasing,
    action: ContainmentAction | undefined,
    turn: () => Promise<void>,
  ): Promise<Preview> {
    let current = this.#dependencies.current();
    const incidents: IncidentPreview[] = [];
    const unknown: string[] = [];
    const mine = new Map<ContainmentAction, { count: number; staying: number }>();
    for (const [at, id] of [...new Set(ids)].entries()) {
      if (at > 0 && at % IN_ONE_TURN === 0) {
        await turn();
        // Whoever has a token never waits for a turn, and the others have to be served all the same.
        await new Promise(setImmediate);
        current = this.#dependencies.current();
      }
      const found = current.situation(id);
      if (found === undefined) {
        unknown.push(id);
        continue;
      }
      const { value: state, context, drill } = found;
      const holds = state === 'resolved' ? [] : releasable(context);
      const actions = action === undefined ? holds : holds.filter((one) => one === action);
      const decision = decide(found, command === 'resolve' ? { type: 'resolve' } : { type: 'release', action });
      const missing = command === 'resolve' && state !== 'resolved' ? missingSteps(context) : [];
      const possible = decision.kind === 'moved' && !(drill && command === 'release');
      incidents.push({ id, state, possible, actions, ...(missing.length > 0 && { missing }) });
      // A drill holds nothing in force.
      if (drill) continue;
      for (const one of actions) {
        const { count, staying } = mine.get(one) ?? { count: 0, staying: 0 };
        mine.set(one, { count: count + 1, staying: staying + Number(!possible) });
      }
    }
    const [first] = unknown;
    if (incidents.length === 0 && first !== undefined) throw current.absenceOf(first);
    const actions = ACTIONS.flatMap((one) => {
      const held = mine.get(one);
      if (held === undefined) return [];
      const { holders } = current.posture.of(one);
      const others = Math.max(0, holders - held.count);
      const last = others === 0;
      return [{ action: one, releases: last && held.staying === 0, holders, others, last }];
    });
    return { command, actions, incidents, unknown };
  }

  /** What became of an action that an incident has just had released early. @throws RecorderError `log_unavailable` */
  released(action: ContainmentAction): Released {
    const others = this.#dependencies.current().posture.of(action).holders;
    return { action, releases: others === 0, others };
  }
}
