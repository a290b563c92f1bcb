import { expect } from 'chai';
import { createActor } from 'xstate';
import { adjacencyMapToArray, getAdjacencyMap, getShortestPaths } from 'xstate/graph';
import { COMMANDS } from '../../machines/commands.ts';
import {
  type ChartRule,
  containmentStatus,
  type IncidentContext,
  type IncidentEvent,
  incidentMachine,
  RECOVERY_EVENTS,
  SNOOZE_EVENTS,
} from '../../machines/incident.ts';
import { decide, stateOf } from '../../machines/decision.ts';
import { STATES, type State } from '../../machines/vocabulary.ts';
import { AFTER_RELEASE, EDGES, SNOOZED_EDGES, targetOf } from './support/edges.ts';

const MOVES: IncidentEvent[] = [...COMMANDS, ...SNOOZE_EVENTS, 'recur' as const].map((type) => ({ type }));
const DELIVERIES: IncidentEvent[] = (['freeze_agent', 'log_alert'] as const).flatMap((action) =>
  (['waiting', 'overdue', 'confirmed', 'broken'] as const).map(
    (standing) => ({ type: 'delivery', action, standing }) as const,
  ),
);
const RULE = { auto_contain: true, actions: ['freeze_agent', 'log_alert'] } as const;
const RECURRENCES: IncidentEvent[] = [
  { type: 'recur', attention: true },
  { type: 'recur', rule: RULE },
  { type: 'recur', rule: RULE, attention: true },
];
const RECOVERING: IncidentEvent[] = RECOVERY_EVENTS.map((type) => ({ type }));
const RELEASES: IncidentEvent[] = (['freeze_agent', 'log_alert'] as const).map((action) => ({
  type: 'release',
  action,
}));
const EVENTS: IncidentEvent[] = [...MOVES, ...RECURRENCES, ...DELIVERIES, ...RECOVERING, ...RELEASES];

const explore = (rule: ChartRule) => ({
  input: rule,
  events: EVENTS,
  filterEvents: (snapshot: { can: (event: IncidentEvent) => boolean }, event: IncidentEvent) => snapshot.can(event),
  serializeState: ({
    value,
    context,
  }: {
    value: unknown;
    context: Pick<IncidentContext, 'standings' | 'recovery' | 'snoozed' | 'released' | 'actions' | 'auto_contain'>;
  }) =>
    JSON.stringify([
      value,
      context.standings,
      context.recovery,
      context.snoozed,
      context.released,
      context.actions,
      context.auto_contain,
    ]),
  limit: 100_000,
});

const byHand = { auto_contain: false, actions: ['freeze_agent', 'log_alert'] } as const;
const automatic = { auto_contain: true, actions: ['freeze_agent', 'log_alert'] } as const;

const recovering = { ...byHand, recovery: { acknowledge: true, attest: true } } as const;

/** Of two actions one can be released, and the incident stays contained. */
const ofTwo = { auto_contain: false, actions: ['freeze_agent', 'disable_airlock'] } as const;

const decideFrom = (rule: ChartRule, events: readonly IncidentEvent[]) => {
  const actor = createActor(incidentMachine, { input: rule }).start();
  for (const event of events) actor.send(event);
  return actor.getSnapshot();
};

