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
import { CHANNELS } from '../../machines/vocabulary.ts';

const EVENTS: DeliveryEvent[] = [
  { type: 'miss', wait: 1000 },
  { type: 'miss', wait: PATIENCE + 1 },
  { type: 'refuse' },
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
  'pending --confirm--> confirmed',
  'pending --supersede--> superseded',
  'delivering --miss--> delivering',
  'delivering --miss--> failed',
  'delivering --refuse--> failed',
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
    expect(again).to.deep.equal({ status: 'pending', context: { via: 'push', attempts: 0, waited: 0 } });
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
