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
 * Containment actions are the side effects of the chart: named actions with parameters, engaged on entry to `contained`
 * and released on entry to `resolved`. The chart has no implementations of them and no clock: the actor provides the
 * implementations, and `transition()` returns the actions without executing them.
 *
 * What becomes of each engaged action comes back as a `delivery` event. The inner states of `contained` sum it up: still
 * `delivering`, `overdue` because one was not confirmed in time, all `confirmed`, or `degraded` because one is broken.
 */
import { assign, enqueueActions, setup } from 'xstate';
import type { CommandName } from './commands.ts';
import type { ContainmentAction, ContainmentStatus, Directive, Rule } from './vocabulary.ts';

/**
 * How far an engaged action is: not yet carried out, not confirmed in time, carried out, or broken: it failed, was
 * lost, or needs a person.
 */
export type Standing = 'waiting' | 'overdue' | 'confirmed' | 'broken';
export type Standings = Readonly<Partial<Record<ContainmentAction, Standing>>>;

/** What an incident remembers besides its state: plain JSON. */
export interface IncidentContext {
  readonly auto_contain: boolean;
  /** The actions of the rule that applied when it was reported. */
  readonly actions: readonly ContainmentAction[];
  /** How often it was reported, 1 after the first report. */
  readonly occurrences: number;
  /** How far each engaged action is; empty before containment. */
  readonly standings: Standings;
}

export type IncidentEvent =
  | { readonly type: CommandName }
  | {
      readonly type: 'recur';
      /** The rule in force for the further report; without it the report is only counted. */
      readonly rule?: Pick<Rule, 'auto_contain' | 'actions'> | undefined;
      /** Whether an acknowledged incident needs attention again. */
      readonly attention?: boolean | undefined;
      /** Actions that can't be carried out from what is reported: if they are broken, they are not asked for again. */
      readonly unable?: readonly ContainmentAction[] | undefined;
    }
  | { readonly type: 'delivery'; readonly action: ContainmentAction; readonly standing: Standing };

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

const holdsActions = ({ standings }: IncidentContext): boolean => Object.keys(standings).length > 0;

export interface ActionParams {
  readonly directive: Directive;
}

const carriedOutElsewhere = (_: unknown, _params: ActionParams): void => {};

export const incidentMachine = setup({
  types: {
    context: {} as IncidentContext,
    events: {} as IncidentEvent,
    input: {} as Pick<Rule, 'auto_contain' | 'actions'> | undefined,
  },
  guards: {
    containsByItself: ({ context }) => context.auto_contain || holdsActions(context),
    anyBroken: ({ context }) => containmentStatus(context.standings) === 'degraded',
    anyOverdue: ({ context }) => containmentStatus(context.standings) === 'overdue',
    allConfirmed: ({ context }) => containmentStatus(context.standings) === 'confirmed',
    asksForNothing: ({ context, event }) => askedBy(context, event).length === 0,
    canWait: ({ event }) => event.type !== 'recur' || event.attention !== true,
  },
  actions: {
    freeze_agent: carriedOutElsewhere,
    disable_airlock: carriedOutElsewhere,
    force_vault_relock: carriedOutElsewhere,
    quarantine_model: carriedOutElsewhere,
    log_alert: carriedOutElsewhere,
    engageActions: enqueueActions(({ context, enqueue }) => {
      const { standings } = context;
      const asked = context.actions.filter((action) => standings[action] === undefined);
      for (const action of asked) enqueue({ type: action, params: { directive: 'engage' } });
      enqueue.assign({ standings: withFirstStandings(standings, asked) });
    }),
    takeReport: enqueueActions(({ context, event, enqueue }) => {
      enqueue.assign({ occurrences: context.occurrences + 1 });
      const asked = askedBy(context, event);
      if (asked.length === 0) return;
      for (const action of asked) enqueue({ type: action, params: { directive: 'engage' } });
      const standings = withFirstStandings(context.standings, asked);
      enqueue.assign({ standings, actions: Object.keys(standings) as ContainmentAction[] });
    }),
    releaseActions: enqueueActions(({ context, enqueue }) => {
      for (const action of Object.keys(context.standings) as ContainmentAction[])
        enqueue({ type: action, params: { directive: 'release' } });
    }),
    noteDelivery: assign({
      standings: ({ context: { standings }, event }) =>
        event.type === 'delivery' && Object.hasOwn(standings, event.action)
          ? { ...standings, [event.action]: event.standing }
          : standings,
    }),
  },
}).createMachine({
  id: 'incident',
  // transition() runs this factory again without input, so it must accept none.
  context: ({ input }) => ({
    auto_contain: input?.auto_contain ?? false,
    actions: input?.actions ?? [],
    occurrences: 1,
    standings: {},
  }),
  initial: 'open',
  states: {
    open: {
      description: 'Reported; no containment in force by this incident.',
      always: { guard: 'containsByItself', target: 'contained' },
      on: {
        contain: 'contained',
        acknowledge: 'acknowledged',
        resolve: 'resolved',
        recur: { actions: 'takeReport' },
      },
    },
    contained: {
      description: 'Its containment actions have been asked for.',
      entry: 'engageActions',
      on: {
        acknowledge: 'acknowledged',
        resolve: 'resolved',
        recur: [
          { guard: 'asksForNothing', actions: 'takeReport' },
          { target: '.delivering', actions: 'takeReport' },
        ],
        delivery: { target: '.delivering', actions: 'noteDelivery' },
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
      on: {
        contain: 'contained',
        resolve: 'resolved',
        recur: [
          { guard: 'canWait', actions: 'takeReport' },
          { target: 'open', actions: 'takeReport' },
        ],
        delivery: { actions: 'noteDelivery' },
      },
    },
    resolved: {
      description: 'Taken to its end by a person; it holds no containment any more.',
      type: 'final',
      entry: 'releaseActions',
    },
  },
});
