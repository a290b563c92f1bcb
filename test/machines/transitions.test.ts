import { expect } from 'chai';
import { createMachine } from 'xstate';
import { COMMANDS } from '../../machines/commands.ts';
import { decide, snapshotOf, transitionsIn } from '../../machines/decision.ts';
import { incidentMachine } from '../../machines/incident.ts';
import { transitionsFrom } from '../../machines/transitions.ts';
import { STATES, type State } from '../../machines/vocabulary.ts';
import { targetOf } from './support/edges.ts';

const context = { auto_contain: false, actions: ['freeze_agent'], occurrences: 1, standings: {} } as const;

const targetsIn = (value: State): Record<string, string | null> =>
  Object.fromEntries(
    transitionsIn({ value, context })
      .filter(({ allowed }) => allowed)
      .map(({ event, target }) => [event, target]),
  );

describe('the transitions of an incident', () => {
  it('name every event of the chart in every state, allowed or with a reason', () => {
    for (const value of STATES) {
      const transitions = transitionsIn({ value, context });
      expect(transitions.map(({ event }) => event)).to.deep.equal(incidentMachine.events);
      for (const { event, allowed, reason } of transitions) {
        expect(snapshotOf(value, context).can({ type: event } as never), `${event} in ${value}`).to.equal(allowed);
        expect(reason === undefined).to.equal(allowed);
      }
    }
  });

  it('say where each leads', () => {
    for (const state of STATES) {
      const { recur, snooze, ...others } = targetsIn(state);
      const commands = Object.fromEntries(Object.entries(others).filter(([event]) => event !== 'delivery'));
      const expected = COMMANDS.map((command) => [command, targetOf(state, command)] as const);
      expect(commands).to.deep.equal(Object.fromEntries(expected.filter(([, target]) => target !== undefined)));
      // One that is acknowledged stays so.
      const snoozed = state === 'acknowledged' ? null : targetOf(state, 'snooze');
      expect(snooze).to.equal(snoozed);
      expect(recur).to.equal(targetOf(state, 'recur') === undefined ? undefined : null);
    }
  });

  it('say why one is refused', () => {
    const reason = (value: State, event: string): string | undefined =>
      transitionsIn({ value, context }).find((one) => one.event === event)?.reason;
    expect(reason('open', 'delivery')).to.equal('not possible while open');
    expect(reason('resolved', 'recur')).to.equal('resolved is final');
  });

  it('come with a decision that refuses', () => {
    expect(decide({ value: 'resolved', context }, { type: 'contain' })).to.deep.include({
      transitions: transitionsIn({ value: 'resolved', context }),
    });
  });
});

describe('transitionsFrom', () => {
  it('names the guard that does not hold, and the states around a target', () => {
    const machine = createMachine(
      {
        initial: 'idle',
        states: {
          idle: { on: { go: { guard: 'isReady', target: 'busy' }, skip: '#second' } },
          busy: { initial: 'first', states: { first: {}, second: { id: 'second' } } },
        },
      },
      { guards: { isReady: () => false } },
    );
    expect(transitionsFrom(machine, machine.resolveState({ value: 'idle' }))).to.deep.equal([
      { event: 'go', allowed: false, target: null, reason: 'guard isReady does not hold' },
      { event: 'skip', allowed: true, target: 'busy.second' },
    ]);
  });
});
