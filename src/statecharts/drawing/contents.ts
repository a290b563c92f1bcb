/** What a drawing of a chart holds, in words: the boxes of the states, and the labels of the lines between them. */
import type { Chart, ChartState, ChartTransition } from '../chart.ts';
import type { ContainmentEffects, Effect } from '../containment-effects.ts';

/** A transition that stays in its state: a row of its box. */
export interface Row {
  readonly id: string;
  readonly event: string;
  /** `[words]`, or empty. */
  readonly guard: string;
  /** `take report, count it`, or empty. */
  readonly actions: string;
  readonly effects: readonly Effect[];
}

/** Rows of one topic, in few lines: they have the same actions. */
export interface Topic {
  readonly name: string;
  readonly actions: string;
  readonly rows: readonly Row[];
}

/** What is written into the box of a state. */
export interface StateContents {
  readonly state: ChartState;
  readonly entry: string;
  readonly exit: string;
  readonly chips: readonly Effect[];
  readonly rows: readonly Row[];
  readonly topics: readonly Topic[];
}

/** One label: the same event, guard, actions and target, from one or several states. */
export interface Label {
  readonly transitions: readonly ChartTransition[];
  readonly event: string;
  readonly guard: string;
  readonly actions: string;
  readonly effects: readonly Effect[];
}

/** The labels with the same sources and target, which share a line. */
export interface Line {
  /** The id of its first transition. */
  readonly id: string;
  readonly to: string;
  /** The states that it leaves, each with its transitions. */
  readonly sources: ReadonlyMap<string, readonly string[]>;
  readonly labels: readonly Label[];
}

/** Events of a machine that belong together, by topic. */
export type Topics = Readonly<Record<string, readonly string[]>>;

/** `countAttempt` → `count attempt`; names of events and of containment stay as they are. */
const inWords = (name: string): string =>
  name.replaceAll('_', ' ').replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

const isRow = ({ from, to }: ChartTransition): boolean => from === to;

/** The boxes of all states, by id. */
export function contentsOf(
  { states, transitions }: Chart,
  effects: ContainmentEffects,
  topics: Topics = {},
): ReadonlyMap<string, StateContents> {
  const contents = new Map<string, StateContents>();
  const visit = (state: ChartState): void => {
    const rows = transitions
      .filter((one) => one.from === state.id && isRow(one))
      .map((one) => ({
        id: one.id,
        event: one.event,
        guard: guardOf(one, transitions),
        actions: one.actions.map(inWords).join(', '),
        effects: effects.ofTransition(one.id),
      }));
    const byTopic = Object.entries(topics).flatMap(([name, events]) => {
      const own = rows.filter(({ event }) => events.includes(event));
      const isOne = own.every(({ actions, effects: some }) => actions === own[0]!.actions && some.length === 0);
      return own.length > 1 && isOne ? [{ name, actions: own[0]!.actions, rows: own }] : [];
    });
    const listed = new Set(byTopic.flatMap((topic) => topic.rows));
    contents.set(state.id, {
      state,
      entry: state.entry.map(inWords).join(', '),
      exit: state.exit.map(inWords).join(', '),
      chips: effects.ofEntry(state.id),
      rows: rows.filter((row) => !listed.has(row)),
      topics: byTopic,
    });
    for (const inner of state.states) visit(inner);
  };
  for (const state of states) visit(state);
  return contents;
}

/** The lines between states, in the order of their first transitions. */
export function linesOf({ transitions }: Chart, effects: ContainmentEffects): readonly Line[] {
  const labels = new Map<string, ChartTransition[]>();
  for (const one of transitions.filter((each) => !isRow(each))) {
    const key = JSON.stringify([one.event, guardOf(one, transitions), one.actions, one.to]);
    labels.set(key, [...(labels.get(key) ?? []), one]);
  }
  const lines = new Map<string, Label[]>();
  for (const alike of labels.values()) {
    // What a machine takes by itself is no choice of the same kind as events are.
    const kind = alike[0]!.event === '' ? alike[0]!.id : '';
    const key = `${alike.map(({ from }) => from).join(' ')} ${alike[0]!.to} ${kind}`;
    lines.set(key, [...(lines.get(key) ?? []), labelOf(alike, transitions, effects)]);
  }
  return [...lines.values()].map((stack) => {
    const [{ transitions: alike }] = stack as [Label];
    const all = stack.flatMap((label) => label.transitions);
    return {
      id: alike[0]!.id,
      to: alike[0]!.to,
      sources: new Map(
        alike.map(({ from }) => [from, all.filter((one) => one.from === from).map(({ id }) => id)] as const),
      ),
      labels: stack,
    };
  });
}

const labelOf = (
  alike: readonly ChartTransition[],
  all: readonly ChartTransition[],
  effects: ContainmentEffects,
): Label => ({
  transitions: alike,
  event: alike[0]!.event,
  guard: guardOf(alike[0]!, all),
  actions: alike[0]!.actions.map(inWords).join(', '),
  effects: effects.ofTransition(alike[0]!.id),
});

/** The words of a guard. The last of several branches has none: it is `[else]`. */
function guardOf({ from, event, guard }: ChartTransition, all: readonly ChartTransition[]): string {
  if (guard !== undefined) return `[${inWords(guard)}]`;
  return all.some((other) => other.from === from && other.event === event && other.guard !== undefined) ? '[else]' : '';
}
