/**
 * Questions to the incident's statechart: what does a report lead to, what does a command, and what is allowed now? The
 * recorder, the replay of the log, HTTP's 409 and every button get their answer here.
 *
 * A command that leads to the incident's present state changes nothing and is no error: an operator who resolves twice
 * has resolved. The statechart refuses every other command that the state does not take.
 */
import { initialTransition, transition, type SnapshotFrom } from 'xstate';
import { type CommandName, COMMANDS, recoveryRolesOf } from './commands.ts';
import { Memo } from './memo.ts';
import {
  containmentStatus,
  incidentMachine,
  type ActionParams,
  type IncidentContext,
  type ChartRule,
  type IncidentEvent,
  missingSteps,
} from './incident.ts';
import { type NextTransition, transitionsFrom } from './transitions.ts';
import {
  ACTIONS,
  type ContainmentAction,
  type Directive,
  type RecoveryStep,
  type Rule,
  type State,
  stepsOf,
} from './vocabulary.ts';

export type IncidentSnapshot = SnapshotFrom<typeof incidentMachine>;

export { type CommandName, COMMANDS };

/** A containment action that a transition asks for. */
export type Intent = {
  readonly action: ContainmentAction;
  readonly directive: Directive;
};

/** What an incident says to a command that is not possible in its state, with what is. */
export interface RefusedCommand {
  readonly kind: 'refused';
  readonly state: State;
  readonly allowed: readonly CommandName[];
  readonly transitions: readonly NextTransition[];
  /** What the incident's recovery still needs, when that is why. */
  readonly missing?: readonly RecoveryStep[];
}

export type Decision =
  | { readonly kind: 'moved'; readonly snapshot: IncidentSnapshot; readonly intents: readonly Intent[] }
  | { readonly kind: 'unchanged' }
  | RefusedCommand;

/** The outer state of a snapshot. */
export const stateOf = ({ value }: Pick<Situation, 'value'>): State =>
  typeof value === 'string' ? value : (Object.keys(value)[0] as State);

/** The snapshot of an incident on record, as its actor would have it. */
export const snapshotOf = (state: State, context: IncidentContext): IncidentSnapshot => {
  const inner = state === 'contained' ? containmentStatus(context.standings) : undefined;
  // Snapshots of the same state differ in their context only.
  const known = SNAPSHOTS.to(inner ?? state, () =>
    incidentMachine.resolveState({ value: inner === undefined ? state : { contained: inner }, context }),
  );
  return { ...known, context };
};

const SNAPSHOTS = new Memo<IncidentSnapshot>();

export interface Beginning {
  readonly snapshot: IncidentSnapshot;
  readonly intents: readonly Intent[];
}

/** What becomes of a report under its rule: the first snapshot and the actions that it asks for. */
export const begin = (rule: Rule): Beginning =>
  BEGINNINGS.to(ruleKey(rule), () => {
    const [snapshot, asked] = initialTransition(incidentMachine, rule);
    return { snapshot, intents: intentsAmong(asked) };
  });

const BEGINNINGS = new Memo<Beginning>();

/** Rules with the same key are the same to the chart. */
export const ruleKey = (rule: ChartRule): string => {
  if (rule !== spelt.rule) spelt = { rule, key: keyOf(rule) };
  return spelt.key;
};

const keyOf = ({ auto_contain, actions, recovery }: ChartRule): string =>
  `${auto_contain} ${actions.join(' ')}${recovery === undefined ? '' : ` recovery ${stepsOf(recovery).join(' ')}`}`;

/** The latest one: a rule is asked for several times in a row, and never changes. */
let spelt: { readonly rule: ChartRule | undefined; readonly key: string } = { rule: undefined, key: '' };

/** The part of a snapshot that a decision depends on. */
export interface Situation {
  /** With or without the inner state, which follows from the context. */
  readonly value: State | IncidentSnapshot['value'];
  readonly context: IncidentContext;
}

