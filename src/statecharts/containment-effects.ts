/**
 * Which containment actions a machine asks for, and where: found by running the pure machine with every action, so that
 * no list besides the machine says it.
 */
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type AnyStateNode,
  getInitialMicrosteps,
  getInitialSnapshot,
  getMicrosteps,
  getStateNodes,
  type StateValue,
} from 'xstate';
import { ACTIONS, type ContainmentAction, type Directive } from '../../machines/vocabulary.ts';
import { stateId, transitionIds } from './chart.ts';

export interface Effect {
  readonly action: ContainmentAction;
  readonly directive: Directive;
}

/** All that entering a state, or taking a transition, may ask for, in the order of `ACTIONS`. */
export interface ContainmentEffects {
  ofEntry(state: string): readonly Effect[];
  ofTransition(id: string): readonly Effect[];
}

/** What the transitions and states of a machine may ask for. Empty for a machine without containment actions. */
export function containmentEffects(machine: AnyStateMachine): ContainmentEffects {
  const found = new Effects();
  if (!ACTIONS.some((action) => Object.hasOwn(machine.implementations.actions, action))) return found;
  const ids = transitionIds(machine);
  for (const rule of [true, false].map((auto_contain) => ({ auto_contain, actions: ACTIONS }))) {
    let before: AnyMachineSnapshot | undefined;
    for (const [after, actions] of getInitialMicrosteps(machine, rule)) {
      found.note(entered(before, after as AnyMachineSnapshot), undefined, actions);
      before = after as AnyMachineSnapshot;
    }
  }
  for (const [snapshot, event] of situations(machine)) {
    const [enabled] = machine.getTransitionData(snapshot, event) ?? [];
    if (enabled === undefined) continue;
    let before = snapshot;
    let by: string | undefined = ids.get(enabled);
    for (const [after, actions] of getMicrosteps(machine, snapshot, event as never)) {
      found.note(entered(before, after as AnyMachineSnapshot), by, actions);
      [before, by] = [after as AnyMachineSnapshot, undefined];
    }
  }
  return found;
}

/** Snapshots in every state, with every event: without containment, with each action alone, and with all. */
function* situations(machine: AnyStateMachine): Generator<readonly [AnyMachineSnapshot, { readonly type: string }]> {
  const { context: first } = getInitialSnapshot(machine) as { readonly context: object };
  const all = (standing: string) => Object.fromEntries(ACTIONS.map((action) => [action, standing]));
  const containments = [
    [{}, ACTIONS[0]],
    // After a release of all of them.
    [{}, ACTIONS[0], ACTIONS],
    [all('broken'), ACTIONS[0]],
    ...ACTIONS.flatMap((action) => [[all('confirmed'), action] as const, [{ [action]: 'confirmed' }, action] as const]),
  ] as const;
  const rule = { auto_contain: true, actions: ACTIONS };
  for (const value of valuesOf(machine.root)) {
    for (const [standings, action, released] of containments) {
      const context = { ...first, actions: ACTIONS, standings, released };
      const snapshot = machine.resolveState({ value, context });
      for (const type of machine.events) {
        for (const attention of [false, true]) yield [snapshot, { type, rule, action, attention } as { type: string }];
      }
    }
  }
}

/** The value of every state without inner states. */
const valuesOf = (node: AnyStateNode): readonly StateValue[] =>
  Object.values(node.states).flatMap((state: AnyStateNode): readonly StateValue[] => {
    if (Object.keys(state.states).length === 0) return [state.key];
    return valuesOf(state).map((inner) => ({ [state.key]: inner }));
  });

/** The states with entry actions that a step has entered. */
function entered(before: AnyMachineSnapshot | undefined, after: AnyMachineSnapshot): readonly string[] {
  const nodes = ({ machine, value }: AnyMachineSnapshot) => getStateNodes(machine.root, value);
  const known = new Set(before === undefined ? [] : nodes(before));
  return nodes(after)
    .filter((node) => !known.has(node) && node.entry.length > 0)
    .map(stateId);
}

class Effects implements ContainmentEffects {
  readonly #of = new Map<string, Set<string>>();

  /** Notes the actions of a step: they are those of the state that it enters, or else of its transition. */
  note(
    states: readonly string[],
    transition: string | undefined,
    actions: readonly { readonly type: string; readonly params?: unknown }[],
  ): void {
    const place = states[0] ?? transition;
    if (place === undefined) return;
    const known = this.#of.get(place) ?? new Set();
    this.#of.set(place, known);
    for (const { type, params } of actions) known.add(`${type} ${(params as Partial<Effect> | undefined)?.directive}`);
  }

  ofEntry(state: string): readonly Effect[] {
    return this.#at(state);
  }

  ofTransition(id: string): readonly Effect[] {
    return this.#at(id);
  }

  #at(place: string): readonly Effect[] {
    const known = this.#of.get(place);
    if (known === undefined) return [];
    return (['engage', 'release'] as const).flatMap((directive) =>
      ACTIONS.filter((action) => known.has(`${action} ${directive}`)).map((action) => ({ action, directive })),
    );
  }
}
