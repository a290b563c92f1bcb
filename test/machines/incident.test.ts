import { expect } from 'chai';
import { createActor } from 'xstate';
import { adjacencyMapToArray, getAdjacencyMap, getShortestPaths } from 'xstate/graph';
import { type IncidentEvent, incidentMachine } from '../../machines/incident.ts';
import { type Rule, STATES, type State } from '../../machines/vocabulary.ts';

const EVENTS: IncidentEvent[] = [{ type: 'contain' }, { type: 'acknowledge' }, { type: 'resolve' }, { type: 'recur' }];

/** Every transition of the chart, `state --event--> state`. */
const EDGES = [
  'open --contain--> contained',
  'open --acknowledge--> acknowledged',
  'open --resolve--> resolved',
  'open --recur--> open',
  'contained --acknowledge--> acknowledged',
  'contained --resolve--> resolved',
  'contained --recur--> contained',
  'acknowledged --resolve--> resolved',
  'acknowledged --recur--> acknowledged',
];

const explore = (rule: Pick<Rule, 'auto_contain' | 'actions'>) => ({
  input: rule,
  events: EVENTS,
  filterEvents: (snapshot: { can: (event: IncidentEvent) => boolean }, event: IncidentEvent) => snapshot.can(event),
  serializeState: (snapshot: { value: unknown }) => JSON.stringify(snapshot.value),
  limit: 1000,
});

const byHand = { auto_contain: false, actions: ['freeze_agent', 'log_alert'] } as const;
const byItself = { auto_contain: true, actions: ['freeze_agent', 'log_alert'] } as const;

describe('the incident statechart', () => {
  it('has exactly these transitions', () => {
    const found = adjacencyMapToArray(getAdjacencyMap(incidentMachine, explore(byHand))).map(
      ({ state, event, nextState }) => `${state.value} --${event.type}--> ${nextState.value}`,
    );
    expect(found).to.have.members(EDGES);
  });

  it('reaches every state on some path, and every path is walked by an actor', () => {
    const paths = getShortestPaths(incidentMachine, explore(byHand));
    expect(new Set(paths.map(({ state }) => state.value))).to.deep.equal(new Set(STATES));
    for (const { state, steps } of paths) {
      const actor = createActor(incidentMachine, { input: byHand }).start();
      for (const { event } of steps.slice(1)) actor.send(event);
      expect(actor.getSnapshot().value).to.equal(state.value);
      actor.stop();
    }
  });

  it('passes on to contained at once when its rule says so, and can never be open', () => {
    const states = adjacencyMapToArray(getAdjacencyMap(incidentMachine, explore(byItself))).map(
      ({ state }) => state.value,
    );
    expect(new Set(states)).to.deep.equal(new Set(['contained', 'acknowledged']));
    expect(createActor(incidentMachine, { input: byItself }).getSnapshot().value).to.equal('contained');
  });

  it('refuses every other event in every state', () => {
    for (const state of STATES) {
      for (const event of EVENTS) {
        const legal = EDGES.some((edge) => edge.startsWith(`${state} --${event.type}-->`));
        const snapshot = incidentMachine.resolveState({ value: state, context: { ...byHand, occurrences: 1 } });
        expect(snapshot.can(event), `${event.type} in ${state}`).to.equal(legal);
      }
    }
  });

  it('is done when it is resolved', () => {
    const actor = createActor(incidentMachine, { input: byHand }).start();
    actor.send({ type: 'resolve' });
    expect(actor.getSnapshot().status).to.equal('done');
  });

  for (const [name, rule, events] of [
    ['by itself', byItself, []],
    ['by an operator', byHand, [{ type: 'contain' }]],
  ] as const) {
    it(`carries out its actions in their order, once, when contained ${name}`, () => {
      const done: string[] = [];
      const note = (action: string) => (_: unknown, params: { directive: string }) =>
        done.push(`${action} ${params.directive}`);
      const machine = incidentMachine.provide({
        actions: { freeze_agent: note('freeze_agent'), log_alert: note('log_alert') },
      });
      const actor = createActor(machine, { input: rule }).start();
      for (const event of [...events, { type: 'recur' }, { type: 'acknowledge' }, { type: 'resolve' }] as const) {
        actor.send(event);
      }
      expect(done).to.deep.equal(['freeze_agent engage', 'log_alert engage']);
    });
  }

  it('counts occurrences and stays where it is', () => {
    for (const state of STATES.filter((name: State) => name !== 'resolved')) {
      const snapshot = incidentMachine.resolveState({ value: state, context: { ...byHand, occurrences: 4 } });
      const actor = createActor(incidentMachine, { snapshot }).start();
      actor.send({ type: 'recur' });
      expect([actor.getSnapshot().value, actor.getSnapshot().context.occurrences]).to.deep.equal([state, 5]);
      actor.stop();
    }
  });
});
