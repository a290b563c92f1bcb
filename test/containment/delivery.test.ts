import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { answering, dyingInMidAnswer, hanging, Target } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const burst = { class: 'tool_call_burst', source: 'tool-firewall', description: '400 calls in a second' };

describe('the delivery of containment', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  const targets: Target[] = [];

  const listen = async (...args: Parameters<typeof Target.listen>): Promise<Target> => {
    const target = await Target.listen(...args);
    targets.push(target);
    return target;
  };

  afterEach(async () => {
    await Promise.all(targets.splice(0).map((target) => target.close()));
  });

  const homeWith = (policy: string): { home: ServiceHome; env: Record<string, string> } => {
    const home = new ServiceHome(directory());
    const path = join(home.directory, 'policy.yaml');
    writeFileSync(path, `version: 1\n${policy}`);
    return { home, env: { CONTAINMENT_POLICY_PATH: path } };
  };

  const until = async (service: LocalService, id: string, status: string) => {
    const get = async () => (await service.get(`/api/v1/incidents/get?id=${id}`)).json;
    await service.until(async () => (await get()).containment.status === status);
    return get();
  };

  it('tells the service at once, in its own words, and confirms by its answer', async () => {
    const agent = await listen();
    const { home, env } = homeWith(`targets:
  freeze_agent:
    engage: { url: "${agent.url('/api/v1/freeze')}", action: freeze }
    release: { url: "${agent.url('/api/v1/unfreeze')}", action: unfreeze }
`);
    const service = await start(home, { env });
    const reported = await service.report(burst);
    expect(reported.json.containment).to.deep.equal({
      status: 'delivering',
      actions: [
        {
          action: 'freeze_agent',
          status: 'pending',
          via: 'push',
          attempts: 0,
          waited_ms: 0,
          asked_at: reported.json.created_at,
          asked_seq: 2,
        },
      ],
    });
    const [engage] = await agent.receives(1);
    const { id } = reported.json;
    expect(engage?.path).to.equal('/api/v1/freeze');
    expect(engage?.body).to.deep.equal({
      action: 'freeze',
      incident_id: id,
      reason: 'tool_call_burst: 400 calls in a second',
    });
    expect(engage?.headers).to.include({
      'idempotency-key': `${id}-freeze_agent-engage`,
      'containment-directive': 'engage',
      'incident-class': 'tool_call_burst',
      'incident-severity': 'medium',
    });
    const confirmed = await until(service, id, 'confirmed');
    expect(confirmed.state).to.equal('contained');
    expect(confirmed.containment.actions[0]).to.include({ status: 'confirmed', attempts: 1 });
    expect((await service.get('/api/v1/containment/freeze_agent')).json).to.deep.include({
      action: 'freeze_agent',
      engaged: true,
      holders: 1,
      held_by: [id],
      via: 'push',
    });
    await service.post('/api/v1/incidents/resolve', { id, by: 'operator' });
    const [, release] = await agent.receives(2);
    expect(release?.path).to.equal('/api/v1/unfreeze');
    expect(release?.headers['idempotency-key']).to.equal(`${id}-freeze_agent-release`);
    await service.stop();
    await home.expectSound();
  });

  it('tries again when the answer says so or none comes, and gives up when that is pointless', async () => {
    const agent = await listen(0, answering(500, 'busy'), dyingInMidAnswer, answering(200));
    const airlock = await listen(0, answering(422, 'no such path'));
    const { home, env } = homeWith(`targets:
  freeze_agent: { engage: { url: "${agent.url('/freeze')}", action: freeze } }
  disable_airlock: { engage: { url: "${airlock.url('/disable')}", action: disable } }
`);
    const service = await start(home, { env });
    const { json } = await service.report({ ...burst, class: 'attestation_failure' });
    await agent.receives(3);
    const degraded = await until(service, json.id, 'degraded');
    const [freeze, disable] = degraded.containment.actions;
    expect(disable).to.include({ status: 'failed', attempts: 1, last_error: 'answered 422' });
    expect(new Set(agent.received.map(({ headers }) => headers['idempotency-key'])).size).to.equal(1);
    expect(freeze.attempts).to.be.within(2, 3);
    const history = (await service.get(`/api/v1/incidents/history?id=${json.id}`)).json;
    expect(history.map(({ event }: { event: string }) => event)).to.include('alert.raised');
    await service.stop();
  });

  it('is not held up by a service that hangs', async () => {
    const agent = await listen(0, hanging);
    const airlock = await listen();
    const { home, env } = homeWith(`targets:
  freeze_agent: { engage: { url: "${agent.url('/freeze')}", action: freeze }, timeout: 60s }
  disable_airlock: { engage: { url: "${airlock.url('/disable')}", action: disable } }
`);
    const service = await start(home, { env });
    await service.report(burst);
    await agent.receives(1);
    await service.report({ ...burst, class: 'attestation_failure' });
    await airlock.receives(1);
    await service.stop();
  });
});