/** What an event leads to. Pure: it carries out nothing. */
export function decide({ value, context }: Situation, event: IncidentEvent): Decision {
  const { auto_contain, actions, occurrences, standings, recovery, released, snoozed } = context;
  const asked = wordsOf(event);
  const state = stateOf({ value });
  const recovering = recovery === undefined ? '' : JSON.stringify(recovery);
  const early = released === undefined ? '' : ` released ${released.join(' ')}`;
  const hidden = snoozed === true ? ' snoozed' : '';
  const key = `${state} ${asked} ${auto_contain} ${occurrences} ${actions.join(' ')} ${JSON.stringify(standings)} ${recovering}${early}${hidden}`;
  return DECISIONS.to(key, () => askChart(snapshotOf(state, context), event));
}

/** The event in words: the same for events that are the same to the chart. */
function wordsOf(event: IncidentEvent): string {
  if (event.type === 'delivery') return `delivery ${event.action} ${event.standing}`;
  if (event.type === 'release') return `release ${event.action ?? ''}`;
  if (event.type !== 'recur' || (event.rule === undefined && event.attention !== true)) return event.type;
  const { attention, rule, unable = [] } = event;
  return `recur ${attention === true} ${unable.join(' ')} ${rule === undefined ? '' : ruleKey(rule)}`;
}

const DECISIONS = new Memo<Decision>();

function askChart(snapshot: IncidentSnapshot, event: IncidentEvent): Decision {
  if (snapshot.can(event)) {
    const [next, actions] = transition(incidentMachine, snapshot, event);
    return { kind: 'moved', snapshot: next, intents: intentsAmong(actions) };
  }
  const state = stateOf(snapshot);
  if (TARGETS.get(event.type)?.has(state)) return { kind: 'unchanged' };
  const missing = event.type === 'resolve' ? missingSteps(snapshot.context) : [];
  const refused = {
    kind: 'refused',
    state,
    allowed: allowedIn(snapshot),
    transitions: transitionsOf(snapshot),
  } as const;
  return missing.length === 0 ? refused : { ...refused, missing };
}

/** Why an incident can't be resolved whose recovery is not complete. */
export const RECOVERY_INCOMPLETE = 'recovery is incomplete';

/** What each event would do now. Where a recovery is asked for, with what it still needs, and who may resolve then. */
function transitionsOf(snapshot: IncidentSnapshot): readonly NextTransition[] {
  const { context, status } = snapshot;
  const transitions = transitionsFrom(incidentMachine, snapshot);
  if (!asksRecovery(context) || status === 'done') return transitions;
  const missing = missingSteps(context);
  const why = missing.length === 0 ? {} : { reason: RECOVERY_INCOMPLETE, missing };
  const needs = recoveryRolesOf('resolve') ?? [];
  return transitions.map((one) => (one.event === 'resolve' ? { ...one, ...why, needs } : one));
}

/** Whether the rules of an incident ask for a recovery, complete or not. */
export const asksRecovery = ({ recovery }: Pick<IncidentContext, 'recovery'>): boolean =>
  recovery !== undefined && recovery.required.length > 0;

/** The commands that would move the incident now. */
export const allowedIn = (snapshot: IncidentSnapshot): readonly CommandName[] =>
  COMMANDS.filter((type) => snapshot.can({ type }));

/** Every event of the chart: where it leads now, or why it is not allowed. */
export const transitionsIn = ({ value, context }: Situation): readonly NextTransition[] =>
  transitionsOf(snapshotOf(stateOf({ value }), context));

/** The states that each event leads to from anywhere, read from the chart. */
const TARGETS: ReadonlyMap<string, ReadonlySet<State>> = (() => {
  const targets = new Map<string, Set<State>>();
  const transitions = Object.values(incidentMachine.states).flatMap((state) => [...state.transitions.values()].flat());
  for (const { eventType, target } of transitions) {
    const known = targets.get(eventType) ?? new Set();
    for (const node of target ?? []) if (node.parent === incidentMachine.root) known.add(node.key as State);
    targets.set(eventType, known);
  }
  return targets;
})();

const CONTAINMENT: ReadonlySet<string> = new Set(ACTIONS);

function intentsAmong(actions: readonly { readonly type: string; readonly params?: unknown }[]): readonly Intent[] {
  return actions
    .filter(({ type }) => CONTAINMENT.has(type))
    .map(({ type, params }) => ({ action: type as ContainmentAction, directive: (params as ActionParams).directive }));
}
