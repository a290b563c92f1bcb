/**
 * The statechart of one delivery: one containment action of one incident, on its way to the service that carries it out.
 *
 * A pushed delivery begins `pending`. After its first failed attempt it is `delivering`, until it is `confirmed` or has
 * `failed`. A delivery that its service fetches, or that a
 * person carries out by hand, is `recorded` until somebody confirms it. Whichever of these it is, it
 * is overdue once it was not confirmed in time: the chart knows no clock, so an event says so. A confirmed delivery is
 * `lost` when its service falls silent or contradicts. It `needs_person` when no attempt can help: nothing says what to
 * act on, or its release was refused for good. An operator can have it tried again. A delivery that is no longer needed
 * is `superseded`: its incident was resolved, or the action was engaged again.
 */
import { assign, initialTransition, setup, transition, type SnapshotFrom } from 'xstate';
import { Memo } from './memo.ts';
import type { Channel } from './vocabulary.ts';

export const DELIVERY_STATUSES = [
  'pending',
  'delivering',
  'recorded',
  'confirmed',
  'failed',
  'lost',
  'needs_person',
  'superseded',
] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** How long a delivery is tried, in milliseconds: the most that the pauses between its attempts may add up to. */
export const PATIENCE = 24 * 60 * 60 * 1000;

export interface DeliveryContext {
  readonly via: Channel;
  /** How often it was sent since it was last asked for. */
  readonly attempts: number;
  /** The pauses between its attempts so far, in milliseconds. */
  readonly waited: number;
  /** Whether it was not confirmed in time. */
  readonly overdue: boolean;
}

export type DeliveryEvent =
  /** An attempt failed; the next would be due after `wait` milliseconds. */
  | { readonly type: 'miss'; readonly wait: number }
  /**
   * Another attempt is pointless. `attempted` says whether an answer shows it, `person` whether a person has to act.
   */
  | { readonly type: 'refuse'; readonly attempted: boolean; readonly person: boolean }
  /** It was not confirmed in time. */
  | { readonly type: 'overdue' }
  /** It was carried out; `attempted` says whether the answer to an attempt proved it. */
  | { readonly type: 'confirm'; readonly attempted: boolean }
  | { readonly type: 'lose' }
  | { readonly type: 'retry'; readonly via: Channel }
  | { readonly type: 'supersede' };

const REFUSE = [
  { guard: 'needsPerson', target: 'needs_person', actions: ['countAttempt', 'endWait'] },
  { target: 'failed', actions: ['countAttempt', 'endWait'] },
] as const;

const CONFIRM = { target: 'confirmed', actions: ['countAttempt', 'endWait'] } as const;

const SUPERSEDE = { target: 'superseded', actions: 'endWait' } as const;

/** The results of an attempt. */
const ATTEMPT = {
  miss: [
    { guard: 'isPatient', target: 'delivering', actions: ['countAttempt', 'countPause'] },
    { target: 'failed', actions: ['countAttempt', 'endWait'] },
  ],
  refuse: REFUSE,
  confirm: CONFIRM,
} as const;

/** What a delivery that waits can become once. */
const OVERDUE = { guard: 'isInTime', actions: 'noteOverdue' } as const;

/** What is possible with a delivery that has come to nothing. */
const BROKEN = {
  confirm: CONFIRM,
  retry: { target: 'begun', actions: 'startOver' },
  supersede: SUPERSEDE,
} as const;

export const deliveryMachine = setup({
  types: {
    context: {} as DeliveryContext,
    events: {} as DeliveryEvent,
    input: {} as { readonly via: Channel } | undefined,
  },
  guards: {
    isSent: ({ context }) => context.via === 'push',
    isInTime: ({ context }) => !context.overdue,
    needsPerson: ({ event }) => event.type === 'refuse' && event.person,
    isPatient: ({ context, event }) => event.type === 'miss' && context.waited + event.wait <= PATIENCE,
  },
  actions: {
    countAttempt: assign({
      attempts: ({ context, event }) =>
        'attempted' in event && !event.attempted ? context.attempts : context.attempts + 1,
    }),
    countPause: assign({
      waited: ({ context, event }) => context.waited + (event.type === 'miss' ? event.wait : 0),
    }),
    noteOverdue: assign({ overdue: true }),
    endWait: assign({ overdue: false }),
    startOver: assign({
      via: ({ context, event }) => (event.type === 'retry' ? event.via : context.via),
      attempts: 0,
      waited: 0,
    }),
  },
}).createMachine({
  id: 'delivery',
  // transition() runs this factory again without input, so it must accept none.
  context: ({ input }) => ({ via: input?.via ?? 'poll', attempts: 0, waited: 0, overdue: false }),
  initial: 'begun',
  states: {
    begun: {
      description: 'Asked for; whether it is sent or fetched depends on its channel.',
      always: [{ guard: 'isSent', target: 'pending' }, { target: 'recorded' }],
    },
    pending: {
      description: 'To be sent.',
      on: {
        ...ATTEMPT,
        overdue: OVERDUE,
        supersede: SUPERSEDE,
      },
    },
    delivering: {
      description: 'Sent without success; to be sent again.',
      on: {
        ...ATTEMPT,
        overdue: OVERDUE,
        retry: { target: 'begun', actions: 'startOver' },
        supersede: SUPERSEDE,
      },
    },
    recorded: {
      description: 'Its service has to come for it, or a person does it by hand.',
      on: {
        confirm: CONFIRM,
        refuse: REFUSE,
        overdue: OVERDUE,
        retry: { target: 'begun', actions: 'startOver' },
        supersede: SUPERSEDE,
      },
    },
    confirmed: {
      description: 'Carried out.',
      on: { lose: 'lost' },
    },
    lost: {
      description: 'Was carried out; its service has fallen silent since, or says that it is not.',
      on: BROKEN,
    },
    failed: {
      description: 'Refused, or tried for as long as it is tried.',
      on: BROKEN,
    },
    needs_person: {
      description: 'No attempt can help: a person has to do it, or to mend what it needs.',
      on: BROKEN,
    },
    superseded: {
      description: 'Its time has passed before it was carried out.',
      type: 'final',
    },
  },
});

export interface DeliverySituation {
  readonly status: DeliveryStatus;
  readonly context: DeliveryContext;
}

const situationOf = ({ value, context }: SnapshotFrom<typeof deliveryMachine>): DeliverySituation => ({
  // No delivery stays in `begun`.
  status: value as DeliveryStatus,
  context,
});

/** The first situation of a delivery. */
export const beginDelivery = (via: Channel): DeliverySituation =>
  BEGINNINGS.to(via, () => situationOf(initialTransition(deliveryMachine, { via })[0]));

const BEGINNINGS = new Memo<DeliverySituation>();

/** What an event leads to; undefined when the statechart does not take it in this situation. */
export function decideDelivery(
  { status, context }: DeliverySituation,
  event: DeliveryEvent,
): DeliverySituation | undefined {
  const { via, attempts, waited, overdue } = context;
  return DECISIONS.to(`${status} ${via} ${attempts} ${waited} ${overdue} ${JSON.stringify(event)}`, () => {
    const snapshot = deliveryMachine.resolveState({ value: status, context });
    return snapshot.can(event) ? situationOf(transition(deliveryMachine, snapshot, event)[0]) : undefined;
  });
}

const DECISIONS = new Memo<DeliverySituation | undefined>();
