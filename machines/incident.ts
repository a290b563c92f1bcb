/**
 * The statechart of one incident.
 *
 * An incident begins `open`. When its rule contains by itself it passes on to `contained` at once; otherwise an operator
 * may contain it. From there a person takes it to its end: `acknowledged` (seen, containment stays) and `resolved`
 * (final). A report that is a further occurrence of the same trouble (`recur`) is counted and moves nothing.
 *
 * Containment actions are the side effects of the chart: named actions with parameters, asked for on entering
 * `contained`. The chart itself does nothing with them and knows no clock; whoever runs it provides the
 * implementations, and `transition()` hands them out unexecuted.
 */
import { assign, enqueueActions, setup } from 'xstate';
import type { ContainmentAction, Rule } from './vocabulary.ts';

/** What an incident remembers besides its state: plain JSON. */
export interface IncidentContext {
  readonly auto_contain: boolean;
  /** The actions of the rule that applied when it was reported. */
  readonly actions: readonly ContainmentAction[];
  /** How often it was reported: 1 for the first report. */
  readonly occurrences: number;
}

export type IncidentEvent =
  | { readonly type: 'contain' }
  | { readonly type: 'acknowledge' }
  | { readonly type: 'resolve' }
  | { readonly type: 'recur' };

/** Whether an action is to be put into force or taken back. */
export type Directive = 'engage' | 'release';
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
    containsByItself: ({ context }) => context.auto_contain,
  },
  actions: {
    freeze_agent: carriedOutElsewhere,
    disable_airlock: carriedOutElsewhere,
    force_vault_relock: carriedOutElsewhere,
    quarantine_model: carriedOutElsewhere,
    log_alert: carriedOutElsewhere,
    engageActions: enqueueActions(({ context, enqueue }) => {
      for (const action of context.actions) enqueue({ type: action, params: { directive: 'engage' } });
    }),
    countOccurrence: assign({ occurrences: ({ context }) => context.occurrences + 1 }),
  },
}).createMachine({
  id: 'incident',
  // transition() runs this factory again without input, so it has to be total.
  context: ({ input }) => ({
    auto_contain: input?.auto_contain ?? false,
    actions: input?.actions ?? [],
    occurrences: 1,
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
        recur: { actions: 'countOccurrence' },
      },
    },
    contained: {
      description: 'Its containment actions have been asked for.',
      entry: 'engageActions',
      on: {
        acknowledge: 'acknowledged',
        resolve: 'resolved',
        recur: { actions: 'countOccurrence' },
      },
    },
    acknowledged: {
      description: 'Seen by a person; containment, if any, stays in force.',
      on: {
        resolve: 'resolved',
        recur: { actions: 'countOccurrence' },
      },
    },
    resolved: {
      description: 'Taken to its end by a person.',
      type: 'final',
    },
  },
});
