/** A day in the appliance: what its reporters, targets and people do, from the boot to the evening. */
import { expect } from 'chai';
import { attesting } from '../support/attestor.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { appliances, MODELS } from './support/appliance.ts';
import {
  attestationFailure,
  binaryChanged,
  canaryRefuses,
  canaryViolation,
  gpuAnomaly,
  modelMismatch,
  REPORTERS,
} from './support/reporters.ts';

const LATCHED = ['freeze_agent', 'disable_airlock', 'force_vault_relock'];

describe('a day in the appliance', () => {
  const directory = temporaryDirectories();
  const prepare = appliances();

  it('the canary believes its answer, also when the agent drains slowly', async () => {
    const appliance = await prepare(directory());
    appliance.drain = 2000;
    await appliance.boot();
    const answer = await appliance.report(canaryViolation());
    expect(answer.status, answer.text).to.equal(201);
    expect(canaryRefuses(answer)).to.equal(undefined);
    const { id, containment_results: results, reported_by: reportedBy } = answer.json;
    expect(results.map(({ action }: { readonly action: string }) => action)).to.have.members(LATCHED);
    for (const result of results) {
      expect(Object.keys(result)).to.have.members(['action', 'success', 'completed_at']);
      expect(new Date(result.completed_at).toISOString()).to.equal(result.completed_at);
    }
    expect(reportedBy).to.equal('canary-tripwire');
    for (const service of [appliance.agent, appliance.airlock]) {
      expect(service.taken.map(({ status, fields }) => [status, fields.incident_id])).to.deep.equal([[200, id]]);
    }
    expect(appliance.vault.taken.map(({ incident_id }) => incident_id)).to.deep.equal([id]);
    expect(appliance.vault.refused).to.deep.equal([]);
    expect(canaryRefuses({ ...answer, json: await appliance.incident(id) })).to.equal(undefined);
  });

  it('the canary does not believe it while the agent fails, and does when it is well again', async () => {
    const appliance = await prepare(directory());
    appliance.setPolicy(['answer_after: 35s', 'answer_after: 1s']);
    await appliance.boot();
    const frozen = appliance.agent.answer;
    appliance.agent.answer = async ({ incident_id }) => [503, { status: 'frozen', drained: false, incident_id }];
    const answer = await appliance.report(canaryViolation());
    expect(answer.status).to.equal(201);
    expect(canaryRefuses(answer)).to.equal('no success of freeze_agent');
    appliance.agent.answer = frozen;
    const { id } = answer.json;
    await appliance.until(async () => canaryRefuses({ ...answer, json: await appliance.incident(id) }) === undefined);
  });

  it('a reporter is refused whatever is not its own', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    const bodies = [canaryViolation(), gpuAnomaly(), binaryChanged(1), attestationFailure()];
    const { id } = (await appliance.report(attestationFailure())).json;
    for (const [at, reporter] of REPORTERS.entries()) {
      for (const body of bodies) {
        const { status, text } = await appliance.report(body, reporter);
        expect(status, `${reporter}: ${text}`).to.equal(body === bodies[at] ? 201 : 403);
      }
      for (const [path, body] of [
        ['incidents/resolve', { id, by: 'ada' }],
        ['incidents/acknowledge', { id, by: 'ada (SOC)' }],
        ['incidents/contain', { id }],
        ['recovery/ack', { incident_id: id }],
        ['recovery/reattest', { incident_id: id }],
        ['recovery/waive', { incident_id: id, reason: 'x' }],
        ['containment/confirm', { action: 'freeze_agent', directive: 'release' }],
        ['containment/retry', { action: 'freeze_agent' }],
        ['reload', {}],
        ['archive', {}],
        ['drill', { class: 'prompt_injection' }],
      ] as const) {
        expect((await appliance.post(path, body, reporter)).status, `${reporter}: ${path}`).to.equal(403);
      }
      for (const ofClass of ['prompt_injection', 'unauthorized_access']) {
        const body = { class: ofClass, source: reporter, description: 'not its own class' };
        expect((await appliance.report(body, reporter)).status, `${reporter}: ${ofClass}`).to.equal(403);
      }
    }
    expect((await appliance.incident(id)).state).to.equal('contained');
    expect(appliance.attestor.nonces).to.deep.equal([]);
  });

  it('the third injection within five minutes is critical, and says by which rule', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    const reported = [];
    for (let n = 0; n < 3; n++) reported.push(await appliance.reportShared('prompt_injection', 'tool-firewall'));
    expect(reported.map(({ status, json }) => [status, json.severity])).to.deep.equal([
      [201, 'high'],
      [201, 'high'],
      [201, 'critical'],
    ]);
    const { id, escalated_by: rule } = reported[2]!.json;
    expect(rule).to.deep.include({ class: 'prompt_injection', reports: 3, to: 'critical' });
    await appliance.service.said(`ALERT: incident ${id} class=prompt_injection severity=critical`);
    await appliance.alerts.receives(1);
    await appliance.until(async () => appliance.alerts.received.some(({ body }) => body.event === 'escalation'));
    const { body } = appliance.alerts.received.find(({ body: { event } }) => event === 'escalation')!;
    expect(Object.keys(body)).to.have.members(['event', 'timestamp', 'incident', 'actions', 'severity', 'source']);
    expect([body.incident.id, body.severity, body.source]).to.deep.equal([id, 'critical', 'incident-recorder']);
  });

  it('reports in numbers raise the last incident, by the rule of its class, also over SIGKILL', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    for (const [ofClass, reports, to] of [
      ['tool_call_burst', 5, 'high'],
      ['policy_bypass_attempt', 2, 'critical'],
      ['forbidden_airlock_request', 5, 'high'],
      ['model_behavior_anomaly', 3, 'critical'],
    ] as const) {
      const severities: string[] = [];
      for (let n = 0; n < reports; n++) {
        if (n === reports - 1) {
          await appliance.service.end('SIGKILL');
          await appliance.boot();
        }
        const { status, json, text } = await appliance.reportShared(ofClass, `a service of ${ofClass}`);
        expect(status, text).to.equal(201);
        severities.push(json.severity);
      }
      expect(severities.at(-1), ofClass).to.equal(to);
      expect(severities.slice(0, -1), ofClass).to.not.include(to);
    }
  });

  it('a violation that lasts is one incident with occurrences', async () => {
    const appliance = await prepare(directory());
    appliance.setPolicy([
      '    answer_after: 35s\n',
      '    answer_after: 35s\n    repeat: { same: [source, evidence.violation_0_path], within: 1h }\n',
    ]);
    await appliance.boot();
    const first = await appliance.report(binaryChanged(1));
    for (let scan = 2; scan <= 5; scan++) {
      const again = await appliance.report(binaryChanged(scan));
      expect([again.status, again.json.id, again.json.occurrences]).to.deep.equal([200, first.json.id, scan]);
    }
    const other = await appliance.report(canaryViolation());
    expect([other.status, other.json.id === first.json.id]).to.deep.equal([201, false]);
    expect(appliance.agent.carriedOut.map(({ incident_id }) => incident_id)).to.deep.equal([
      first.json.id,
      other.json.id,
    ]);
  });

  it('a model that the registry does not have any more is quarantined already', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    const ids = [];
    for (let n = 0; n < 2; n++) ids.push((await appliance.report(modelMismatch(MODELS[0]!))).json.id as string);
    for (const id of ids) {
      await appliance.until(async () => (await appliance.incident(id)).containment?.status === 'confirmed');
      const { containment_results: results } = await appliance.incident(id);
      expect(results.find(({ action }: { readonly action: string }) => action === 'quarantine_model')).to.include({
        success: true,
      });
    }
    const answers = appliance.registry.taken.map(({ status, fields }) => [status, fields.model_path]);
    expect(answers).to.deep.equal([
      [200, MODELS[0]],
      [404, MODELS[0]],
    ]);
  });

  it('a model whose path is not relative, as the monitor names it, is for a person, and for nobody else', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    const { id } = (await appliance.report(modelMismatch(`/var/lib/secure-ai/vault/models/${MODELS[0]!}`))).json;
    await appliance.service.said(`ALERT: incident ${id} class=manifest_mismatch`);
    const { containment } = await appliance.incident(id);
    expect(containment.actions.find(({ action }: { action: string }) => action === 'quarantine_model')).to.include({
      status: 'needs_person',
    });
    expect(appliance.registry.taken).to.deep.equal([]);
    const confirmation = { action: 'quarantine_model', directive: 'engage', incident_id: id };
    const confirmed = await appliance.service.post('/api/v1/containment/confirm', confirmation);
    expect(confirmed.status, confirmed.text).to.equal(200);
    await appliance.until(async () => (await appliance.incident(id)).containment.status === 'confirmed');
  });

  it('an incident is over when its recovery is complete, and a person releases it by hand', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    const { id } = (await appliance.report(attestationFailure())).json;
    await appliance.until(async () => (await appliance.incident(id)).containment?.status === 'confirmed');
    const resolve = (): Promise<{ status: number; missing: unknown; error: unknown }> =>
      appliance
        .post('incidents/resolve', { id }, 'ada')
        .then(({ status, json }) => ({ status, missing: json.missing, error: json.error }));
    const incomplete = (...missing: readonly string[]) => ({ status: 409, missing, error: 'recovery is incomplete' });
    expect(await resolve()).to.deep.equal(incomplete('acknowledge', 'attest'));
    expect((await appliance.post('incidents/resolve', { id }, 'bob')).status).to.equal(403);

    expect((await appliance.post('recovery/ack', { incident_id: id }, 'bob')).status).to.equal(403);
    const acknowledged = await appliance.post('recovery/ack', { incident_id: id }, 'ada');
    expect([acknowledged.status, acknowledged.json]).to.deep.equal([200, { status: 'acknowledged' }]);
    expect(await resolve()).to.deep.equal(incomplete('attest'));

    appliance.attestor.behaviours = [attesting({ assurance_mode: 'software' }), attesting()];
    const refused = await appliance.post('recovery/reattest', { incident_id: id }, 'ada');
    expect(refused.status, refused.text).to.equal(409);
    expect(refused.text).to.include('assurance_mode');
    expect(await resolve()).to.deep.equal(incomplete('attest'));
    expect((await appliance.get('recovery/status')).pending_recoveries[0]).to.deep.include({
      incident_id: id,
      acked_by: 'ada',
      containment_latch_active: true,
      recovery_complete: false,
    });
    const attested = await appliance.post('recovery/reattest', { incident_id: id }, 'ada');
    expect(attested.status, attested.text).to.equal(200);
    expect(appliance.attestor.refusals).to.deep.equal([]);

    const resolved = await appliance.post('incidents/resolve', { id, resolution: 'true_positive' }, 'ada');
    expect([resolved.status, resolved.json.state, resolved.json.resolved_by]).to.deep.equal([200, 'resolved', 'ada']);
    await appliance.service.said(`recovery: acknowledged for ${id} class=attestation_failure by ada`);
    for (const action of resolved.json.containment_actions.filter((one: string) => one !== 'log_alert')) {
      const { engaged, to_do: toDo } = await appliance.get(`containment/${action}`);
      expect([engaged, toDo], action).to.deep.equal([false, 'release by hand']);
      const confirmed = { action, directive: 'release' };
      const { status, text } = await appliance.service.post('/api/v1/containment/confirm', confirmed);
      expect(status, text).to.equal(200);
      expect((await appliance.get(`containment/${action}`)).to_do, action).to.equal(undefined);
    }
    expect((await appliance.health()).status).to.equal('ok');
    expect(appliance.agent.taken).to.have.length(1);
  });

  it('an attestation that SIGKILL interrupts is asked for again', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    const { id } = (await appliance.report(attestationFailure())).json;
    await appliance.until(async () => (await appliance.incident(id)).containment?.status === 'confirmed');
    await appliance.post('recovery/ack', { incident_id: id }, 'ada');
    appliance.attestor.behaviours = [() => {}, attesting()];
    const interrupted = appliance.post('recovery/reattest', { incident_id: id }, 'ada').catch(() => undefined);
    await appliance.until(async () => appliance.attestor.nonces.length === 1);
    await appliance.service.end('SIGKILL');
    expect(await interrupted).to.equal(undefined);
    await appliance.boot();
    await appliance.until(async () => (await appliance.get('recovery/status')).count === 0);
    expect(new Set(appliance.attestor.nonces).size).to.be.at.least(2);
    const resolved = await appliance.post('incidents/resolve', { id }, 'ada');
    expect([resolved.status, resolved.json.state], resolved.text).to.deep.equal([200, 'resolved']);
  });

  it('whose attestor is gone is waived by an administrator, with a reason', async () => {
    const appliance = await prepare(directory());
    await appliance.boot();
    const { id } = (await appliance.report(attestationFailure())).json;
    // An outcome that changes makes void what was done before.
    await appliance.until(async () => (await appliance.incident(id)).containment?.status === 'confirmed');
    await appliance.attestor.close();
    await appliance.post('recovery/ack', { incident_id: id }, 'ada');
    expect((await appliance.post('recovery/reattest', { incident_id: id }, 'ada')).status).to.equal(503);
    const reason = 'the TPM was replaced';
    expect((await appliance.post('recovery/waive', { incident_id: id, reason }, 'ada')).status).to.equal(403);
    expect((await appliance.post('recovery/waive', { incident_id: id }, 'dan')).status).to.equal(400);
    const waived = await appliance.post('recovery/waive', { incident_id: id, reason }, 'dan');
    expect(waived.status, waived.text).to.equal(200);
    await appliance.service.said(`ALERT: incident ${id} class=attestation_failure`);
    const resolved = await appliance.post('incidents/resolve', { id }, 'ada');
    expect([resolved.status, resolved.json.state]).to.deep.equal([200, 'resolved']);
  });
});