describe('the incident statechart', () => {
  it('has exactly these transitions', () => {
    const found = [recovering, ofTwo].flatMap((rule) =>
      adjacencyMapToArray(getAdjacencyMap(incidentMachine, explore(rule))).map(
        ({ state, event, nextState }) => `${stateOf(state)} --${event.type}--> ${stateOf(nextState)}`,
      ),
    );
    const outer = found.filter((edge) => !edge.includes('--delivery-->'));
    expect([...new Set(outer)]).to.have.members([...EDGES, ...SNOOZED_EDGES, ...AFTER_RELEASE]);
  });

  it('is degraded when any action is broken, else overdue when any is, confirmed when all are, else delivering', () => {
    for (const { state } of adjacencyMapToArray(getAdjacencyMap(incidentMachine, explore(byHand)))) {
      if (stateOf(state) !== 'contained') continue;
      const standings = Object.values(state.context.standings);
      const expected = standings.includes('broken')
        ? 'degraded'
        : standings.includes('overdue')
          ? 'overdue'
          : standings.every((standing) => standing === 'confirmed')
            ? 'confirmed'
            : 'delivering';
      expect(state.value).to.deep.equal({ contained: expected });
    }
  });

  it('takes news of the deliveries that it holds, and of no others', () => {
    const contained = decideFrom(byHand, [{ type: 'contain' }]);
    const acknowledged = decideFrom(byHand, [{ type: 'contain' }, { type: 'acknowledge' }]);
    for (const snapshot of [contained, acknowledged]) {
      const actor = createActor(incidentMachine, { snapshot }).start();
      actor.send({ type: 'delivery', action: 'freeze_agent', standing: 'broken' });
      actor.send({ type: 'delivery', action: 'quarantine_model', standing: 'broken' });
      expect(actor.getSnapshot().context.standings).to.deep.equal({ freeze_agent: 'broken', log_alert: 'confirmed' });
      expect(stateOf(actor.getSnapshot())).to.equal(stateOf(snapshot));
    }
  });

  it('keeps how far its actions are while it is acknowledged', () => {
    const overdue = { type: 'delivery', action: 'freeze_agent', standing: 'overdue' } as const;
    const { value, context } = decideFrom(byHand, [{ type: 'contain' }, { type: 'acknowledge' }, overdue]);
    expect(value).to.equal('acknowledged');
    expect(containmentStatus(context.standings)).to.equal('overdue');
  });

  it('can be contained once it is acknowledged: asks for what it does not hold, and keeps how far the rest is', () => {
    const fresh = decideFrom(byHand, [{ type: 'acknowledge' }, { type: 'contain' }]);
    expect(fresh.value).to.deep.equal({ contained: 'delivering' });
    const broken = { type: 'delivery', action: 'freeze_agent', standing: 'broken' } as const;
    const again = decideFrom(byHand, [{ type: 'contain' }, broken, { type: 'acknowledge' }, { type: 'contain' }]);
    expect(again.value).to.deep.equal({ contained: 'degraded' });
    expect(again.context.standings).to.deep.equal({ freeze_agent: 'broken', log_alert: 'confirmed' });
  });

  it('does not ask again for a broken action that can not be carried out from what is reported', () => {
    const broken = { type: 'delivery', action: 'freeze_agent', standing: 'broken' } as const;
    const recur = { type: 'recur', rule: RULE } as const;
    const contained = decideFrom(byHand, [{ type: 'contain' }, broken]);
    const [unable, able] = [['freeze_agent'] as const, [] as const].map((actions) =>
      decide(contained, { ...recur, unable: actions }),
    );
    expect(unable).to.deep.include({ intents: [] });
    expect(able).to.deep.include({ intents: [{ action: 'freeze_agent', directive: 'engage' }] });
  });

  it('has nothing to wait for when its rule has no actions', () => {
    const snapshot = decideFrom({ auto_contain: false, actions: [] }, [{ type: 'contain' }]);
    expect(snapshot.value).to.deep.equal({ contained: 'confirmed' });
  });

  it('reaches every state on some path, and every path is walked by an actor', () => {
    const paths = getShortestPaths(incidentMachine, explore(byHand));
    expect(new Set(paths.map(({ state }) => stateOf(state)))).to.deep.equal(new Set(STATES));
    for (const { state, steps } of paths) {
      const actor = createActor(incidentMachine, { input: byHand }).start();
      for (const { event } of steps.slice(1)) actor.send(event);
      expect(actor.getSnapshot().value).to.deep.equal(state.value);
      actor.stop();
    }
  });

  it('is contained at once when its rule says so, and never open', () => {
    const states = adjacencyMapToArray(getAdjacencyMap(incidentMachine, explore(automatic))).map(({ state }) =>
      stateOf(state),
    );
    expect(states).to.include('contained');
    // Only an early release opens it.
    const released = adjacencyMapToArray(getAdjacencyMap(incidentMachine, explore(automatic))).filter(
      ({ state }) => stateOf(state) === 'open',
    );
    expect(released.every(({ state }) => state.context.released !== undefined)).to.equal(true);
    expect(stateOf(createActor(incidentMachine, { input: automatic }).getSnapshot())).to.equal('contained');
  });

  it('refuses every other event in every state', () => {
    for (const state of STATES) {
      for (const event of MOVES) {
        const legal = targetOf(state, event.type) !== undefined;
        const snapshot = incidentMachine.resolveState({
          value: state,
          context: { ...byHand, occurrences: 1, standings: {} },
        });
        expect(snapshot.can(event), `${event.type} in ${state}`).to.equal(legal);
      }
    }
  });

  describe('that is snoozed', () => {
    const OVERDUE = { type: 'delivery', action: 'freeze_agent', standing: 'overdue' } as const;
    const after = (...events: readonly IncidentEvent[]) => decideFrom(byHand, events);
    const CONTAIN = { type: 'contain' } as const;
    const SNOOZE = { type: 'snooze' } as const;

    it('is acknowledged, from every state but the last, and wakes to where it needs attention', () => {
      for (const [before, woken] of [
        [[], 'open'],
        [[{ type: 'acknowledge' }], 'open'],
        [[CONTAIN], 'contained'],
        [[CONTAIN, OVERDUE], 'contained'],
      ] as const) {
        expect(stateOf(after(...before, SNOOZE))).to.equal('acknowledged');
        expect(stateOf(after(...before, SNOOZE, SNOOZE, { type: 'wake' }))).to.equal(woken);
      }
      expect(after(CONTAIN, OVERDUE, SNOOZE, { type: 'wake' }).value).to.deep.equal({ contained: 'overdue' });
      expect(after({ type: 'resolve' }).can(SNOOZE)).to.equal(false);
    });

    it('keeps its deliveries, and asks for nothing when it wakes', () => {
      const snoozed = after(CONTAIN, SNOOZE, OVERDUE);
      expect(snoozed.context.standings).to.deep.include({ freeze_agent: 'overdue' });
      expect(decide(snoozed, { type: 'wake' })).to.deep.include({ kind: 'moved', intents: [] });
    });

    it('is not snoozed any more after a command, or a report that needs attention', () => {
      for (const event of [
        { type: 'acknowledge' },
        { type: 'contain' },
        { type: 'resolve' },
        { type: 'recur', attention: true },
        { type: 'wake' },
      ] as const) {
        const { context } = after(SNOOZE, event);
        expect(JSON.parse(JSON.stringify(context)), event.type).not.to.have.property('snoozed');
        expect(after(SNOOZE, event).can({ type: 'wake' }), event.type).to.equal(false);
      }
      expect(stateOf(after(SNOOZE, { type: 'acknowledge' }))).to.equal('acknowledged');
      expect(after(SNOOZE, { type: 'recur', rule: RULE }).context.snoozed).to.equal(true);
    });

    it('decides by that: the same question twice has two answers', () => {
      expect(decide(after({ type: 'acknowledge' }), { type: 'acknowledge' }).kind).to.equal('unchanged');
      expect(decide(after(SNOOZE), { type: 'acknowledge' }).kind).to.equal('moved');
      expect(decide(after({ type: 'acknowledge' }), { type: 'wake' }).kind).to.equal('refused');
    });
  });

  it('is done when it is resolved', () => {
    const actor = createActor(incidentMachine, { input: byHand }).start();
    actor.send({ type: 'resolve' });
    expect(actor.getSnapshot().status).to.equal('done');
  });

  for (const [name, rule, events] of [
    ['automatically', automatic, []],
    ['by an operator', byHand, [{ type: 'contain' }]],
  ] as const) {
    it(`engages its actions once, in their order, when contained ${name}, and releases them when resolved`, () => {
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
      expect(done).to.deep.equal([
        'freeze_agent engage',
        'log_alert engage',
        'freeze_agent release',
        'log_alert release',
      ]);
    });
  }

  it('counts occurrences and stays where it is', () => {
    for (const state of STATES.filter((name: State) => name !== 'resolved')) {
      const snapshot = incidentMachine.resolveState({
        value: state,
        context: { ...byHand, occurrences: 4, standings: {} },
      });
      const actor = createActor(incidentMachine, { snapshot }).start();
      actor.send({ type: 'recur' });
      expect([stateOf(actor.getSnapshot()), actor.getSnapshot().context.occurrences]).to.deep.equal([state, 5]);
      actor.stop();
    }
  });
});
