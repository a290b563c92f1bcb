import { expect } from 'chai';
import { createActor } from 'xstate';
import { decide, snapshotOf, stateOf, transitionsIn } from '../../machines/decision.ts';
import { type ChartRule, type IncidentContext, type IncidentEvent, incidentMachine } from '../../machines/incident.ts';
import type { ContainmentAction } from '../../machines/vocabulary.ts';

const RULE = { auto_contain: true, actions: ['freeze_agent', 'disable_airlock', 'log_alert'] } as const;
const release = (action: ContainmentAction): IncidentEvent => ({ type: 'release', action });
const [FREEZE, AIRLOCK] = [release('freeze_agent'), release('disable_airlock')];

/** What an incident of a rule is after some events, and what they asked for. */
function after(rule: ChartRule, ...events: readonly IncidentEvent[]) {
  const asked: string[] = [];
  const note =
    (action: string) =>
    (_: unknown, { directive }: { directive: string }) =>
      asked.push(`${action} ${directive}`);
  const machine = incidentMachine.provide({
    actions: {
      freeze_agent: note('freeze_agent'),
      disable_airlock: note('disable_airlock'),
      log_alert: note('log_alert'),
    },
  });
  const actor = createActor(machine, { input: rule }).start();
  for (const event of events) {
    asked.length = 0;
    actor.send(event);
  }
  const snapshot = actor.getSnapshot();
  return { snapshot, asked, state: stateOf(snapshot), held: Object.keys(snapshot.context.standings) };
}

describe('an early release in the statechart', () => {
  it('releases one action, and the incident stays', () => {
    const one = after(RULE, FREEZE);
    expect([one.state, one.held, one.asked]).to.deep.equal([
      'contained',
      ['disable_airlock', 'log_alert'],
      ['freeze_agent release'],
    ]);
    const acknowledged = after(RULE, { type: 'acknowledge' }, FREEZE);
    expect([acknowledged.state, acknowledged.held]).to.deep.equal(['acknowledged', ['disable_airlock', 'log_alert']]);
  });

  it('sums the others up again', () => {
    const broken = { type: 'delivery', action: 'freeze_agent', standing: 'broken' } as const;
    expect(after(RULE, broken).snapshot.value).to.deep.equal({ contained: 'degraded' });
    expect(after(RULE, broken, FREEZE).snapshot.value).to.deep.equal({ contained: 'delivering' });
  });

  it('opens a contained incident with its last action, whose alert ends too, and does not contain it again', () => {
    const open = after(RULE, FREEZE, AIRLOCK);
    expect([open.state, open.held]).to.deep.equal(['open', []]);
    expect(open.asked).to.have.members(['disable_airlock release', 'log_alert release']);
    expect(after(RULE, FREEZE, AIRLOCK, { type: 'recur' }).state).to.equal('open');
    const acknowledged = after(RULE, { type: 'acknowledge' }, FREEZE, AIRLOCK);
    expect([acknowledged.state, acknowledged.held]).to.deep.equal(['acknowledged', []]);
  });

  it('is undone by contain, from every state', () => {
    const contain = { type: 'contain' } as const;
    for (const events of [
      [FREEZE],
      [FREEZE, AIRLOCK],
      [{ type: 'acknowledge' }, FREEZE],
      [{ type: 'acknowledge' }, FREEZE, AIRLOCK],
      [FREEZE, { type: 'acknowledge' }],
    ] as const) {
      const { state, held, snapshot, asked } = after(RULE, ...events, contain);
      expect(state).to.equal('contained');
      expect(held).to.have.members(RULE.actions);
      expect(snapshot.context.released).to.equal(undefined);
      expect(asked).to.include('freeze_agent engage');
    }
  });

  it('is not undone by what only moves the incident on', () => {
    const attention = { type: 'recur', attention: true } as const;
    const one = after(RULE, FREEZE, { type: 'acknowledge' }, attention);
    expect([one.state, one.held, one.asked]).to.deep.equal(['contained', ['disable_airlock', 'log_alert'], []]);
    const all = after(RULE, { type: 'acknowledge' }, FREEZE, AIRLOCK, attention);
    expect([all.state, all.held]).to.deep.equal(['open', []]);
  });

  it('is undone by a further report whose rule asks for the action', () => {
    const recur = { type: 'recur', rule: RULE } as const;
    for (const events of [[FREEZE], [FREEZE, AIRLOCK]]) {
      const { state, held, snapshot } = after(RULE, ...events, recur);
      expect([state, snapshot.context.released]).to.deep.equal(['contained', undefined]);
      expect(held).to.have.members(RULE.actions);
    }
    const other = after(RULE, FREEZE, { type: 'recur', rule: { auto_contain: true, actions: ['disable_airlock'] } });
    expect([other.held, other.asked]).to.deep.equal([['disable_airlock', 'log_alert'], []]);
    const contained = after(
      RULE,
      FREEZE,
      { type: 'recur', rule: { ...RULE, actions: ['quarantine_model'] } },
      {
        type: 'contain',
      },
    );
    expect(contained.held).to.include('freeze_agent');
  });

  it('is refused for what the incident does not hold, for an alert, and in other states', () => {
    const refusedIn = (state: 'open' | 'resolved', action: ContainmentAction) =>
      decide(snapshotOf(state, { ...RULE, occurrences: 1, standings: {} }), { type: 'release', action }).kind;
    expect(decide(after(RULE).snapshot, release('quarantine_model')).kind).to.equal('refused');
    expect(decide(after(RULE).snapshot, release('log_alert')).kind).to.equal('refused');
    expect(decide(after(RULE, FREEZE).snapshot, FREEZE).kind).to.equal('refused');
    expect(refusedIn('resolved', 'freeze_agent')).to.equal('refused');
  });

  it('makes what was done for the recovery void', () => {
    const rule = { ...RULE, recovery: { acknowledge: true } } as const;
    const done = after(rule, { type: 'acknowledge_recovery' });
    expect(done.snapshot.context.recovery?.done).to.deep.equal(['acknowledge']);
    const { recovery } = after(rule, { type: 'acknowledge_recovery' }, FREEZE).snapshot.context;
    expect(recovery?.done).to.deep.equal([]);
  });

  it('leaves the memory of an incident without one as it was', () => {
    const { context } = after(
      RULE,
      { type: 'recur', rule: RULE },
      { type: 'acknowledge' },
      { type: 'contain' },
    ).snapshot;
    expect(Object.keys(context)).to.deep.equal(['auto_contain', 'actions', 'occurrences', 'standings']);
  });

  it('is among the transitions, with where it leads', () => {
    const found = (context: IncidentContext) =>
      transitionsIn({ value: 'contained', context }).find(({ event }) => event === 'release');
    expect(found(after(RULE).snapshot.context)).to.deep.equal({
      event: 'release',
      allowed: true,
      target: 'contained.delivering',
    });
    expect(found(after(RULE, FREEZE).snapshot.context)).to.deep.include({ allowed: true, target: 'open' });
  });
});
