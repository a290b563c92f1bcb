/**
 * The statechart of one incident.
 *
 * An incident begins `open`. If its rule contains automatically, it moves to `contained` at once; otherwise an operator
 * can contain it, also when it is acknowledged already. Operators take it to its end: `acknowledged` (seen, containment
 * stays) and `resolved` (final).
 *
 * A further report of the same incident (`recur`) is counted. It engages what the rule in force engages and this incident
 * does not hold yet, and asks again for what has failed or was lost. An acknowledged incident that needs attention again
 * is `open` again, or `contained` if it holds actions. Whether it needs attention is in the event, since that depends on
 * severities and times.
 *
 * A person may snooze it until a time: it is `acknowledged` until then, and `wake` makes it need attention again. That also
 * ends with any command, and with a further report that needs attention. The chart knows only whether it is snoozed: the
 * time is in the log.
 *
 * Containment actions are the side effects of the chart: named actions with parameters, engaged on entry to `contained`
 * and released on entry to `resolved`. The chart has no implementations of them and no clock: the actor provides the
 * implementations, and `transition()` returns the actions without executing them.
 *
 * A rule may ask for a recovery: until that is complete, `resolve` is not possible. A person acknowledges it
 * (`acknowledge_recovery`), and the attestor proves the machine: `request_attestation` asks for that, `attest` and
 * `fail_attestation` say what came of it. Or it is waived. What is done counts for the incident as it is: a further report,
 * a further action and another outcome of an action make it void.
 *
 * A person may release one action early (`release`) while the incident stays. What is released so is not engaged again by
 * itself when the incident is contained once more: a person's `contain` asks for it, and so does a further report whose
 * rule asks for it. With the last action that is in force `log_alert` ends too, and a contained incident is `open` again.
 *
 * What becomes of each engaged action comes back as a `delivery` event. The inner states of `contained` sum it up: still
 * `delivering`, `overdue` because one was not confirmed in time, all `confirmed`, or `degraded` because one is broken.
 */
import { assign, enqueueActions, setup } from 'xstate';
import type { CommandName } from './commands.ts';
import {
  type ContainmentAction,
  type ContainmentStatus,
  type Directive,
  RECOVERY_STEPS,
  type RecoveryRule,
  type RecoveryStep,
  type Rule,
  stepsOf,
} from './vocabulary.ts';

/**
 * How far an engaged action is: not yet carried out, not confirmed in time, carried out, or broken: it failed, was
 * lost, or needs a person.
 */
export type Standing = 'waiting' | 'overdue' | 'confirmed' | 'broken';
export type Standings = Readonly<Partial<Record<ContainmentAction, Standing>>>;

/** What its rules ask for before an incident may be resolved, and what is done of it. */
export interface RecoveryContext {
  readonly required: readonly RecoveryStep[];
  /** What was done for the incident as it is now. */
  readonly done: readonly RecoveryStep[];
  /** Whether somebody waived it, for the incident as it is now. */
  readonly waived: boolean;
  /** Whether the attestor is asked, and the outcome is not known yet. */
  readonly attesting: boolean;
}

/** What a rule says to the chart. */
export type ChartRule = Pick<Rule, 'auto_contain' | 'actions' | 'recovery'>;

/** What an incident remembers besides its state: plain JSON. */
export interface IncidentContext {
  readonly auto_contain: boolean;
  /** The actions of the rule that applied when it was reported. */
  readonly actions: readonly ContainmentAction[];
  /** How often it was reported, 1 after the first report. */
  readonly occurrences: number;
  /** How far each engaged action is; empty before containment. */
  readonly standings: Standings;
  /** The actions that a person has released early, and that are not engaged again; not there when there are none. */
  readonly released?: readonly ContainmentAction[] | undefined;
  /** Not there while no rule has asked for a recovery. */
  readonly recovery?: RecoveryContext;
  /** There while it is acknowledged until a time. */
  readonly snoozed?: true | undefined;
}

/** The events by which it is hidden from what needs attention, and comes back. */
export const SNOOZE_EVENTS = ['snooze', 'wake'] as const;
export type SnoozeEvent = (typeof SNOOZE_EVENTS)[number];

export type IncidentEvent =
  | { readonly type: CommandName }
  | { readonly type: SnoozeEvent }
  | {
      readonly type: 'recur';
      /** The rule in force for the further report; without it the report is only counted. */
      readonly rule?: ChartRule | undefined;
      /** Whether an acknowledged incident needs attention again. */
      readonly attention?: boolean | undefined;
      /** Actions that can't be carried out from what is reported: if they are broken, they are not asked for again. */
      readonly unable?: readonly ContainmentAction[] | undefined;
    }
  | { readonly type: 'delivery'; readonly action: ContainmentAction; readonly standing: Standing }
  /** A person releases one action early. Without an action it asks whether there is one that could be. */
  | { readonly type: 'release'; readonly action?: ContainmentAction | undefined }
  | { readonly type: RecoveryEvent };

