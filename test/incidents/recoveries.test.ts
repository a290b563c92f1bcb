import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Role, Rule } from '../../machines/vocabulary.ts';
import type { AttestationEvidence } from '../../src/domain/attestation-evidence.ts';
import type { Caller } from '../../src/domain/caller.ts';
import type { RecoveryMessage } from '../../src/domain/decide-recovery.ts';
import type { DeliveryNews } from '../../src/domain/delivery.ts';
import { type Entry, readEntry } from '../../src/domain/entries.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { RecorderError } from '../../src/errors.ts';
import { bindingOf } from '../../src/incidents/recovery-binding.ts';
import { databasePath } from '../../src/projections/database.ts';
import { parsed, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { rmSync } from 'node:fs';

const rule = (recovery: NonNullable<Rule['recovery']> | undefined, auto_contain = true): Rule => ({
  auto_contain,
  actions: ['freeze_agent', 'log_alert'],
  default_severity: 'high',
  ...(recovery && { recovery }),
});
const rules = {
  integrity_violation: rule({ acknowledge: true, attest: true }),
  manifest_mismatch: rule({ acknowledge: true }, false),
  tool_call_burst: rule(undefined),
};

const as = (principal: string, role: Role): Caller => ({ principal, role, by: principal });
const ADA = as('ada', 'recovery');
const CANARY = as('canary', 'reporter');
const ROOT = as('root', 'admin');
/** The one token that everybody shares. */
const shared = (by?: string): Caller => ({
  principal: 'service-token',
  role: 'recovery',
  ...(by === undefined ? {} : { by, claimed: true }),
});

const EVIDENCE = {
  requested_at: '2026-11-22T07:30:00.000Z',
  timestamp: '2026-11-22T07:30:01.000Z',
  state: 'attested',
  assurance_mode: 'hardware',
  evidence_verified: true,
  secure_boot_enabled: true,
  tpm_available: true,
  tpm_measurements_verified: true,
  tpm_quote_verified: true,
  deployment_verified: true,
  release_baseline_verified: true,
  tpm_ak_public_key_sha256: 'e'.repeat(64),
  bundle_hmac: 'c'.repeat(64),
  bundle_hmac_verified: true,
  request_nonce: 'a'.repeat(64),
} as const satisfies AttestationEvidence;

const refusalOf = (promise: Promise<unknown>): Promise<RecorderError> =>
  promise.then(
    () => {
      throw new Error('it was taken');
    },
    (error: unknown) => {
      if (error instanceof RecorderError) return error;
      throw error;
    },
  );

describe('the recovery of an incident on record', () => {
  const directory = temporaryDirectories();
  let home: string;
  let recording: Recording;

  const open = async (liveActors = 512): Promise<void> => {
    recording = await Recording.open(home, { rules, liveActors });
  };
  beforeEach(() => {
    home = directory();
    return open();
  });
  afterEach(() => recording.close());

  const recoveries = () => recording.record.recoveries;
  const report = (name: keyof typeof rules, caller: Caller = CANARY, more: object = {}): Promise<Incident> =>
    recording.recorder
      .report({ class: name, source: 'canary-tripwire', description: 'x', ...more }, undefined, 0, caller)
      .then(({ incident }) => parsed(incident));
  const send = (id: string, message: RecoveryMessage, caller?: Caller) =>
    recording.incidents.actor(id).send(message, { caller });
  const resolve = (id: string, by = ADA) => recording.recorder.perform('resolve', { id, caller: by });
  const missing = (id: string) => recording.incident(id)?.recovery?.missing;
  const attest = async (id: string) => {
    await send(id, { type: 'request_attestation' }, ADA);
    return send(id, { type: 'attest', binding: bindingOf(recording.incident(id)!), evidence: EVIDENCE });
  };
  const confirmed: DeliveryNews = { type: 'confirmed', attempted: false, receipt: { by: 'confirmation' } };
  const deliver = (id: string, news: DeliveryNews) =>
    recording.incidents.actor(id).send({ type: 'deliver', action: 'freeze_agent', directive: 'engage', news });
  const entries = (): readonly Entry[] =>
    readFileSync(Recording.logIn(home), 'utf8')
      .trim()
      .split('\n')
      .map((line) => readEntry(line));
  const alerts = (): readonly string[] =>
    entries().flatMap((entry) => (entry.event === 'alert.raised' ? [entry.data.reason] : []));

  it('is kept with the rule of its report, and shows what is missing', async () => {
    const { id, recovery } = await report('integrity_violation');
    expect(recovery).to.deep.equal({ required: ['acknowledge', 'attest'], missing: ['acknowledge', 'attest'] });
    const [first] = entries();
    expect(first?.data).to.have.deep.nested.property('rule.recovery', { acknowledge: true, attest: true });
    expect(missing(id)).to.deep.equal(['acknowledge', 'attest']);
  });

  it('is not there where the rule asks for none, and its entry is as it always was', async () => {
    const { id, recovery } = await report('tool_call_burst');
    expect(recovery).to.equal(undefined);
    expect(entries()[0]?.data).to.not.have.nested.property('rule.recovery');
    expect((await resolve(id)).change).to.equal('moved');
  });

  it('keeps its incident contained until every step is done, and says what is missing', async () => {
    const { id } = await report('integrity_violation');
    for (const left of [['acknowledge', 'attest'], ['attest']]) {
      const { code, message, fields } = await refusalOf(resolve(id));
      expect([code, message]).to.deep.equal(['illegal_transition', 'recovery is incomplete']);
      expect(fields).to.deep.include({ missing: left, state: 'contained', allowed: ['acknowledge'] });
      expect(fields.transitions).to.deep.include({
        event: 'resolve',
        allowed: false,
        target: null,
        reason: 'recovery is incomplete',
        missing: left,
        needs: ['recovery'],
      });
      await recoveries().acknowledge(id, ADA);
    }
    expect(recording.carriedOut.filter((one) => one.includes('release'))).to.deep.equal([]);
    await attest(id);
    expect(missing(id)).to.deep.equal([]);
    expect((await resolve(id)).change).to.equal('moved');
    expect(recording.incident(id)?.recovery).to.deep.include({
      acknowledged: { at: recording.incident(id)!.recovery!.acknowledged!.at, by: 'ada' },
      missing: [],
    });
  });

  describe('keeps who has not the role recovery from resolving', () => {
    const OPERATOR = as('grace', 'operator');
    const NEEDS = { needs: ['recovery'], roles: ['operator'] };
    const MESSAGE =
      'forbidden: its rule asks for a recovery, so to resolve it needs the role recovery, and grace is operator';

    it('before it is complete and afterwards', async () => {
      const { id } = await report('manifest_mismatch');
      const first = await refusalOf(resolve(id, OPERATOR));
      expect([first.code, first.message]).to.deep.equal(['forbidden', MESSAGE]);
      expect(first.fields).to.deep.equal({ ...NEEDS, missing: ['acknowledge'] });
      await recoveries().acknowledge(id, ADA);
      const { code, fields } = await refusalOf(resolve(id, OPERATOR));
      expect([code, fields]).to.deep.equal(['forbidden', NEEDS]);
      expect((await resolve(id)).change).to.equal('moved');
      expect((await resolve(id, OPERATOR)).change).to.equal('unchanged');
    });

    it('and lets who has both roles resolve in the role recovery', async () => {
      const { id } = await report('manifest_mismatch');
      await recoveries().acknowledge(id, ADA);
      const roles: readonly Role[] = ['reader', 'operator', 'recovery'];
      await recording.recorder.perform('resolve', { id, caller: OPERATOR, roles });
      expect(entries().at(-1)?.data).to.deep.include({ principal: 'grace', role: 'recovery', by: 'grace' });
    });

    it('and says in its transitions which role is needed', async () => {
      const { id } = await report('manifest_mismatch');
      const resolving = () =>
        recording.record.reads.transitions(id)?.transitions.find(({ event }) => event === 'resolve');
      expect(resolving()).to.deep.include({ allowed: false, missing: ['acknowledge'], needs: ['recovery'] });
      await recoveries().acknowledge(id, ADA);
      expect(resolving()).to.deep.equal({ event: 'resolve', allowed: true, target: 'resolved', needs: ['recovery'] });
      await resolve(id);
      expect(resolving()).to.not.have.property('needs');
    });

    it('and nobody else, and nothing else', async () => {
      const { id } = await report('tool_call_burst');
      expect((await resolve(id, OPERATOR)).change).to.equal('moved');
      const latched = await report('integrity_violation');
      await recording.recorder.perform('acknowledge', { id: latched.id, caller: OPERATOR });
      expect(recording.incident(latched.id)?.state).to.equal('acknowledged');
    });
  });

  it('is asked for also when the incident was never contained', async () => {
    const { id, state } = await report('manifest_mismatch');
    expect(state).to.equal('open');
    expect((await refusalOf(resolve(id))).fields.missing).to.deep.equal(['acknowledge']);
    await recording.recorder.perform('acknowledge', { id, caller: as('bob', 'operator') });
    expect((await refusalOf(resolve(id))).fields.missing).to.deep.equal(['acknowledge']);
    await recoveries().acknowledge(id, ADA);
    expect((await resolve(id)).change).to.equal('moved');
  });

  describe('is acknowledged', () => {
    it('once: again changes nothing', async () => {
      const { id } = await report('manifest_mismatch');
      await recoveries().acknowledge(id, ADA);
      const { version } = recording.incident(id)!;
      await recoveries().acknowledge(id, as('bob', 'recovery'));
      expect(recording.incident(id)).to.deep.include({ version });
    });

    it('by nobody who reported it', async () => {
      const { id } = await report('manifest_mismatch');
      const { status, message } = await refusalOf(recoveries().acknowledge(id, as('canary', 'recovery')));
      expect([status, message]).to.deep.equal([
        403,
        'forbidden: who reported the incident may not acknowledge its recovery',
      ]);
      await recoveries().acknowledge(id, as('bob', 'recovery'));
      expect(missing(id)).to.deep.equal([]);
    });

    it('by whoever shares a token with the reporter, as what they claim', async () => {
      const { id } = await report('manifest_mismatch', { ...shared(), role: 'reporter' });
      await recoveries().acknowledge(id, shared('ada (SOC)'));
      expect(recording.incident(id)?.recovery?.acknowledged).to.deep.include({ by: 'ada (SOC)', claimed: true });
    });

    it('only where that is asked for', async () => {
      const { id } = await report('tool_call_burst');
      const { status, message } = await refusalOf(recoveries().acknowledge(id, ADA));
      expect([status, message]).to.deep.equal([409, 'no recovery is asked for']);
      const unknown = await refusalOf(recoveries().acknowledge('INC-20261122-000000000000', ADA));
      expect(unknown.status).to.equal(404);
    });
  });

  describe('says so when what was done is void', () => {
    const done = async (id: string): Promise<void> => {
      await recoveries().acknowledge(id, ADA);
      await attest(id);
    };

    it('by a further report', async () => {
      const { id } = await report('integrity_violation', CANARY, { dedup_key: 'same' });
      await done(id);
      const { containment_binding } = recoveries().of(id);
      await report('integrity_violation', CANARY, { dedup_key: 'same' });
      expect(missing(id)).to.deep.equal(['acknowledge', 'attest']);
      const { recovery } = recording.incident(id)!;
      expect(recovery?.voided).to.deep.include({ parts: ['acknowledge', 'attest'], reason: 'it was reported again' });
      expect(recovery).to.not.have.any.keys('acknowledged', 'attested', 'completed_at');
      const recurred = entries().find(({ event }) => event === 'incident.recurred');
      expect(recurred?.data).to.have.deep.property('recovery_voided', ['acknowledge', 'attest']);
      expect(alerts().at(-1)).to.equal('its recovery is void and has to be done again: it was reported again');
      expect(recoveries().of(id).containment_binding).to.not.equal(containment_binding);
      expect((await refusalOf(resolve(id))).fields.missing).to.deep.equal(['acknowledge', 'attest']);
      await done(id);
      expect(recording.incident(id)?.recovery).to.not.have.property('voided');
      await resolve(id);
    });

    for (const [what, news] of [
      ['once an action is carried out', confirmed],
      ['once an action fails', { type: 'refused', error: 'answered 410: gone' }],
    ] as const) {
      it(what, async () => {
        const { id } = await report('integrity_violation');
        await done(id);
        const { containment_binding } = recoveries().of(id);
        await deliver(id, news);
        expect(missing(id)).to.deep.equal(['acknowledge', 'attest']);
        expect(recoveries().of(id).containment_binding).to.not.equal(containment_binding);
        expect(alerts().at(-1)).to.match(/^its recovery is void and has to be done again: freeze_agent (was|failed)/);
      });
    }

    it('by a further action, and by nothing that changes no outcome', async () => {
      const { id } = await report('manifest_mismatch');
      await recoveries().acknowledge(id, ADA);
      const { containment_binding } = recoveries().of(id);
      await recording.recorder.perform('acknowledge', { id, caller: as('bob', 'operator') });
      expect(recoveries().of(id).containment_binding).to.equal(containment_binding);
      expect(missing(id)).to.deep.equal([]);
      await recording.recorder.perform('contain', { id, caller: as('bob', 'operator') });
      expect(missing(id)).to.deep.equal(['acknowledge']);
    });

    it('and takes no proof from before the change', async () => {
      const { id } = await report('integrity_violation', CANARY, { dedup_key: 'same' });
      await send(id, { type: 'request_attestation' }, ADA);
      const binding = bindingOf(recording.incident(id)!);
      await report('integrity_violation', CANARY, { dedup_key: 'same' });
      const { change } = await send(id, { type: 'attest', binding, evidence: EVIDENCE });
      expect(change).to.equal('unchanged');
      expect(recording.incident(id)?.recovery).to.have.property('attestation');
      await send(id, { type: 'attest', binding: bindingOf(recording.incident(id)!), evidence: EVIDENCE });
      expect(missing(id)).to.deep.equal(['acknowledge']);
    });
  });

  it('is waived for the incident as it is, with a reason and an alert', async () => {
    const { id } = await report('integrity_violation', CANARY, { dedup_key: 'same' });
    await recoveries().waive(id, 'the attestor is gone', ROOT);
    expect(alerts().at(-1)).to.equal('its recovery is waived by root: the attestor is gone');
    expect(recording.incident(id)?.recovery?.waived).to.deep.include({ by: 'root', reason: 'the attestor is gone' });
    expect(missing(id)).to.deep.equal([]);
    await report('integrity_violation', CANARY, { dedup_key: 'same' });
    expect(missing(id)).to.deep.equal(['acknowledge', 'attest']);
    await recoveries().waive(id, 'still gone', ROOT);
    expect((await resolve(id)).change).to.equal('moved');
    const waivers = entries().filter(({ event }) => event === 'recovery.waived');
    expect(waivers.map(({ data }) => (data as { binding?: string }).binding)).to.have.lengthOf(2);
  });

  it('asks for what the rule in force asks for when the incident is reported again', async () => {
    const { id } = await report('tool_call_burst', CANARY, { dedup_key: 'same' });
    await recording.close();
    rules.tool_call_burst = rule({ acknowledge: true });
    try {
      await open();
      await report('tool_call_burst', CANARY, { dedup_key: 'same' });
      expect(missing(id)).to.deep.equal(['acknowledge']);
      expect((await refusalOf(recoveries().acknowledge(id, as('canary', 'recovery')))).status).to.equal(403);
    } finally {
      rules.tool_call_burst = rule(undefined);
    }
  });

  it('holds the version that a command expects, except when it is waived', async () => {
    const { id, version } = await report('manifest_mismatch');
    await recoveries().acknowledge(id, ADA);
    expect((await recording.recorder.perform('contain', { id, caller: ADA }, version)).change).to.equal('moved');
    const contained = recording.incident(id)!;
    await recoveries().waive(id, 'x', ROOT);
    expect((await refusalOf(recording.recorder.perform('resolve', { id }, contained.version))).status).to.equal(412);
  });

  it('is the same after a restart, rebuilt from the log, and in actors that were put to sleep', async () => {
    await recording.close();
    await open(1);
    const ids = [];
    for (const [index, name] of (
      ['integrity_violation', 'integrity_violation', 'manifest_mismatch'] as const
    ).entries()) {
      const { id } = await report(name, CANARY, { dedup_key: String(index) });
      ids.push(id);
      await recoveries().acknowledge(id, ADA);
    }
    await attest(ids[0]!);
    await send(ids[1]!, { type: 'request_attestation' }, ADA);
    await send(ids[1]!, { type: 'fail_attestation', faults: ['tpm_quote_verified is not true'] });
    await report('manifest_mismatch', CANARY, { dedup_key: '2' });
    await send(ids[1]!, { type: 'request_attestation' }, ADA);
    const before = ids.map((id) => recording.incident(id));
    const page = recoveries().pending();
    expect(page.count).to.equal(2);
    expect(recording.projections.statistics.recoveries()).to.deep.equal({ incomplete: 1, attesting: 1, complete: 1 });
    expect(recording.projections.current().recoveries.attesting(10)).to.deep.equal([ids[1]]);
    expect(before[1]?.recovery?.failed).to.deep.include({ faults: ['tpm_quote_verified is not true'] });
    for (const isRebuilt of [false, true]) {
      await recording.close();
      if (isRebuilt) rmSync(databasePath(Recording.logIn(home)));
      await open();
      expect(ids.map((id) => recording.incident(id))).to.deep.equal(before);
      expect(recoveries().pending()).to.deep.equal(page);
      expect(recording.projections.statistics.recoveries()).to.deep.equal({ incomplete: 1, attesting: 1, complete: 1 });
      expect(recording.projections.current().recoveries.attesting(10)).to.deep.equal([ids[1]]);
    }
    await resolve(ids[0]!);
    expect(recording.projections.statistics.recoveries()).to.deep.equal({ incomplete: 1, attesting: 1, complete: 0 });
    const proof = recording.projections.incidentProof(recording.log);
    for (const id of ids) expect(await proof.difference(id)).to.equal(undefined);
  });

  it('completes the write that a crash has torn before the alert of a waiver', async () => {
    const { id } = await report('integrity_violation');
    await recoveries().waive(id, 'gone', ROOT);
    await recording.close();
    const path = Recording.logIn(home);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1)!)).to.have.property('event', 'alert.raised');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(path, `${lines.slice(0, -1).join('\n')}\n`);
    rmSync(databasePath(path));
    for (const suffix of ['.checkpoint']) rmSync(`${path}${suffix}`, { force: true });
    await open();
    await recording.record.tornWrite.attempt();
    expect(alerts().at(-1)).to.equal('its recovery is waived by root: gone');
  });

  it('has a status in the words of the appliance', async () => {
    const { id, created_at } = await report('integrity_violation');
    const [pending] = recoveries().pending().pending;
    expect(pending).to.deep.equal({
      incident_id: id,
      incident_class: 'integrity_violation',
      severity: 'high',
      required_after: created_at,
      containment_actions: ['freeze_agent', 'log_alert'],
      containment_results: [{ action: 'log_alert', success: true, completed_at: created_at }],
      containment_binding: bindingOf(recording.incident(id)!),
      containment_latch_active: true,
      require_ack: true,
      require_reattest: true,
      recovery_complete: false,
    });
    expect(pending?.containment_binding).to.match(/^[\da-f]{64}$/);
    await recoveries().acknowledge(id, ADA);
    await attest(id);
    expect(recoveries().pending()).to.deep.equal({ count: 0, pending: [] });
    const { recovery } = recording.incident(id)!;
    expect(recoveries().of(id)).to.deep.include({
      acked_at: recovery?.acknowledged?.at,
      acked_by: 'ada',
      re_attested_at: recovery?.attested?.at,
      attestation_evidence: EVIDENCE,
      recovery_gate_released_at: recovery?.completed_at,
      containment_latch_active: false,
      recovery_complete: true,
    });
    const { id: other } = await report('tool_call_burst');
    expect(() => recoveries().of(other)).to.throw('no recovery is asked for');
  });
});
