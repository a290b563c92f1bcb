import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../faults/support/until.ts';
import type { Entry } from '../../src/domain/entries.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { answering, hanging, listeningTargets, type Target } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('a drill', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  const listen = listeningTargets();
  let home: ServiceHome;
  let agent: Target;
  let airlock: Target;
  let service: LocalService;

  const policyOf = (more = ''): string => `version: 1
overdue_after: 2s
targets:
  freeze_agent:
    engage: { url: "${agent.url('/freeze')}", action: freeze }
    release: { url: "${agent.url('/unfreeze')}", action: unfreeze }
    drill: true
${more}  disable_airlock:
    engage: { url: "${airlock.url('/off')}", action: off }
    release: { url: "${airlock.url('/on')}", action: on }
`;

  const begin = async (more?: string): Promise<void> => {
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, policyOf(more));
    service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
  };

  beforeEach(async () => {
    home = new ServiceHome(directory());
    agent = await listen();
    airlock = await listen();
  });

  const get = async (id: string): Promise<Incident> =>
    (await service.get(`/api/v1/incidents/get?id=${id}`)).json as Incident;
  const drill = async (ofClass = 'attestation_failure'): Promise<string> => {
    const { status, json } = await service.post('/api/v1/drill', { class: ofClass, by: 'ada', note: 'monthly' });
    expect(status).to.equal(201);
    return (json as Incident).id;
  };
  const isOver = async (id: string): Promise<boolean> => {
    const { state, drill_releases: releases = [] } = await get(id);
    return state === 'resolved' && releases.every(({ status }) => status !== 'pending' && status !== 'delivering');
  };
  const statuses = ({ containment, drill_releases: releases = [] }: Incident): Record<string, string> =>
    Object.fromEntries([
      ...(containment?.actions ?? []).map(({ action, status }) => [`engage ${action}`, status]),
      ...releases.map(({ action, status }) => [`release ${action}`, status]),
    ]);
  const entriesAbout = (id: string): readonly Entry[] =>
    readFileSync(home.log, 'utf8')
      .split('\n')
      .filter((line) => line.includes(`"incident":"${id}"`))
      .map((line) => JSON.parse(line) as Entry);

  it('goes the whole way with the targets that take part, says everywhere that it is one, and counts nowhere', async () => {
    await begin();
    const before = (await service.get('/api/v1/stats')).json;
    const hours = (await service.get('/api/v1/stats/hours')).json;
    const posture = (await service.get('/api/v1/containment')).text;
    const id = await drill();
    await until(() => isOver(id));
    const incident = await get(id);
    expect(incident).to.deep.include({
      drill: true,
      source: 'drill',
      description: 'A drill: monthly',
      state: 'resolved',
    });
    expect(statuses(incident)).to.deep.equal({
      'engage freeze_agent': 'confirmed',
      'engage disable_airlock': 'superseded',
      'engage force_vault_relock': 'superseded',
      'release freeze_agent': 'confirmed',
    });
    expect(incident.containment?.actions[1]?.last_error).to.equal('not asked: this is a drill');
    expect(agent.received.map(({ path }) => path)).to.deep.equal(['/freeze', '/unfreeze']);
    for (const { headers, body } of agent.received) {
      expect(headers['containment-drill']).to.equal('true');
      expect(body.reason).to.equal('DRILL: attestation_failure: A drill: monthly');
    }
    expect(airlock.received).to.deep.equal([]);

    expect((await service.get('/api/v1/stats')).json).to.deep.equal(before);
    expect((await service.get('/api/v1/stats/hours')).json).to.deep.equal(hours);
    expect((await service.get('/api/v1/containment')).text).to.equal(posture);
    const { text } = await service.get('/metrics');
    expect(text).to.contain('incident_recorder_transitions_total{state="resolved"} 0');
    expect(text).to.contain('outcome="confirmed"} 0');
    const list = (await service.get('/api/v1/incidents?class=attestation_failure')).json as Incident[];
    expect(list.map((one) => [one.id, one.drill])).to.deep.equal([[id, true]]);
    const entries = entriesAbout(id);
    expect(entries.every(({ data }) => 'drill' in data && data.drill)).to.equal(true);
    expect(entries[0]?.data).to.deep.include({ principal: 'service-token', role: 'operator', by: 'ada' });
    await service.stop();
    await home.expectSound();
  });

  it('raises alerts that say that it is one', async () => {
    await begin();
    const id = await drill('prompt_injection');
    await until(() => isOver(id));
    const alert = entriesAbout(id).find(({ event }) => event === 'alert.raised');
    expect(alert?.data).to.deep.include({ drill: true, reason: 'drill: containment asked for log_alert' });
  });

  it('hides no real incident, and its end does not release what that holds', async () => {
    agent.behaviours = [answering(202)];
    await begin('    confirm: callback\n');
    const id = await drill();
    await agent.receives(1);
    const { json } = await service.report({ class: 'tool_call_burst' });
    const real = (json as Incident).id;
    await agent.receives(2);
    expect(agent.received[1]?.headers).to.not.have.property('containment-drill');
    expect(agent.received[1]?.body.incident_id).to.equal(real);

    const confirm = { action: 'freeze_agent', directive: 'engage' };
    await service.post('/api/v1/containment/confirm', { ...confirm, incident_id: id });
    expect((await get(real)).containment?.actions[0]?.status).to.equal('delivering');
    await until(() => isOver(id));
    expect(statuses(await get(id))).to.deep.include({
      'engage freeze_agent': 'confirmed',
      'release freeze_agent': 'superseded',
    });
    expect((await get(id)).drill_releases?.[0]?.last_error).to.equal('not released: a real incident asks for it');
    const { json: view } = await service.get('/api/v1/containment/freeze_agent');
    expect([view.engaged, view.held_by]).to.deep.equal([true, [real]]);
    expect(agent.received.some(({ path }) => path === '/unfreeze')).to.equal(false);

    const { json: confirmed } = await service.post('/api/v1/containment/confirm', confirm);
    expect(confirmed.confirmed).to.equal(1);
    await service.post('/api/v1/incidents/resolve', { id: real });
    await until(async () => agent.received.some(({ path }) => path === '/unfreeze'));
    expect(agent.received.at(-1)?.body.incident_id).to.equal(real);
  });

  it('asks for nothing that a real incident holds', async () => {
    await begin();
    const { json } = await service.report({ class: 'tool_call_burst' });
    await agent.receives(1);
    await until(async () => (await get((json as Incident).id)).containment?.status === 'confirmed');
    const id = await drill();
    await until(() => isOver(id));
    expect(statuses(await get(id))['engage freeze_agent']).to.equal('superseded');
    expect((await get(id)).drill_releases).to.deep.equal([]);
    expect(agent.received).to.have.lengthOf(1);
  });

  it('lets a real directive go first, also while its own attempt hangs', async () => {
    agent.behaviours = [hanging, answering(200, '{"success":true}')];
    await begin();
    const id = await drill();
    await agent.receives(1);
    const since = Date.now();
    const { json } = await service.report({ class: 'tool_call_burst' });
    await until(async () => (await get((json as Incident).id)).containment?.status === 'confirmed');
    expect(Date.now() - since).to.be.below(2500);
    await until(() => isOver(id));
    expect((await service.get('/api/v1/containment/freeze_agent')).json.engaged).to.equal(true);
    expect(agent.received.some(({ path }) => path === '/unfreeze')).to.equal(false);
  });

  it('is one at a time, takes no burst or further report, and ends after a time although nobody answers', async () => {
    agent.behaviours = [answering(503)];
    await begin();
    const id = await drill('tool_call_burst');
    const second = await service.post('/api/v1/drill', { class: 'tool_call_burst' });
    expect([second.status, second.json.incident]).to.deep.equal([409, id]);
    const report = await service.report({ class: 'tool_call_burst', source: 'drill' });
    expect([report.status, report.json.id === id, report.json.drill]).to.deep.equal([201, false, undefined]);
    await until(async () => (await get(id)).state === 'resolved');
    expect(statuses(await get(id))['engage freeze_agent']).to.equal('superseded');
    const retry = await service.post('/api/v1/containment/retry', { action: 'freeze_agent', incident_id: id });
    expect(retry.status).to.equal(409);
  });

  it('is refused to a class that there is not, and without the token', async () => {
    await begin();
    const { status, json } = await service.post('/api/v1/drill', { class: 'fire' });
    expect([status, json.error, json.allowed.length]).to.deep.equal([400, 'invalid incident class', 9]);
    expect((await service.post('/api/v1/drill', {})).json.error).to.equal('class is required');
    expect((await service.post('/api/v1/drill', { class: 'tool_call_burst' }, { token: null })).status).to.equal(403);
  });
});
