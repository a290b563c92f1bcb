/** One action is released early while its incident stays: over HTTP, with a real receiving service, and over a SIGKILL. */
import { createHash } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../faults/support/until.ts';
import { type Answer, type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { answering, hanging, listeningTargets, type Target } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const tokenOf = (name: string): string => `a-token-of-${name}-0123456789`;
const principal = (name: string, roles: string): string =>
  `  ${name}: { roles: [${roles}], token_sha256: ${createHash('sha256').update(tokenOf(name)).digest('hex')} }\n`;
const ACCESS = `version: 1\nservice_token: { roles: [reader, reporter, implementer, operator, recovery, admin], sources: any, classes: any, actions: any }\nprincipals:\n${principal('ada', 'operator')}${principal('rea', 'recovery')}${principal('eve', 'reader')}`;

const HELD = { class: 'tool_call_burst' };
const REASON = 'the agent is needed';

describe('an early release, carried out by a running service', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  const listen = listeningTargets();
  let home: ServiceHome;
  let policy: string;
  let service: RunningService;
  let target: Target;

  beforeEach(async () => {
    home = new ServiceHome(directory());
    policy = join(home.directory, 'policy.yaml');
    target = await listen(0);
  });

  const begin = async (): Promise<void> => {
    service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
  };
  const run = async (targets: string, more = ''): Promise<void> => {
    const rules = `tool_call_burst: { auto_contain: true, actions: [freeze_agent, disable_airlock, log_alert] }`;
    writeFileSync(policy, `version: 1\nrules: { ${rules}${more} }\ntargets: { ${targets} }\n`);
    writeFileSync(home.access, ACCESS, { mode: 0o640 });
    await begin();
  };
  const pushed = (): string =>
    ['freeze_agent', 'disable_airlock']
      .map(
        (action) =>
          `${action}: { engage: { url: "${target.url(`/${action}`)}", action: on }, release: { url: "${target.url(`/${action}/release`)}", action: off } }`,
      )
      .join(', ');
  const report = async (fields: object = HELD): Promise<string> => (await service.report({ ...fields })).json.id;
  const release = (id: string, more: object = {}, options: object = {}): Promise<Answer> =>
    service.post('/api/v1/containment/release', { id, action: 'freeze_agent', reason: REASON, ...more }, options);
  const incident = async (id: string) => (await service.get(`/api/v1/incidents/get?id=${id}`)).json;
  const posture = async (action = 'freeze_agent') => (await service.get(`/api/v1/containment/${action}`)).json;
  const deliveryOf = async (id: string, action = 'freeze_agent') =>
    (await incident(id)).containment.actions.find((one: { action: string }) => one.action === action);
  const untilConfirmed = (id: string, action = 'freeze_agent'): Promise<void> =>
    until(async () => (await deliveryOf(id, action)).status === 'confirmed');
  const released = (): Promise<void> =>
    until(async () => {
      const { directive, status } = (await posture()).delivery;
      return directive === 'release' && status === 'confirmed';
    });

  it('releases what nobody else holds, under keys of its own each time, and the incident stays', async () => {
    await run(pushed());
    const id = await report();
    await untilConfirmed(id);
    await untilConfirmed(id, 'disable_airlock');
    const { status, json, headers } = await release(id, { by: 'grace' });
    expect(status).to.equal(200);
    expect(json).to.deep.include({
      id,
      state: 'contained',
      containment_actions: ['disable_airlock', 'log_alert'],
      release: { action: 'freeze_agent', releases: true, others: 0 },
    });
    expect(json.containment.status).to.equal('confirmed');
    expect(json.containment_results.map(({ action }: { action: string }) => action)).to.deep.equal([
      'disable_airlock',
      'log_alert',
    ]);
    expect(headers.etag).to.equal(`"${json.version}"`);
    expect((await deliveryOf(id)).released_early).to.deep.include({
      by: 'grace',
      claimed: true,
      role: 'operator',
      reason: REASON,
    });
    await released();
    const again = await service.post('/api/v1/incidents/contain', { id });
    expect(again.json.containment_actions).to.have.members(['freeze_agent', 'disable_airlock', 'log_alert']);
    await untilConfirmed(id);
    expect(await deliveryOf(id))
      .to.include({ round: 1 })
      .and.not.have.property('released_early');
    await service.post('/api/v1/incidents/resolve', { id });
    await released();
    const keys = target.received
      .filter(({ path }) => path.startsWith('/freeze_agent'))
      .map(({ path, headers: sent }) => `${path} ${String(sent['idempotency-key']).replace(id, '')}`);
    expect(keys).to.deep.equal([
      '/freeze_agent -freeze_agent-engage',
      '/freeze_agent/release -freeze_agent-release',
      '/freeze_agent -freeze_agent-engage-again1',
      '/freeze_agent/release -freeze_agent-release-again1',
    ]);
    const events = (await service.get(`/api/v1/incidents/history?id=${id}`)).json;
    const entry = events.find(({ event }: { event: string }) => event === 'containment.released');
    expect(entry.data).to.deep.include({
      action: 'freeze_agent',
      directive: 'release',
      reason: REASON,
      by: 'grace',
      role: 'operator',
      intents: [{ action: 'freeze_agent', directive: 'release', via: 'push' }],
    });
    await service.end();
    await home.expectSound();
  });

  it('leaves in force what others hold, and says so', async () => {
    await run('');
    const [one, other] = [await report(), await report()];
    expect((await release(one)).json.release).to.deep.equal({ action: 'freeze_agent', releases: false, others: 1 });
    expect(await posture()).to.include({ engaged: true, holders: 1 });
    expect((await posture()).held_by).to.deep.equal([other]);
    expect((await release(other)).json.release).to.deep.equal({ action: 'freeze_agent', releases: true, others: 0 });
    expect(await posture()).to.deep.include({ engaged: false, holders: 0 });
    // Its service fetches the release, and confirms it.
    const confirmed = await service.post('/api/v1/containment/confirm', {
      action: 'freeze_agent',
      directive: 'release',
    });
    expect(confirmed.json.confirmed).to.equal(1);
    expect((await posture()).carried_out).to.deep.include({ by: 'confirmation' });
  });

  it('opens the incident with its last action; contain and a further report ask for all again', async () => {
    await run('');
    const id = await report({ ...HELD, dedup_key: 'same' });
    await release(id);
    const { json } = await release(id, { action: 'disable_airlock' });
    expect(json).to.deep.include({ state: 'open', containment_actions: [] });
    expect(json).not.to.have.property('containment_results');
    expect(await posture('log_alert')).to.include({ holders: 0 });
    const contained = await service.post('/api/v1/incidents/contain', { id });
    expect(contained.json.state).to.equal('contained');
    expect(contained.json.containment_actions).to.have.members(['freeze_agent', 'disable_airlock', 'log_alert']);
    await release(id);
    const recurred = (await service.report({ ...HELD, dedup_key: 'same' })).json;
    expect(recurred.containment_actions).to.include('freeze_agent');
    const events = (await service.get(`/api/v1/incidents/history?id=${id}`)).json;
    expect(events.at(-2)).to.deep.include({ event: 'incident.recurred' });
    expect(events.at(-2).data.released_early).to.deep.equal(['freeze_agent']);
    expect(events.at(-1).data.reason).to.include('asks again for freeze_agent, which was released early');
  });

  it('refuses what it can not do, and says why', async () => {
    await run('');
    const id = await report();
    const expectRefused = async (answer: Promise<Answer>, status: number, words: object): Promise<void> => {
      const { status: got, json } = await answer;
      expect(got, JSON.stringify(json)).to.equal(status);
      expect(json).to.deep.include(words);
    };
    await expectRefused(release(id, { reason: ' ' }), 400, { error: 'id, action, and reason are required' });
    const unknown = await release(id, { action: 'open_doors' });
    expect([unknown.status, unknown.json.error]).to.deep.equal([400, 'invalid action']);
    expect(unknown.json.allowed).to.include('freeze_agent');
    await expectRefused(release('INC-20261122-000000000000'), 404, { error: 'incident not found' });
    await expectRefused(release(id, {}, { headers: { 'If-Match': '"2"' } }), 200, { id });
    await expectRefused(release(id, { action: 'disable_airlock' }, { headers: { 'If-Match': '"1"' } }), 412, {
      version: 3,
    });
    await expectRefused(release(id), 409, {
      error: 'the incident does not hold freeze_agent; it holds disable_airlock',
      holds: ['disable_airlock'],
    });
    const alert = await release(id, { action: 'log_alert' });
    expect(alert.status).to.equal(409);
    expect(alert.json.error).to.include('there is nothing to release');
    await service.post('/api/v1/incidents/resolve', { id });
    await expectRefused(release(id, { action: 'disable_airlock' }), 409, { state: 'resolved', holds: [] });
    for (const name of ['eve', 'rea']) {
      const { status, json } = await release(await report(), {}, { token: tokenOf(name) });
      expect([status, json.needs.includes('operator')], name).to.deep.equal([403, true]);
    }
    expect((await release(await report(), {}, { token: tokenOf('ada') })).status).to.equal(200);
  });

  it('is for the role recovery where one is asked for, voids what was done, and alerts', async () => {
    const rule =
      'integrity_violation: { auto_contain: true, actions: [freeze_agent, disable_airlock], recovery: { acknowledge: true } }';
    await run('', `, ${rule}`);
    const id = await report({ class: 'integrity_violation' });
    const refused = await release(id, {}, { token: tokenOf('ada') });
    expect([refused.status, refused.json.needs]).to.deep.equal([403, ['recovery']]);
    await service.post('/api/v1/recovery/ack', { incident_id: id }, { token: tokenOf('rea') });
    const { status, json } = await release(id, {}, { token: tokenOf('rea') });
    expect([status, json.recovery.missing]).to.deep.equal([200, ['acknowledge']]);
    expect(json.recovery.voided.reason).to.equal('freeze_agent was released early');
    await release(id, { action: 'disable_airlock' }, { token: tokenOf('rea') });
    const events = (await service.get(`/api/v1/incidents/history?id=${id}`)).json;
    expect(events.at(-1).data.reason).to.include('disable_airlock was released early by rea before its recovery');
    expect((await service.post('/api/v1/incidents/resolve', { id })).status).to.equal(409);
  });

  it('does not release a drill: that ends by itself', async () => {
    target.behaviours = [hanging];
    await run(`freeze_agent: { engage: { url: "${target.url('/')}", action: on }, drill: true }`);
    const { id } = (await service.post('/api/v1/drill', { class: 'tool_call_burst' })).json;
    const { status, json } = await release(id);
    expect([status, json.error]).to.deep.equal([
      409,
      'the incident is a drill: what it asks for is released when it ends',
    ]);
  });

  it('needs a person for a release by hand, and is lost, overdue and confirmed like any other', async () => {
    await run('freeze_agent: { engage: { url: "http://127.0.0.1:9/", action: on }, release: manual }');
    const id = await report();
    await release(id);
    expect(await posture()).to.deep.include({ to_do: 'release by hand' });
    const body = { action: 'freeze_agent', directive: 'release', incident_id: id };
    expect((await service.post('/api/v1/containment/confirm', body)).json.confirmed).to.equal(1);
    expect(await posture()).not.to.have.property('to_do');
    await service.post('/api/v1/containment/confirm', { ...body, observed: 'engaged' });
    expect((await posture()).delivery.status).to.equal('lost');
  });

  it('survives a SIGKILL between its entry and its delivery, and a replay leads to the same', async () => {
    target.behaviours = [answering(200, '{"success":true}')];
    await run(pushed());
    const id = await report();
    await untilConfirmed(id);
    await untilConfirmed(id, 'disable_airlock');
    target.behaviours = [hanging];
    await release(id);
    await target.receives(3);
    const [before, stood] = [await incident(id), await posture()];
    await service.end('SIGKILL');
    for (const name of readdirSync(home.directory)) {
      if (name.includes('.sqlite') || name.includes('.db')) rmSync(join(home.directory, name));
    }
    target.behaviours = [hanging];
    await begin();
    expect(await incident(id)).to.deep.equal(before);
    expect({ ...(await posture()), verified: undefined }).to.deep.equal({ ...stood, verified: undefined });
    await target.receives(4);
    const keys = target.received.slice(2).map(({ headers }) => headers['idempotency-key']);
    expect(keys).to.deep.equal([`${id}-freeze_agent-release`, `${id}-freeze_agent-release`]);
    await service.end();
    await home.expectSound();
  });
});