/** The events of a recovery. */
export const RECOVERY_EVENTS = [
  'acknowledge_recovery',
  'request_attestation',
  'attest',
  'fail_attestation',
  'waive_recovery',
] as const;
export type RecoveryEvent = (typeof RECOVERY_EVENTS)[number];

/** An alert is an entry in the same write as the one that asks for it, and so is carried out with it. */
const firstStanding = (action: ContainmentAction): Standing => (action === 'log_alert' ? 'confirmed' : 'waiting');

/** The standings once these actions are asked for. */
const withFirstStandings = (standings: Standings, asked: readonly ContainmentAction[]): Standings => ({
  ...standings,
  ...Object.fromEntries(asked.map((action) => [action, firstStanding(action)])),
});

/** The standings of all actions, summed up. */
export function containmentStatus(standings: Standings): ContainmentStatus {
  const all = Object.values(standings);
  if (all.includes('broken')) return 'degraded';
  if (all.includes('overdue')) return 'overdue';
  return all.includes('waiting') ? 'delivering' : 'confirmed';
}

/**
 * The actions that an event asks for: those of its rule that are not engaged, and those that are broken but possible.
 */
function askedBy({ standings }: IncidentContext, event: IncidentEvent): readonly ContainmentAction[] {
  if (event.type !== 'recur' || event.rule === undefined) return [];
  const { rule, unable = [] } = event;
  const broken = (Object.keys(standings) as ContainmentAction[]).filter(
    (action) => standings[action] === 'broken' && !unable.includes(action),
  );
  const { auto_contain, actions } = rule;
  return auto_contain ? [...broken, ...actions.filter((action) => standings[action] === undefined)] : broken;
}

/** What is still to be done before an incident may be resolved. */
export const missingSteps = ({ recovery }: Pick<IncidentContext, 'recovery'>): readonly RecoveryStep[] =>
  recovery === undefined || recovery.waived ? [] : recovery.required.filter((step) => !recovery.done.includes(step));

/** Whether a step is asked for and not done. */
const awaits = (context: IncidentContext, step: RecoveryStep): boolean => missingSteps(context).includes(step);

/**
 * The recovery once the incident is another one: what was done for it counts no more. A request to the attestor stays.
 * @param rule what is asked for besides
 */
function recoveryAgain({ recovery }: IncidentContext, rule?: RecoveryRule): Pick<IncidentContext, 'recovery'> {
  const asked = stepsOf(rule);
  if (recovery === undefined && asked.length === 0) return {};
  const required = RECOVERY_STEPS.filter((step) => asked.includes(step) || recovery?.required.includes(step) === true);
  return { recovery: { required, done: [], waived: false, attesting: recovery?.attesting ?? false } };
}

/** The recovery after one of its events. */
function afterRecovery({ recovery }: IncidentContext, event: string): Pick<IncidentContext, 'recovery'> {
  if (recovery === undefined) return {};
  const withStep = (step: RecoveryStep): readonly RecoveryStep[] =>
    RECOVERY_STEPS.filter((one) => one === step || recovery.done.includes(one));
  switch (event as RecoveryEvent) {
    case 'acknowledge_recovery':
      return { recovery: { ...recovery, done: withStep('acknowledge') } };
    case 'request_attestation':
      return { recovery: { ...recovery, attesting: true } };
    case 'attest':
      return { recovery: { ...recovery, done: withStep('attest'), attesting: false } };
    case 'fail_attestation':
      return { recovery: { ...recovery, attesting: false } };
    case 'waive_recovery':
      return { recovery: { ...recovery, waived: true, attesting: false } };
    default:
      return {};
  }
}

/** What is known of an action: that it was carried out, that it is broken, or nothing yet. */
const outcomeOf = (standing: Standing | undefined): 'success' | 'failure' | undefined =>
  standing === 'confirmed' ? 'success' : standing === 'broken' ? 'failure' : undefined;

const holdsActions = ({ standings }: IncidentContext): boolean => Object.keys(standings).length > 0;

/** The actions that an incident holds and that can be released: an alert is nothing that is in force. */
export const releasable = ({ standings }: Pick<IncidentContext, 'standings'>): readonly ContainmentAction[] =>
  (Object.keys(standings) as ContainmentAction[]).filter((action) => action !== 'log_alert');

