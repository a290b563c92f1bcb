import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../../faults/support/until.ts';
import { eventually } from '../../support/eventually.ts';
import { runningServices, ServiceHome } from '../../support/running-service.ts';
import { answering, listeningTargets } from '../../support/target.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

describe('POST /api/v1/heartbeat', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  const listen = listeningTargets();

  it('keeps a guard heard; one that falls silent is in health, metrics and log, also after a restart', async () => {
    const home = new ServiceHome(directory());
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(
      policy,
      'version: 1\nexpect: [{ source: runtime-attestor, every: 2s }, { source: canary, every: 1h }]\n',
    );
    const env = { CONTAINMENT_POLICY_PATH: policy };
    const service = await start(home, { env });
    const { status, json } = await service.post('/api/v1/heartbeat', { source: 'canary' });
    expect([status, json.status, json.every_seconds]).to.deep.equal([200, 'heard', 3600]);
    expect((await service.post('/api/v1/heartbeat', { source: 'canary' }, { token: null })).status).to.equal(403);
    const unknown = await service.post('/api/v1/heartbeat', { source: 'nobody' });
    expect([unknown.status, unknown.json.allowed]).to.deep.equal([404, ['runtime-attestor', 'canary']]);
    expect((await service.post('/api/v1/heartbeat', {})).status).to.equal(400);

    const silent = async () => (await service.get('/health')).json.guards[0].status === 'silent';
    await until(silent);
    const { json: health } = await service.get('/health');
    expect(health.status).to.equal('ok');
    expect(health.warnings.join()).to.contain(
      'the guard runtime-attestor is silent: expected every 2 s, and never heard',
    );
    const { text } = await service.get('/metrics');
    expect(text).to.contain('incident_recorder_guard_silent{source="runtime-attestor"} 1');
    expect(text).to.contain('incident_recorder_guard_silent{source="canary"} 0');
    await service.end('SIGKILL');

    const again = await start(home, { env });
    const { json: after } = await again.get('/health');
    expect(after.guards.map((guard: { status: string }) => guard.status)).to.deep.equal(['silent', 'awaited']);
    await again.report({ source: 'runtime-attestor', class: 'attestation_failure' });
    await until(async () => (await again.get('/health')).json.guards[0].status === 'heard');
    await again.end();
    await home.expectSound();
  });

  it('has its counterpart: webhooks hear that the recorder lives, beside their entries', async () => {
    const home = new ServiceHome(directory());
    const target = await listen(0, answering(204));
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, `version: 1\nnotify: [{ url: "${target.url('/hook')}", heartbeat: 1s }]\n`);
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    await service.report();
    const alive = () => target.received.filter(({ body }) => body.event === 'recorder.alive');
    await eventually(() => alive().length >= 2);
    expect(alive()[0]?.body.data.log_id).to.match(/^[0-9a-f]{64}$/);
    const seqs = target.received
      .filter(({ body }) => body.event !== 'recorder.alive')
      .map(({ body }) => body.data.seq as number);
    expect(seqs).to.deep.equal(seqs.toSorted((one, other) => one - other));
    await service.end();
  });
});
