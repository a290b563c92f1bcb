/**
 * The statechart of one delivery: one containment action of one incident, on its way to the service that carries it out.
 *
 * A pushed delivery begins `pending`. After its first failed attempt it is `delivering`, until it is `confirmed` or has
 * `failed`. A delivery that its service fetches is `recorded` until that service confirms. A confirmed delivery is `lost`
 * when its service falls silent or contradicts. An operator can have it tried again. A delivery that is no longer needed
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
}

export type DeliveryEvent =
  /** An attempt failed; the next would be due after `wait` milliseconds. */
  | { readonly type: 'miss'; readonly wait: number }
  /** The answer to an attempt makes another one pointless. */
  | { readonly type: 'refuse' }
  /** It was carried out; `attempted` says whether the answer to an attempt proved it. */
  | { readonly type: 'confirm'; readonly attempted: boolean }
  | { readonly type: 'lose' }
  | { readonly type: 'retry'; readonly via: Channel }
  | { readonly type: 'supersede' };

/** The results of an attempt. */
const ATTEMPT = {
  miss: [
    { guard: 'isPatient', target: 'delivering', actions: ['countAttempt', 'countPause'] },
    { target: 'failed', actions: 'countAttempt' },
  ],
  refuse: { target: 'failed', actions: 'countAttempt' },
  confirm: { target: 'confirmed', actions: 'countAttempt' },
} as const;

export const deliveryMachine = setup({
  types: {
    context: {} as DeliveryContext,
    events: {} as DeliveryEvent,
    input: {} as { readonly via: Channel } | undefined,
  },
  guards: {
    isSent: ({ context }) => context.via === 'push',
    isPatient: ({ context, event }) => event.type === 'miss' && context.waited + event.wait <= PATIENCE,
  },
  actions: {
    countAttempt: assign({
      attempts: ({ context, event }) =>
        event.type === 'confirm' && !event.attempted ? context.attempts : context.attempts + 1,
    }),
    countPause: assign({
      waited: ({ context, event }) => context.waited + (event.type === 'miss' ? event.wait : 0),
    }),
    startOver: assign({
      via: ({ context, event }) => (event.type === 'retry' ? event.via : context.via),
      attempts: 0,
      waited: 0,
    }),
  },
}).createMachine({
  id: 'delivery',
  // transition() runs this factory again without input, so it must accept none.
  context: ({ input }) => ({ via: input?.via ?? 'poll', attempts: 0, waited: 0 }),
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
        supersede: 'superseded',
      },
    },
    delivering: {
      description: 'Sent without success; to be sent again.',
      on: {
        ...ATTEMPT,
        retry: { target: 'begun', actions: 'startOver' },
        supersede: 'superseded',
      },
    },
    recorded: {
      description: 'Its service has to come for it.',
      on: {
        confirm: { target: 'confirmed', actions: 'countAttempt' },
        retry: { target: 'begun', actions: 'startOver' },
        supersede: 'superseded',
      },
    },
    confirmed: {
      description: 'Carried out.',
      on: { lose: 'lost' },
    },
    lost: {
      description: 'Was carried out; its service has fallen silent since, or says that it is not.',
      on: {
        confirm: { target: 'confirmed', actions: 'countAttempt' },
        retry: { target: 'begun', actions: 'startOver' },
        supersede: 'superseded',
      },
    },
    failed: {
      description: 'Refused, or tried for as long as it is tried.',
      on: {
        confirm: { target: 'confirmed', actions: 'countAttempt' },
        retry: { target: 'begun', actions: 'startOver' },
        supersede: 'superseded',
      },
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
export const beginDelivery = (via: Channel): DeliverySituation => BEGINNINGS[via];

const BEGINNINGS: Readonly<Record<Channel, DeliverySituation>> = {
  push: situationOf(initialTransition(deliveryMachine, { via: 'push' })[0]),
  poll: situationOf(initialTransition(deliveryMachine, { via: 'poll' })[0]),
  log: situationOf(initialTransition(deliveryMachine, { via: 'log' })[0]),
};

/** What an event leads to; undefined when the statechart does not take it in this situation. */
export function decideDelivery(
  { status, context }: DeliverySituation,
  event: DeliveryEvent,
): DeliverySituation | undefined {
  const { via, attempts, waited } = context;
  return DECISIONS.to(`${status} ${via} ${attempts} ${waited} ${JSON.stringify(event)}`, () => {
    const snapshot = deliveryMachine.resolveState({ value: status, context });
    return snapshot.can(event) ? situationOf(transition(deliveryMachine, snapshot, event)[0]) : undefined;
  });
}

const DECISIONS = new Memo<DeliverySituation | undefined>();