/** Whether an event releases an action that the incident holds. */
const releasesHeld = (context: IncidentContext, event: IncidentEvent): boolean => {
  if (event.type !== 'release') return false;
  const held = releasable(context);
  return event.action === undefined ? held.length > 0 : held.includes(event.action);
};

/** What an early release takes from an incident: with the last action that is in force its alert ends, too. */
function releasedBy(context: IncidentContext, event: IncidentEvent): readonly ContainmentAction[] {
  if (event.type !== 'release' || event.action === undefined || !releasesHeld(context, event)) return [];
  const isLast = releasable(context).length === 1;
  return isLast ? (Object.keys(context.standings) as ContainmentAction[]) : [event.action];
}

/** The actions that stay released early once these are asked for; nothing where none were. */
const stillReleased = (
  { released }: IncidentContext,
  asked: readonly ContainmentAction[],
): Pick<IncidentContext, 'released'> => {
  if (released === undefined) return {};
  const left = released.filter((action) => !asked.includes(action));
  return { released: left.length === 0 ? undefined : left };
};

export interface ActionParams {
  readonly directive: Directive;
}

const carriedOutElsewhere = (_: unknown, _params: ActionParams): void => {};

/** What every state before the last takes for the recovery. */
const RECOVERY = {
  acknowledge_recovery: { guard: 'ackDue', actions: 'note' },
  request_attestation: { guard: 'proofDue', actions: 'note' },
  attest: { guard: 'asked', actions: 'note' },
  fail_attestation: { guard: 'asked', actions: 'note' },
  waive_recovery: { guard: 'due', actions: 'note' },
} as const satisfies Readonly<Record<RecoveryEvent, object>>;

const SNOOZE = { target: 'acknowledged', actions: 'hide' } as const;
const RESOLVE = { guard: 'recovered', target: 'resolved' } as const;

