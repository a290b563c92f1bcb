import { expect } from 'chai';
import fc from 'fast-check';
import { createActor } from 'xstate';
import { adjacencyMapToArray, getAdjacencyMap } from 'xstate/graph';
import {
  beginDelivery,
  decideDelivery,
  DELIVERY_STATUSES,
  type DeliveryEvent,
  deliveryMachine,
  PATIENCE,
} from '../../machines/delivery.ts';
import { type Channel, CHANNELS } from '../../machines/vocabulary.ts';

const EVENTS: DeliveryEvent[] = [
  { type: 'miss', wait: 1000 },
  { type: 'miss', wait: PATIENCE + 1 },
  { type: 'refuse', attempted: true, person: false },
  { type: 'refuse', attempted: false, person: true },
  { type: 'overdue' },
  { type: 'confirm', attempted: true },
  { type: 'lose' },
  { type: 'retry', via: 'push' },
  { type: 'supersede' },
];

/** Every transition of a delivery that is sent, `status --event--> status`. */
const EDGES = [
  'pending --miss--> delivering',
  'pending --miss--> failed',
  'pending --refuse--> failed',
  'pending --refuse--> needs_person',
  'pending --overdue--> pending',
  'pending --confirm--> confirmed',
  'pending --supersede--> superseded',
  'delivering --miss--> delivering',
  'delivering --miss--> failed',
  'delivering --refuse--> failed',
  'delivering --refuse--> needs_person',
  'delivering --overdue--> delivering',
  'delivering --confirm--> confirmed',
  'delivering --retry--> pending',
  'delivering --supersede--> superseded',
  'confirmed --lose--> lost',
  'lost --confirm--> confirmed',
  'lost --retry--> pending',
  'lost --supersede--> superseded',
  'failed --confirm--> confirmed',
  'failed --retry--> pending',
  'failed --supersede--> superseded',
  'needs_person --confirm--> confirmed',
  'needs_person --retry--> pending',
  'needs_person --supersede--> superseded',
];

describe('the delivery statechart', () => {
  it('has exactly these transitions', () => {
    const found = adjacencyMapToArray(
      getAdjacencyMap(deliveryMachine, {
        input: { via: 'push' },
        events: EVENTS,
        filterEvents: (snapshot: { can: (event: DeliveryEvent) => boolean }, event: DeliveryEvent) =>
          snapshot.can(event),
        serializeState: (snapshot: { value: unknown }) => JSON.stringify(snapshot.value),
        limit: 1000,
      }),
    ).map(({ state, event, nextState }) => `${state.value} --${event.type}--> ${nextState.value}`);
    expect([...new Set(found)]).to.have.members(EDGES);
  });

  it('begins pending when it is sent, and recorded when somebody comes for it', () => {
    expect(CHANNELS.map((via) => beginDelivery(via).status)).to.deep.equal(['pending', 'recorded', 'recorded']);
  });

  it('is tried for a day of pauses, and no longer', () => {
    let situation = beginDelivery('push');
    for (let pauses = 0; pauses < 24; pauses++) {
      situation = decideDelivery(situation, { type: 'miss', wait: PATIENCE / 24 })!;
      expect(situation.status).to.equal('delivering');
    }
    expect(decideDelivery(situation, { type: 'miss', wait: 1 })?.status).to.equal('failed');
  });

  it('when an operator retries it, then it begins again, on the present channel', () => {
    const failed = decideDelivery(beginDelivery('poll'), { type: 'confirm', attempted: false })!;
    const lost = decideDelivery(failed, { type: 'lose' })!;
    const again = decideDelivery(lost, { type: 'retry', via: 'push' });
    expect(again).to.deep.equal({
      status: 'pending',
      context: { via: 'push', attempts: 0, waited: 0, overdue: false },
    });
  });

  describe('when it is not confirmed in time', () => {
    const overdue = (via: Channel) => decideDelivery(beginDelivery(via), { type: 'overdue' })!;

    it('is overdue and waits on, whether it is sent or fetched, and is found so once', () => {
      expect(overdue('push')).to.deep.include({ status: 'pending' });
      expect(overdue('poll')).to.deep.include({ status: 'recorded' });
      expect(overdue('poll').context.overdue).to.equal(true);
      expect(decideDelivery(overdue('poll'), { type: 'overdue' })).to.equal(undefined);
    });

    it('stays overdue while it is tried, also when an operator has it tried again', () => {
      const tried = decideDelivery(overdue('push'), { type: 'miss', wait: 1000 })!;
      expect([tried.status, tried.context.overdue]).to.deep.equal(['delivering', true]);
      expect(decideDelivery(tried, { type: 'retry', via: 'poll' })?.context.overdue).to.equal(true);
    });

    for (const event of [
      { type: 'confirm', attempted: false },
      { type: 'refuse', attempted: true, person: false },
      { type: 'refuse', attempted: true, person: true },
      { type: 'miss', wait: PATIENCE + 1 },
    ] as const) {
      it(`is not overdue any more after ${JSON.stringify(event)}`, () => {
        expect(decideDelivery(overdue('push'), event)?.context.overdue).to.equal(false);
      });
    }

    it('is never overdue once it is carried out, lost, failed, or needs a person', () => {
      for (const status of ['confirmed', 'lost', 'failed', 'needs_person', 'superseded'] as const) {
        const { context } = beginDelivery('push');
        expect(decideDelivery({ status, context }, { type: 'overdue' }), status).to.equal(undefined);
      }
    });
  });

  it('needs a person when nothing can be sent, and no attempt counts', () => {
    const event = { type: 'refuse', attempted: false, person: true } as const;
    for (const via of ['push', 'poll'] as const) {
      const { status, context } = decideDelivery(beginDelivery(via), event)!;
      expect([status, context.attempts]).to.deep.equal(['needs_person', 0]);
    }
  });

  it('decides as an actor does, whatever happens', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CHANNELS),
        fc.array(fc.constantFrom(...EVENTS), { maxLength: 12 }),
        (via, events) => {
          const actor = createActor(deliveryMachine, { input: { via } }).start();
          let situation = beginDelivery(via);
          for (const event of events) {
            actor.send(event);
            situation = decideDelivery(situation, event) ?? situation;
          }
          const { value, context } = actor.getSnapshot();
          expect(situation).to.deep.equal({ status: value, context });
          expect(DELIVERY_STATUSES).to.include(situation.status);
        },
      ),
    );
  });
});
