import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { HOUR, SECOND, timestamp } from '../../../src/clock.ts';
import { run } from '../../cli/support/command-line.ts';
import { until } from '../../faults/support/until.ts';
import { type RunningService, runningServices, ServiceHome } from '../../support/running-service.ts';
import { answering, listeningTargets } from '../../support/target.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

const REPORT = { class: 'prompt_injection', source: 'tool-firewall', description: 'ＡＧＥＮＴ refusé' };

describe('POST /api/v1/silences', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  const listen = listeningTargets();

  const needing = async (service: RunningService): Promise<readonly unknown[]> => {
    const { json: health } = await service.get('/health');
    const { json: stats } = await service.get('/api/v1/stats');
    const { json: listed } = await service.get('/api/v1/incidents?attention=true');
    return [health.needs_attention, stats.needs_attention, listed.map(({ id }: { id: string }) => id)];
  };
  const add = (service: RunningService, more: object) =>
    service.post('/api/v1/silences', { reason: 'an update', ...more });

  it('is silent after SIGKILL and a restart, and ends by itself when the clock says so', async () => {
    const home = new ServiceHome(directory());
    let service = await start(home);
    const { json: silenced } = await service.post('/api/v1/incidents/report', REPORT);
    const { json: other } = await service.post('/api/v1/incidents/report', { ...REPORT, source: 'canary' });
    expect(silenced.state).to.equal('contained');
    const end = Date.now() + 15 * SECOND;
    const { status, json: silence } = await add(service, {
      source: ['tool-firewall'],
      q: 'agent REFUSE',
      until: timestamp(end),
      by: 'ada',
    });
    expect([status, silence.state, silence.matches, silence.expires_soon, silence.by]).to.deep.equal([
      201,
      'active',
      1,
      true,
      'ada',
    ]);
    expect(await needing(service)).to.deep.equal([1, 1, [other.id]]);
    await service.end('SIGKILL');

    service = await start(home);
    expect(await needing(service)).to.deep.equal([1, 1, [other.id]]);
    const { json: hidden } = await service.get('/api/v1/incidents?silenced=true');
    expect(hidden.map(({ id }: { id: string }) => id)).to.deep.equal([silenced.id]);
    const { json: health } = await service.get('/health');
    expect(health.warnings.join('\n')).to.match(new RegExp(`the silence ${silence.id} expires in \\d+ s`));
    expect(Date.now()).to.be.below(end);
    await until(async () => (await service.get('/health')).json.needs_attention === 2);
    expect(Date.now()).to.be.at.least(end);
    const { json: listed } = await service.get('/api/v1/silences');
    expect(listed).to.deep.equal([{ ...silence, state: 'expired', expires_soon: false, matches: 0 }]);
    expect((await service.get('/metrics')).text).to.contain('incident_recorder_incidents_needing_attention 2');
    expect((await service.get('/health')).json.warnings.join()).to.not.contain(silence.id);
    await service.end();
    await home.expectSound();
  });

  it('keeps silences under another audit key, in a backup, and without the database', async () => {
    const home = new ServiceHome(directory());
    let service = await start(home);
    await service.post('/api/v1/incidents/report', REPORT);
    const { json: silence } = await add(service, { class: ['prompt_injection'], until: timestamp(Date.now() + HOUR) });
    await service.end();

    const newKey = join(home.directory, 'new-key');
    writeFileSync(newKey, 'the new audit key, which is long enough', { mode: 0o600 });
    const rotated = await run(['rotate-key', home.log, '--old-key', home.key, '--new-key', newKey]);
    expect([rotated.status, rotated.stderr]).to.deep.equal([0, '']);
    const env = { AUDIT_HMAC_KEY_PATH: newKey };
    service = await start(home, { env });
    expect((await service.get('/api/v1/silences')).json).to.deep.equal([silence]);
    await service.end();
    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(join(home.directory, `audit.sqlite${suffix}`), { force: true });
    }
    service = await start(home, { env });
    expect((await service.get('/api/v1/silences')).json).to.deep.equal([silence]);

    const into = join(directory(), 'backup');
    const made = await run(['backup', into, '--log', home.log, '--key', newKey]);
    expect(made.status).to.equal(0);
    await service.end();
    const elsewhere = new ServiceHome(directory());
    const restored = await run(['restore', into, '--log', elsewhere.log, '--key', newKey]);
    expect([restored.status, restored.stderr]).to.deep.equal([0, '']);
    service = await start(elsewhere, { env });
    expect((await service.get('/api/v1/silences')).json).to.deep.equal([silence]);
    expect((await service.get('/health')).json.needs_attention).to.equal(0);
    await service.end();
  });

  it('is asked for by field, and an entry webhook gets everything', async () => {
    const home = new ServiceHome(directory());
    const target = await listen(0, answering(204));
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, `version: 1\nnotify: [{ url: "${target.url('/hook')}" }]\n`);
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    const soon = timestamp(Date.now() + HOUR);
    const why = async (body: object): Promise<readonly [number, string]> => {
      const { status, json } = await service.post('/api/v1/silences', body);
      return [status, json.error];
    };
    expect(await why({ source: ['a'], until: soon })).to.deep.equal([400, 'until and reason are required']);
    expect(await why({ source: ['a'], until: soon, reason: ' ' })).to.deep.equal([
      400,
      'until and reason are required',
    ]);
    expect((await why({ class: ['nonsense'], until: soon, reason: 'x' }))[1]).to.equal('invalid class');
    expect((await why({ severity: 'high', until: soon, reason: 'x' }))[1]).to.equal('severity must be a list');
    expect((await why({ source: [''], until: soon, reason: 'x' }))[1]).to.equal('source must not be blank');
    expect((await why({ source: ['a'], until: 'tomorrow', reason: 'x' }))[1]).to.match(/^until must be an RFC 3339/);
    expect((await why({ until: soon, reason: 'x' }))[0]).to.equal(400);
    expect((await why({ class: [], until: soon, reason: 'x' }))[1]).to.match(/at least one of class, source/);
    expect((await why({ source: ['a'], until: soon, reason: 'x', who: 'me' }))[1]).to.match(/unknown field "who"/);

    const { json: silence } = await add(service, { severity: ['critical', 'high', 'medium'], until: soon });
    await service.post('/api/v1/incidents/report', REPORT);
    const { status, json: ended } = await service.post('/api/v1/silences/end', { id: silence.id, reason: 'done' });
    expect([status, ended.state, ended.ended_reason]).to.deep.equal([200, 'ended', 'done']);
    expect((await service.post('/api/v1/silences/end', { id: 'SIL-20261122-000000000000' })).status).to.equal(404);
    await until(async () => target.received.some(({ body }) => body.event === 'silence.ended'));
    const events = target.received.map(({ body }) => body.event);
    expect(events).to.include.members(['silence.added', 'incident.reported', 'silence.ended']);
    await service.end();
  });
});