export const incidentMachine = setup({
  types: {
    context: {} as IncidentContext,
    events: {} as IncidentEvent,
    input: {} as ChartRule | undefined,
  },
  guards: {
    containsByItself: ({ context }) => context.auto_contain || holdsActions(context),
    anyBroken: ({ context }) => containmentStatus(context.standings) === 'degraded',
    anyOverdue: ({ context }) => containmentStatus(context.standings) === 'overdue',
    allConfirmed: ({ context }) => containmentStatus(context.standings) === 'confirmed',
    asksForNothing: ({ context, event }) => askedBy(context, event).length === 0,
    recovered: ({ context }) => missingSteps(context).length === 0,
    due: ({ context }) => missingSteps(context).length > 0,
    ackDue: ({ context }) => awaits(context, 'acknowledge'),
    proofDue: ({ context }) => awaits(context, 'attest') && context.recovery?.attesting === false,
    asked: ({ context }) => context.recovery?.attesting === true,
    isSnoozed: ({ context }) => context.snoozed === true,
    canWait: ({ event }) => event.type !== 'recur' || event.attention !== true,
    holds: ({ context, event }) => releasesHeld(context, event),
    last: ({ context, event }) => releasesHeld(context, event) && releasable(context).length === 1,
    lacks: ({ context }) => context.released !== undefined,
  },
  actions: {
    freeze_agent: carriedOutElsewhere,
    disable_airlock: carriedOutElsewhere,
    force_vault_relock: carriedOutElsewhere,
    quarantine_model: carriedOutElsewhere,
    log_alert: carriedOutElsewhere,
    engageActions: enqueueActions(({ context, event, enqueue }) => {
      const { standings, released } = context;
      // Only a person asks again for what a person has released.
      const isMeant = (action: ContainmentAction): boolean =>
        event.type === 'contain' || released === undefined || !released.includes(action);
      const asked = context.actions.filter((action) => standings[action] === undefined && isMeant(action));
      for (const action of asked) enqueue({ type: action, params: { directive: 'engage' } });
      enqueue.assign({ standings: withFirstStandings(standings, asked), ...stillReleased(context, asked) });
      if (asked.length > 0) enqueue.assign(recoveryAgain(context));
    }),
    takeReport: enqueueActions(({ context, event, enqueue }) => {
      const asksFor = event.type === 'recur' ? event.rule?.recovery : undefined;
      enqueue.assign({ occurrences: context.occurrences + 1, ...recoveryAgain(context, asksFor) });
      const asked = askedBy(context, event);
      if (asked.length === 0) return;
      for (const action of asked) enqueue({ type: action, params: { directive: 'engage' } });
      const standings = withFirstStandings(context.standings, asked);
      const still = stillReleased(context, asked);
      const actions = [...(Object.keys(standings) as ContainmentAction[]), ...(still.released ?? [])];
      enqueue.assign({ standings, actions, ...still });
    }),
    release: enqueueActions(({ context, event, enqueue }) => {
      const released = releasedBy(context, event);
      for (const action of released) enqueue({ type: action, params: { directive: 'release' } });
      const { standings, released: before = [] } = context;
      const left = Object.entries(standings).filter(([action]) => !released.includes(action as ContainmentAction));
      enqueue.assign({
        standings: Object.fromEntries(left),
        released: [...before.filter((action) => !released.includes(action)), ...released],
        // It must not contain itself again.
        ...(left.length === 0 ? { auto_contain: false } : {}),
        ...recoveryAgain(context),
      });
    }),
    releaseActions: enqueueActions(({ context, enqueue }) => {
      for (const action of Object.keys(context.standings) as ContainmentAction[])
        enqueue({ type: action, params: { directive: 'release' } });
    }),
    noteDelivery: assign(({ context, event }) => {
      const { standings } = context;
      if (event.type !== 'delivery' || !Object.hasOwn(standings, event.action)) return {};
      const { action, standing } = event;
      const isOther = outcomeOf(standings[action]) !== outcomeOf(standing);
      return { standings: { ...standings, [action]: standing }, ...(isOther ? recoveryAgain(context) : {}) };
    }),
    hide: assign(({ context }) => (context.snoozed === true ? {} : { snoozed: true })),
    show: assign(({ context }) => (context.snoozed === true ? { snoozed: undefined } : {})),
    note: assign(({ context, event }) => afterRecovery(context, event.type)),
  },
}).createMachine({
  id: 'incident',
  // transition() runs this factory again without input, so it must accept none.
  context: ({ input }) => ({
    auto_contain: input?.auto_contain ?? false,
    actions: input?.actions ?? [],
    occurrences: 1,
    standings: {},
    ...(stepsOf(input?.recovery).length === 0
      ? {}
      : { recovery: { required: stepsOf(input?.recovery), done: [], waived: false, attesting: false } }),
  }),
  initial: 'open',
  states: {
    open: {
      description: 'Reported; no containment in force by this incident.',
      always: { guard: 'containsByItself', target: 'contained' },
      on: {
        contain: 'contained',
        acknowledge: 'acknowledged',
        resolve: RESOLVE,
        snooze: SNOOZE,
        recur: { actions: 'takeReport' },
        ...RECOVERY,
      },
    },
    contained: {
      description: 'Its containment actions have been asked for.',
      entry: 'engageActions',
      on: {
        acknowledge: 'acknowledged',
        resolve: RESOLVE,
        snooze: SNOOZE,
        recur: [
          { guard: 'asksForNothing', actions: 'takeReport' },
          { target: '.delivering', actions: 'takeReport' },
        ],
        delivery: { target: '.delivering', actions: 'noteDelivery' },
        // Asks again for what was released early.
        contain: { guard: 'lacks', target: '.delivering', actions: 'engageActions' },
        release: [
          { guard: 'last', target: 'open', actions: 'release' },
          { guard: 'holds', target: '.delivering', actions: 'release' },
        ],
        ...RECOVERY,
      },
      initial: 'delivering',
      states: {
        delivering: {
          description: 'Not all of them are known to have been carried out.',
          always: [
            { guard: 'anyBroken', target: 'degraded' },
            { guard: 'anyOverdue', target: 'overdue' },
            { guard: 'allConfirmed', target: 'confirmed' },
          ],
        },
        overdue: { description: 'One of them was not confirmed in time; it is still asked for.' },
        confirmed: { description: 'All of them were carried out, as far as is known.' },
        degraded: { description: 'One of them failed, needs a person, or was lost after it had been carried out.' },
      },
    },
    acknowledged: {
      description: 'Seen by a person; containment, if any, stays in force.',
      exit: 'show',
      on: {
        contain: 'contained',
        acknowledge: { guard: 'isSnoozed', actions: 'show' },
        resolve: RESOLVE,
        snooze: { actions: 'hide' },
        wake: { guard: 'isSnoozed', target: 'open' },
        recur: [
          { guard: 'canWait', actions: 'takeReport' },
          { target: 'open', actions: 'takeReport' },
        ],
        delivery: { actions: 'noteDelivery' },
        release: { guard: 'holds', actions: 'release' },
        ...RECOVERY,
      },
    },
    resolved: {
      description: 'Taken to its end by a person; it holds no containment any more.',
      type: 'final',
      entry: 'releaseActions',
    },
  },
});
