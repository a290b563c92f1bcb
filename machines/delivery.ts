/**
 * The statechart of one delivery: one containment action of one incident, on its way to the service that carries it out.
 *
 * A delivery that is sent begins `pending` and is `delivering` from its first attempt on until it is `confirmed` or has
 * `failed`; one that its service comes for is `recorded` until that service confirms. What was confirmed can be `lost`:
 * its service has fallen silent or says otherwise. A person may have it tried again. A delivery whose time has passed
 * before it was carried out is `superseded`: the incident was resolved, or the action was engaged anew.
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

/** How long a delivery is tried, in milliseconds: the sum of the pauses between its attempts. */
export const PATIENCE = 24 * 60 * 60 * 1000;

export interface DeliveryContext {
  readonly via: Channel;
  /** How many times it was sent since it was last asked for. */
  readonly attempts: number;
  /** The pauses between its attempts so far, in milliseconds. */
  readonly waited: number;
}

export type DeliveryEvent =
  /** An attempt came to nothing; the next would be due after `wait` milliseconds. */
  | { readonly type: 'miss'; readonly wait: number }
  /** An attempt was answered in a way that makes another pointless. */
  | { readonly type: 'refuse' }
  /** It was carried out; `attempted` says whether an attempt has shown that. */
  | { readonly type: 'confirm'; readonly attempted: boolean }
  | { readonly type: 'lose' }
  | { readonly type: 'retry'; readonly via: Channel }
  | { readonly type: 'supersede' };

/** What an attempt may come to. */
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
    beginAnew: assign({
      via: ({ context, event }) => (event.type === 'retry' ? event.via : context.via),
      attempts: 0,
      waited: 0,
    }),
  },
}).createMachine({
  id: 'delivery',
  // transition() runs this factory again without input, so it has to be total.
  context: ({ input }) => ({ via: input?.via ?? 'poll', attempts: 0, waited: 0 }),
  initial: 'begun',
  states: {
    begun: {
      description: 'Asked for; what becomes of it depends on whether there is somewhere to send it.',
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
        retry: { target: 'begun', actions: 'beginAnew' },
        supersede: 'superseded',
      },
    },
    recorded: {
      description: 'Its service has to come for it.',
      on: {
        confirm: { target: 'confirmed', actions: 'countAttempt' },
        retry: { target: 'begun', actions: 'beginAnew' },
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
        retry: { target: 'begun', actions: 'beginAnew' },
        supersede: 'superseded',
      },
    },
    failed: {
      description: 'Refused, or tried for as long as it is tried.',
      on: {
        confirm: { target: 'confirmed', actions: 'countAttempt' },
        retry: { target: 'begun', actions: 'beginAnew' },
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
  // `begun` is passed through at once.
  status: value as DeliveryStatus,
  context,
});

/** How a delivery begins. */
export const beginDelivery = (via: Channel): DeliverySituation => BEGINNINGS[via];

const BEGINNINGS: Readonly<Record<Channel, DeliverySituation>> = {
  push: situationOf(initialTransition(deliveryMachine, { via: 'push' })[0]),
  poll: situationOf(initialTransition(deliveryMachine, { via: 'poll' })[0]),
  log: situationOf(initialTransition(deliveryMachine, { via: 'log' })[0]),
};

/** What becomes of an event in a situation; undefined when the statechart does not take it there. */
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
