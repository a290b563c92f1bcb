import { createHash } from 'node:crypto';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  ATTESTATION_KEY,
  ATTESTOR_TOKEN,
  attesting,
  listeningAttestors,
  type StandInAttestor,
} from '../../support/attestor.ts';
import { eventually } from '../../support/eventually.ts';
import {
  type Answer,
  type RunningService,
  runningServices,
  ServiceHome,
  TOKEN,
} from '../../support/running-service.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

const tokenOf = (name: string): string => `a-token-of-${name}-0123456789`;
const principal = (name: string, roles: string, more = ''): string =>
  `  ${name}: { roles: [${roles}], token_sha256: ${createHash('sha256').update(tokenOf(name)).digest('hex')}${more} }\n`;

const POLICY = `version: 1
rules:
  integrity_violation: { recovery: { acknowledge: true, attest: true } }
`;
const ACCESS = `version: 1
principals:
${principal('canary', 'reporter, recovery', ', sources: any, classes: any')}\
${principal('ada', 'recovery')}\
${principal('bob', 'operator')}\
${principal('root', 'admin')}\
${principal('eve', 'reader')}`;

describe('recovery over the API', () => {
  const directory = temporaryDirectories();
  const listening = listeningAttestors();
  const start = runningServices();
  let home: ServiceHome;
  let attestor: StandInAttestor;
  let service: RunningService;

  const write = (name: string, text: string, mode = 0o600): string => {
    const path = join(home.directory, name);
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
    return path;
  };
  const run = async (withAccess = true, withAttestor = true): Promise<void> => {
    if (withAccess) write('incident-access.yaml', ACCESS, 0o640);
    service = await start(home, {
      env: {
        CONTAINMENT_POLICY_PATH: write('policy.yaml', POLICY, 0o644),
        ...(withAttestor && {
          RUNTIME_ATTESTOR_URL: attestor.url,
          RUNTIME_ATTESTOR_TOKEN_PATH: write('attestor.token', ATTESTOR_TOKEN),
          ATTESTATION_HMAC_KEY_PATH: write('attestation.key', ATTESTATION_KEY),
        }),
      },
    });
  };
  beforeEach(async () => {
    home = new ServiceHome(directory());
    attestor = await listening();
  });

  const post = (path: string, body: object, name?: string): Promise<Answer> =>
    service.post(`/api/v1/${path}`, body, { token: name === undefined ? TOKEN : tokenOf(name) });
  const report = async (name?: string): Promise<string> => {
    const body = { class: 'integrity_violation', source: 'canary-tripwire', description: 'x' };
    const { status, json } = await post('incidents/report', body, name);
    expect(status).to.equal(201);
    return json.id;
  };
  const statusOf = async (): Promise<Answer['json']> => (await service.get('/api/v1/recovery/status')).json;

  it('takes an incident to its end, each step by whom it is for', async () => {
    await run();
    const incident_id = await report('canary');
    for (const [path, body] of [
      ['recovery/ack', { incident_id }],
      ['recovery/reattest', { incident_id }],
      ['recovery/waive', { incident_id, reason: 'x' }],
    ] as const) {
      expect((await service.post(`/api/v1/${path}`, body, { token: null })).status, path).to.equal(403);
      const { status, json } = await post(path, body, 'bob');
      expect(status, path).to.equal(403);
      expect(json.error).to.include(path === 'recovery/waive' ? 'the role admin' : 'the role recovery');
    }
    const own = await post('recovery/ack', { incident_id }, 'canary');
    expect([own.status, own.json.error]).to.deep.equal([
      403,
      'forbidden: who reported the incident may not acknowledge its recovery',
    ]);
    const missing = ['acknowledge', 'attest'];
    const early = await post('incidents/resolve', { id: incident_id }, 'ada');
    expect([early.status, early.json.error, early.json.missing]).to.deep.equal([
      409,
      'recovery is incomplete',
      missing,
    ]);
    const operators = await post('incidents/resolve', { id: incident_id }, 'bob');
    expect([operators.status, operators.json.needs, operators.json.roles, operators.json.missing]).to.deep.equal([
      403,
      ['recovery'],
      ['operator'],
      missing,
    ]);
    const acknowledged = await post('recovery/ack', { incident_id, operator: 'Ada Lovelace' }, 'ada');
    expect([acknowledged.status, acknowledged.text]).to.deep.equal([200, '{"status":"acknowledged"}']);
    const { count, pending_recoveries: pending } = await statusOf();
    expect(count).to.equal(1);
    expect(pending).to.have.length(1);
    expect(Object.keys(pending[0])).to.have.members([
      'incident_id',
      'incident_class',
      'severity',
      'required_after',
      'containment_actions',
      'containment_results',
      'containment_binding',
      'containment_latch_active',
      'require_ack',
      'require_reattest',
      'acked_at',
      'acked_by',
      'recovery_complete',
    ]);
    expect(pending[0]).to.deep.include({ acked_by: 'ada', recovery_complete: false, containment_latch_active: true });

    const attested = await post('recovery/reattest', { incident_id }, 'ada');
    expect(attested.status).to.equal(200);
    expect(attested.json).to.deep.include({ status: 're-attested', incident_id, recovery_complete: true });
    expect(attested.json.attestation_evidence.request_nonce).to.equal(attestor.nonces[0]);
    expect(await statusOf()).to.deep.equal({ count: 0, pending_recoveries: [] });
    const { json: one } = await service.get(`/api/v1/recovery/status?incident_id=${incident_id}`);
    expect(one.pending_recoveries[0]).to.deep.include({ recovery_complete: true, containment_latch_active: false });
    expect(one.pending_recoveries[0].recovery_gate_released_at).to.match(/Z$/);

    expect((await post('incidents/resolve', { id: incident_id }, 'bob')).json.needs).to.deep.equal(['recovery']);
    const resolved = await post('incidents/resolve', { id: incident_id }, 'ada');
    expect([resolved.status, resolved.json.state]).to.deep.equal([200, 'resolved']);
    const { json: history } = await service.get(`/api/v1/incidents/history?id=${incident_id}`);
    const said = history.filter(({ event }: { event: string }) => event.startsWith('recovery.'));
    expect(said.map(({ event }: { event: string }) => event)).to.deep.equal([
      'recovery.acknowledged',
      'recovery.attestation_requested',
      'recovery.attested',
    ]);
    expect(said[0].data).to.deep.include({ principal: 'ada', role: 'recovery', on_behalf_of: 'Ada Lovelace' });
    expect(said[0].data.binding).to.equal(pending[0].containment_binding);
    await service.said('"event":"recovery.attested"');
    await home.expectSound();
  });

  it('says what was wrong with an attestation, and lets an administrator waive it', async () => {
    await run();
    const incident_id = await report('canary');
    attestor.behaviours = [attesting({ state: 'degraded' })];
    const refused = await post('recovery/reattest', { incident_id }, 'ada');
    expect(refused.status).to.equal(409);
    expect(refused.json.error).to.match(/^the machine could not be attested: .*state/);
    expect(refused.json.faults).to.have.length(1);
    expect((await post('recovery/waive', { incident_id }, 'root')).status).to.equal(400);
    const waived = await post('recovery/waive', { incident_id, reason: 'no TPM any more' }, 'root');
    expect([waived.status, waived.json]).to.deep.equal([200, { status: 'waived' }]);
    const { json: history } = await service.get(`/api/v1/incidents/history?id=${incident_id}`);
    const [waiver, alert] = history.slice(-2);
    expect(waiver).to.have.property('event', 'recovery.waived');
    expect(waiver.data).to.deep.include({ principal: 'root', role: 'admin', reason: 'no TPM any more' });
    expect(alert.data.reason).to.equal('its recovery is waived by root: no TPM any more');
    // What the attestor said is for those who may see it.
    const failed = history.find(({ event }: { event: string }) => event === 'recovery.attestation_failed');
    expect(failed.data).to.not.have.property('faults');
    expect(failed.data.withheld).to.deep.equal(['faults']);
    expect((await post('incidents/resolve', { id: incident_id }, 'ada')).status).to.equal(200);
  });

  it('asks the attestor again after a crash in between', async () => {
    await run();
    const incident_id = await report('canary');
    attestor.behaviours = [() => {}, attesting()];
    const unanswered = post('recovery/reattest', { incident_id }, 'ada').catch(() => 'cut');
    await eventually(() => attestor.nonces.length === 1);
    await service.end('SIGKILL');
    expect(await unanswered).to.equal('cut');
    await run();
    await service.said('"event":"recovery.attested"');
    const { json } = await service.get(`/api/v1/incidents/get?id=${incident_id}`);
    expect(json.recovery.attested.evidence.request_nonce).to.equal(attestor.nonces[1]);
    expect(attestor.nonces).to.have.length(2);
    const { json: history } = await service.get(`/api/v1/incidents/history?id=${incident_id}`);
    const events = history
      .map(({ event }: { event: string }) => event)
      .filter((one: string) => one.startsWith('recovery'));
    expect(events).to.deep.equal(['recovery.attestation_requested', 'recovery.attested']);
    await home.expectSound();
  });

  it('answers who waits for the attestor before it stops', async () => {
    await run();
    const incident_id = await report('canary');
    attestor.behaviours = [() => {}];
    const waiting = post('recovery/reattest', { incident_id }, 'ada');
    await eventually(() => attestor.nonces.length === 1);
    service.process.kill('SIGTERM');
    const { status, json } = await waiting;
    expect([status, json.error]).to.deep.equal([
      503,
      'the recorder is stopping; the request stays on record, and the next start asks again',
    ]);
    expect(await service.ended).to.equal(0);
  });

  it('warns before it is needed where the attestor can not be asked', async () => {
    const warnings = async (): Promise<string> => (await service.get('/health')).json.warnings.join('\n');
    await run(false, false);
    expect(await warnings()).to.contain(
      'the policy asks for attestations (integrity_violation), and RUNTIME_ATTESTOR_URL is not set',
    );
    await service.end();
    await run(false);
    expect(await warnings()).to.not.contain('attest');
    chmodSync(join(home.directory, 'attestation.key'), 0o666);
    expect(await warnings()).to.contain(
      "the attestor can't be asked: the file of ATTESTATION_HMAC_KEY_PATH is open to others than its owner",
    );
    rmSync(join(home.directory, 'attestor.token'));
    expect(await warnings()).to.contain("can't be asked: the file of RUNTIME_ATTESTOR_TOKEN_PATH is not there");
  });

  it('with the one shared token, takes what is claimed', async () => {
    await run(false, false);
    const incident_id = await report();
    expect((await post('recovery/ack', { incident_id, operator: 'ada (SOC)' })).status).to.equal(200);
    const [pending] = (await statusOf()).pending_recoveries;
    expect(pending).to.deep.include({ acked_by: 'ada (SOC)' });
    const { json } = await service.get(`/api/v1/incidents/get?id=${incident_id}`);
    expect(json.recovery.acknowledged).to.deep.include({ by: 'ada (SOC)', claimed: true });
    const { status, json: unavailable } = await post('recovery/reattest', { incident_id });
    expect([status, unavailable.error]).to.deep.equal([
      503,
      'RUNTIME_ATTESTOR_URL is not set: there is no attestor to ask',
    ]);
    const { text: metrics } = await service.get('/metrics');
    expect(metrics).to.include('incident_recorder_recoveries{stage="incomplete"} 1');
    expect(metrics).to.include('incident_recorder_recovery_steps_total{outcome="acknowledged"} 1');
  });
});
