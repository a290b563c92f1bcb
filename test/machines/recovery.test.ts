import { expect } from 'chai';
import { createActor } from 'xstate';
import { begin, decide, stateOf, transitionsIn } from '../../machines/decision.ts';
import { type IncidentEvent, incidentMachine, missingSteps, type RecoveryContext } from '../../machines/incident.ts';
import type { RecoveryRule } from '../../machines/vocabulary.ts';

const BOTH = { acknowledge: true, attest: true } as const;
const ACKNOWLEDGED = { type: 'acknowledge_recovery' } as const;
const ATTESTED = [{ type: 'request_attestation' }, { type: 'attest' }] as const;
const DONE = [ACKNOWLEDGED, ...ATTESTED] as const;
const WAIVED = { type: 'waive_recovery' } as const;
const rule = (recovery?: RecoveryRule, auto_contain = true) => ({
  auto_contain,
  actions: ['freeze_agent', 'log_alert'] as const,
  ...(recovery === undefined ? {} : { recovery }),
});

/** The snapshot after these events, from a report under a rule. */
const after = (recovery: RecoveryRule | undefined, ...events: readonly IncidentEvent[]) => {
  const actor = createActor(incidentMachine, { input: rule(recovery) }).start();
  for (const event of events) actor.send(event);
  return actor.getSnapshot();
};

const missingAfter = (recovery: RecoveryRule | undefined, ...events: readonly IncidentEvent[]) =>
  missingSteps(after(recovery, ...events).context);

describe('the recovery of an incident', () => {
  it('is not asked for by a rule that does not say so, and leaves nothing in the snapshot', () => {
    for (const recovery of [undefined, {}, { acknowledge: false }]) {
      const { context } = after(recovery);
      expect(context).to.not.have.property('recovery');
      expect(stateOf(after(recovery, { type: 'resolve' }))).to.equal('resolved');
    }
    expect(after(undefined, { type: 'recur', rule: rule() }).context).to.not.have.property('recovery');
  });

  it('keeps an incident from being resolved in every state, until each step is done', () => {
    for (const events of [[], [{ type: 'acknowledge' }]] as const) {
      const snapshot = after(BOTH, ...events);
      const decision = decide(snapshot, { type: 'resolve' });
      expect(decision).to.deep.include({ kind: 'refused', missing: ['acknowledge', 'attest'] });
      expect(decide(after(BOTH, ...events, ACKNOWLEDGED), { type: 'resolve' })).to.deep.include({
        missing: ['attest'],
      });
      expect(decide(after(BOTH, ...events, ...DONE), { type: 'resolve' })).to.have.property('kind', 'moved');
    }
    const { snapshot } = begin({ ...rule(BOTH, false), default_severity: 'low' });
    expect(decide(snapshot, { type: 'resolve' })).to.have.property('kind', 'refused');
  });

  it('may ask for one step only', () => {
    expect(missingAfter({ acknowledge: true })).to.deep.equal(['acknowledge']);
    expect(missingAfter({ attest: true })).to.deep.equal(['attest']);
    expect(missingAfter({ acknowledge: true, attest: false }, ACKNOWLEDGED)).to.deep.equal([]);
  });

  it('says in the transitions what is missing', () => {
    const resolve = transitionsIn(after(BOTH, ACKNOWLEDGED)).find(({ event }) => event === 'resolve');
    expect(resolve).to.deep.equal({
      event: 'resolve',
      allowed: false,
      target: null,
      reason: 'recovery is incomplete',
      missing: ['attest'],
      needs: ['recovery'],
    });
    const done = transitionsIn(after(BOTH, ...DONE)).find(({ event }) => event === 'resolve');
    expect(done).to.deep.equal({ event: 'resolve', allowed: true, target: 'resolved', needs: ['recovery'] });
  });

  it('takes an attestation only while the attestor is asked, and asks it once at a time', () => {
    const can = (event: IncidentEvent, ...events: readonly IncidentEvent[]) => after(BOTH, ...events).can(event);
    const [request, attest] = ATTESTED;
    expect(can(attest)).to.equal(false);
    expect(can(request, request)).to.equal(false);
    expect(can(request, request, { type: 'fail_attestation' })).to.equal(true);
    expect(can(request, ...ATTESTED)).to.equal(false);
    expect(after({ acknowledge: true }).can(request)).to.equal(false);
    expect(missingAfter(BOTH, request, { type: 'fail_attestation' })).to.deep.equal(['acknowledge', 'attest']);
  });

  it('is waived once, as long as it is not complete', () => {
    expect(missingAfter(BOTH, WAIVED)).to.deep.equal([]);
    expect(after(BOTH, WAIVED).can(WAIVED)).to.equal(false);
    expect(after(BOTH, ...DONE).can(WAIVED)).to.equal(false);
    expect(after(undefined).can(WAIVED)).to.equal(false);
  });

  describe('is void', () => {
    const complete: readonly (readonly IncidentEvent[])[] = [DONE, [WAIVED]];
    const changes: readonly (readonly [string, IncidentEvent])[] = [
      ['after a further report', { type: 'recur' }],
      ['once an action is carried out', { type: 'delivery', action: 'freeze_agent', standing: 'confirmed' }],
      ['once an action fails', { type: 'delivery', action: 'freeze_agent', standing: 'broken' }],
    ];
    for (const [when, change] of changes) {
      it(when, () => {
        for (const events of complete) {
          expect(missingAfter(BOTH, ...events), 'before').to.deep.equal([]);
          expect(missingAfter(BOTH, ...events, change)).to.deep.equal(['acknowledge', 'attest']);
        }
      });
    }

    it('once a further action is asked for', () => {
      const open = createActor(incidentMachine, { input: rule(BOTH, false) }).start();
      open.send(WAIVED);
      open.send({ type: 'contain' });
      expect(missingSteps(open.getSnapshot().context)).to.deep.equal(['acknowledge', 'attest']);
    });

    it('not by what changes no outcome', () => {
      const overdue = { type: 'delivery', action: 'freeze_agent', standing: 'overdue' } as const;
      for (const change of [overdue, { type: 'acknowledge' }, { type: 'contain' }] as const) {
        expect(missingAfter(BOTH, ...DONE, change), change.type).to.deep.equal([]);
      }
    });
  });

  it('goes on asking the attestor when what was done is void', () => {
    const { context } = after(BOTH, { type: 'request_attestation' }, { type: 'recur' });
    expect(context.recovery).to.deep.equal({
      required: ['acknowledge', 'attest'],
      done: [],
      waived: false,
      attesting: true,
    } satisfies RecoveryContext);
  });

  it('asks for what the rule in force for a further report asks for besides', () => {
    const recur = { type: 'recur', rule: rule({ acknowledge: true }) } as const;
    expect(missingAfter(undefined, recur)).to.deep.equal(['acknowledge']);
    expect(missingAfter({ attest: true }, recur)).to.deep.equal(['acknowledge', 'attest']);
    expect(missingAfter(BOTH, { type: 'recur', rule: rule() })).to.deep.equal(['acknowledge', 'attest']);
  });
});
