import { expect } from 'chai';
import { type CommandName, COMMANDS } from '../../machines/commands.ts';
import { allowedIn, begin, decide, type Decision, snapshotOf, stateOf } from '../../machines/decision.ts';
import { incidentMachine } from '../../machines/incident.ts';
import { STATES, type State } from '../../machines/vocabulary.ts';
import { targetOf, targetsOf } from './support/edges.ts';

const context = { auto_contain: false, actions: ['quarantine_model'], occurrences: 1, standings: {} } as const;

/** The inner state of an incident with one action, by what is known of that. */
const INNER = { waiting: 'delivering', broken: 'degraded', overdue: 'overdue', confirmed: 'confirmed' } as const;

/** `to …`, `unchanged`, or `refused` with what would be allowed. */
const inWords = (decision: Decision): string => {
  switch (decision.kind) {
    case 'moved':
      return `to ${stateOf(decision.snapshot)}`;
    case 'unchanged':
      return 'unchanged';
    case 'refused':
      return `refused, allowed: ${decision.allowed.join(' ') || 'nothing'}`;
  }
};

describe('snapshotOf', () => {
  for (const state of STATES) {
    it(`gives for ${state} what the chart gives, whatever was asked before`, () => {
      for (const standing of ['waiting', 'broken', 'waiting', 'overdue', 'confirmed'] as const) {
        const now = { ...context, standings: { freeze_agent: standing } };
        const value = state === 'contained' ? { contained: INNER[standing] } : state;
        const { status, value: found, context: kept, tags } = snapshotOf(state, now);
        const expected = incidentMachine.resolveState({ value, context: now });
        expect({ status, found, tags }).to.deep.equal({
          status: expected.status,
          found: expected.value,
          tags: expected.tags,
        });
        expect(kept).to.equal(now);
      }
    });
  }
});

describe('decide', () => {
  const allowed = (state: State): string => COMMANDS.filter((command) => targetOf(state, command)).join(' ');

  /** A command that leads to the state in which the incident already is changes nothing. */
  const expected = (state: State, command: CommandName): string => {
    const target = targetOf(state, command);
    if (target !== undefined) return `to ${target}`;
    return targetsOf(command).includes(state) ? 'unchanged' : `refused, allowed: ${allowed(state) || 'nothing'}`;
  };

  for (const state of STATES) {
    for (const command of COMMANDS) {
      it(`given ${state}, when ${command}, then ${expected(state, command)}`, () => {
        expect(inWords(decide(snapshotOf(state, context), { type: command }))).to.equal(expected(state, command));
      });
    }
  }

  it('returns the intents of a transition and carries out nothing', () => {
    const decision = decide(snapshotOf('open', context), { type: 'contain' });
    expect(decision).to.have.property('kind', 'moved');
    expect(decision).to.deep.include({ intents: [{ action: 'quarantine_model', directive: 'engage' }] });
  });

  it('leaves the snapshot that it was asked about as it was', () => {
    const snapshot = snapshotOf('open', context);
    decide(snapshot, { type: 'resolve' });
    expect(stateOf(snapshot)).to.equal('open');
    expect(allowedIn(snapshot)).to.deep.equal(COMMANDS);
  });

  it('refuses a further occurrence of what is resolved', () => {
    expect(inWords(decide(snapshotOf('resolved', context), { type: 'recur' }))).to.equal('refused, allowed: nothing');
  });
});

describe('begin', () => {
  it('given a rule that contains automatically, then contained, with its actions in order', () => {
    const { snapshot, intents } = begin({
      auto_contain: true,
      actions: ['freeze_agent', 'disable_airlock', 'force_vault_relock'],
      default_severity: 'critical',
    });
    expect(stateOf(snapshot)).to.equal('contained');
    expect(intents.map(({ action }) => action)).to.deep.equal([
      'freeze_agent',
      'disable_airlock',
      'force_vault_relock',
    ]);
  });

  it('given a rule that does not, then open, with nothing to do', () => {
    const { snapshot, intents } = begin({ auto_contain: false, actions: ['log_alert'], default_severity: 'medium' });
    expect([stateOf(snapshot), intents]).to.deep.equal(['open', []]);
  });
});
