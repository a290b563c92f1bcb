/** A machine in the form that is drawn: nested states, transitions between them, and the names of both. */
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';

export interface ChartState {
  /** Its name after the names of the states around it: `contained.delivering`. */
  readonly id: string;
  readonly name: string;
  readonly description?: string;
  readonly final: boolean;
  /** Names of its entry and exit actions. */
  readonly entry: readonly string[];
  readonly exit: readonly string[];
  /** The id of its initial inner state, if it has inner states. */
  readonly initial?: string;
  readonly states: readonly ChartState[];
}

export interface ChartTransition {
  /** The state that it leaves and its event: `open:contain`, `open:always`; numbered if there are several. */
  readonly id: string;
  readonly from: string;
  /** The same as `from` if the state stays. */
  readonly to: string;
  /** Empty for a transition without an event. */
  readonly event: string;
  readonly guard?: string;
  /** Names of its actions. */
  readonly actions: readonly string[];
  /** Whether the state is neither left nor entered. */
  readonly internal: boolean;
}

export interface Chart {
  readonly name: string;
  /** The id of the initial state. */
  readonly initial: string;
  readonly states: readonly ChartState[];
  readonly transitions: readonly ChartTransition[];
}

/** A drawn chart: an SVG body without `<svg>`, and its size in pixels. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly body: string;
}

/** The chart of a machine. */
export function chartOf(machine: AnyStateMachine): Chart {
  const { root } = machine;
  return {
    name: machine.id,
    initial: initialOf(root) ?? '',
    states: statesIn(root),
    transitions: [...transitionIds(machine)].map(([definition, id]) => transitionOf(definition, id)),
  };
}

export const stateId = (node: AnyStateNode): string => node.path.join('.');

/** Every transition of a machine, with its id in the chart. */
export function transitionIds(machine: AnyStateMachine): ReadonlyMap<AnyTransitionDefinition, string> {
  const ids = new Map<AnyTransitionDefinition, string>();
  const visit = (node: AnyStateNode): void => {
    for (const [event, definitions] of [['always', node.always ?? []] as const, ...node.transitions]) {
      for (const [index, definition] of definitions.entries()) {
        ids.set(definition, `${stateId(node)}:${event}${index === 0 ? '' : `:${index + 1}`}`);
      }
    }
    for (const child of Object.values(node.states)) visit(child);
  };
  visit(machine.root);
  return ids;
}

function statesIn(node: AnyStateNode): readonly ChartState[] {
  return Object.values(node.states).map((state: AnyStateNode) => {
    const initial = initialOf(state);
    return {
      id: stateId(state),
      name: state.key,
      ...(state.description === undefined ? {} : { description: state.description }),
      final: state.type === 'final',
      entry: state.entry.map(nameOf),
      exit: state.exit.map(nameOf),
      ...(initial === undefined ? {} : { initial }),
      states: statesIn(state),
    };
  });
}

function transitionOf(definition: AnyTransitionDefinition, id: string): ChartTransition {
  const { source, target, eventType, guard, actions, reenter } = definition;
  return {
    id,
    from: stateId(source),
    to: stateId(target?.[0] ?? source),
    event: eventType,
    ...(guard === undefined ? {} : { guard: nameOf(guard) }),
    actions: actions.map(nameOf),
    internal: target === undefined && !reenter,
  };
}

const initialOf = (node: AnyStateNode): string | undefined => {
  const [target] = node.initial.target;
  return target === undefined ? undefined : stateId(target);
};

/** An action or a guard is a name, an object with a type, or a named function. */
const nameOf = (named: unknown): string => {
  if (typeof named === 'string') return named;
  const { type, name } = named as { readonly type?: string; readonly name?: string };
  return type ?? name ?? '';
};

/** A transition in UML's notation: `event [guard] / actions`. */
export const labelOf = ({ event, guard, actions }: ChartTransition): string =>
  [event, guard === undefined ? '' : `[${guard}]`, actions.length === 0 ? '' : `/ ${actions.join(', ')}`]
    .filter((part) => part !== '')
    .join(' ');
