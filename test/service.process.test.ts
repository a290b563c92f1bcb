import { chmodSync, copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { HARDENED_NODE } from '../src/build/hardened-node.ts';
import { ROOT, RunningService, runningServices, ServiceHome, TOKEN } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('the service', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  it('records a report, contains it by policy, and takes it to its end', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    expect((await service.get('/health')).json).to.include({ status: 'ok', open_incidents: 0, total_incidents: 0 });

    const reported = await service.report({ evidence: { tool: 'shell', score: 0.93 } });
    expect(reported.status).to.equal(201);
    expect(reported.json).to.deep.include({ state: 'contained', containment_actions: ['freeze_agent', 'log_alert'] });
    const { id } = reported.json;
    expect(reported.headers.location).to.equal(`/api/v1/incidents/get?id=${id}`);

    expect((await service.get('/api/v1/incidents')).json).to.deep.equal([reported.json]);
    expect((await service.get(`/api/v1/incidents/get?id=${id}`)).headers.etag).to.equal(`"${reported.json.version}"`);
    const stale = await service.post('/api/v1/incidents/resolve', { id }, { headers: { 'if-match': '"1"' } });
    expect(stale.status).to.equal(412);
    const resolved = await service.post('/api/v1/incidents/resolve', { id, by: 'ada', note: 'false alarm' });
    expect(resolved.json).to.include({ state: 'resolved', resolved_by: 'ada', note: 'false alarm' });
    const refused = await service.post('/api/v1/incidents/acknowledge', { id });
    expect(refused.status).to.equal(409);
    expect(refused.json).to.deep.include({ state: 'resolved', allowed: [] });

    const history = (await service.get(`/api/v1/incidents/history?id=${id}`)).json;
    expect(history.map(({ event }: { event: string }) => event)).to.deep.equal([
      'incident.reported',
      'alert.raised',
      'incident.resolved',
    ]);
    expect(history.at(-1).entry_hash).to.equal(resolved.json.hash);
    expect((await service.get('/api/v1/stats')).json).to.include({
      total_incidents: 1,
      contained_count: 1,
      resolved_count: 1,
    });

    expect(await service.end()).to.equal(0);
    expect(await home.verify())
      .to.include({ entries: 5, checkpoint: 5 })
      .and.not.have.property('damage');
  });

  it('records a report of 2,000 violations, and whatever else 256 KiB may hold', async () => {
    const home = new ServiceHome(directory());
    const first = await start(home);
    const violations = Array.from({ length: 2000 }, (_, n) => ({
      path: `/usr/lib/python3/dist-packages/module_${n}.py`,
      expected: n,
      found: `changed ${n} bytes`,
    }));
    const room = 255 * 1024;
    const evidences = [
      { violations },
      // These are longer in the log than they were sent.
      { numbers: 'many' },
      { text: '\u0085'.repeat(room / 2) },
      { text: '\u2028'.repeat(room / 3) },
    ];
    const numbers = `[${Array(Math.floor(room / 5))
      .fill('9e15')
      .join()}]`;
    for (const evidence of evidences) {
      const report = { class: 'integrity_violation', source: 'watch', description: 'd', evidence };
      const text = JSON.stringify(report).replace('"many"', numbers);
      const { status, json } = await first.post('/api/v1/incidents/report', text);
      expect(status, text.slice(0, 100)).to.equal(201);
      expect(json.evidence).to.deep.equal(JSON.parse(text).evidence);
    }
    await first.end('SIGKILL');
    const second = await start(home, { env: { MAX_BODY_BYTES: '65536' } });
    expect((await second.get('/api/v1/incidents')).json).to.have.length.above(0);
    expect((await second.get('/api/v1/stats')).json.total_incidents).to.equal(evidences.length);
    const { status, json } = await second.report({ evidence: { violations } });
    expect([status, json.error]).to.deep.equal([413, 'body longer than 64 KiB']);
    expect(await second.end()).to.equal(0);
    await home.expectSound();
  });

  it('after SIGKILL has everything that it acknowledged, and answers a repeated report with the first incident', async () => {
    const home = new ServiceHome(directory());
    const first = await start(home);
    const reports = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        first.report({ description: `report ${n}` }, { 'idempotency-key': `key-${n}` }),
      ),
    );
    const acknowledged = await first.post('/api/v1/incidents/acknowledge', { id: reports[7]!.json.id, by: 'ada' });
    await first.end('SIGKILL');

    const second = await start(home);
    const expected = reports.map(({ json }) => (json.id === acknowledged.json.id ? acknowledged.json : json));
    expect((await second.get('/api/v1/incidents')).json).to.have.deep.members(expected);
    const again = await second.report({ description: 'report 3' }, { 'idempotency-key': 'key-3' });
    expect(again.status).to.equal(200);
    expect(again.headers['idempotent-replayed']).to.equal('true');
    expect(again.json).to.deep.equal(reports[3]!.json);
    expect((await second.get('/health')).json.total_incidents).to.equal(40);
  });

  it('runs as it does on a hardened host: the bundle, compiled before, without JIT and WebAssembly', async () => {
    const service = await start(new ServiceHome(directory()), {
      command: [...HARDENED_NODE.flags, join(ROOT, 'dist/service.cjs')],
      env: { ...HARDENED_NODE.env, NODE_DEBUG: 'incident-recorder' },
    });
    expect(service.errors, 'the cached data serves').to.equal('');
    expect((await service.report()).status).to.equal(201);
    expect((await service.get('/api/v1/incidents?class=prompt_injection')).json).to.have.length(1);
    expect(await service.end()).to.equal(0);
  });

  it('refuses mutations without the right token, and takes a rotated one at once', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    for (const token of [null, 'wrong', `${TOKEN}x`, TOKEN.toUpperCase()]) {
      const refused = await service.send('POST', '/api/v1/incidents/report', { token, body: {} });
      expect(refused.status).to.equal(403);
      expect(refused.json).to.deep.equal({ error: 'forbidden' });
      expect(refused.headers['www-authenticate']).to.equal('Bearer');
    }
    writeFileSync(`${home.token}.new`, 'another-token-0123456789', { mode: 0o600 });
    renameSync(`${home.token}.new`, home.token);
    const rotated = { token: 'another-token-0123456789', body: { id: 'x' } };
    expect((await service.send('POST', '/api/v1/incidents/resolve', rotated)).status).to.equal(404);
    expect((await service.report()).status).to.equal(403);
    expect((await service.get('/health')).status).to.equal(200);
    expect(service.output.join('\n') + service.errors).to.not.match(/token-for-tests|another-token/);
  });

  it('reloads a changed policy and keeps the old one when the new is refused', async () => {
    const home = new ServiceHome(directory());
    const policy = join(home.directory, 'policy.yaml');
    copyFileSync(join(ROOT, 'policy/incident-containment.yaml'), policy);
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });

    writeFileSync(policy, 'version: 1\nrules:\n  prompt_injection: { auto_contain: false }\n');
    const reloaded = await service.post('/api/v1/reload');
    expect(reloaded.json).to.deep.include({ status: 'reloaded' });
    expect((await service.report()).json).to.include({ state: 'open', severity: 'high' });

    writeFileSync(policy, 'version: 2\nrules:\n  prompt_injections: {}\n  tool_call_burst: { actions: [freeze] }\n');
    const refused = await service.post('/reload');
    expect(refused.status).to.equal(422);
    expect(refused.json.faults.map(({ line }: { line: number }) => line)).to.deep.equal([1, 3, 4]);
    expect((await service.report()).json).to.include({ state: 'open' });

    writeFileSync(policy, 'version: 1\n');
    service.process.kill('SIGHUP');
    await service.said('"policy reloaded"');
    // The first reload said so too; the second is known by its effect.
    await service.said('policy.reloaded","seq":5');
    expect((await service.report()).json).to.include({ state: 'contained' });
    await home.expectSound();
  });

  it('without a policy file uses the built-in table and says so', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, { env: { CONTAINMENT_POLICY_PATH: join(home.directory, 'none.yaml') } });
    const { json } = await service.get('/health');
    expect(json).to.have.nested.property('policy.source', 'built-in');
    expect(json.warnings.join()).to.include('none.yaml');
    expect((await service.report()).json.state).to.equal('contained');
  });

  it('serves on a unix socket', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home, { env: { BIND_ADDR: `unix:${join(home.directory, 'api.sock')}` } });
    expect((await service.report()).status).to.equal(201);
  });

  it('keeps a second process off its log, until it has gone', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    expect((await service.report()).status).to.equal(201);
    const { code, errors } = await RunningService.run(home);
    expect(code).to.equal(75);
    expect(errors).to.include('another recorder is running on this log');
    await service.end('SIGKILL');
    expect((await (await start(home)).get('/health')).json.total_incidents).to.equal(1);
  });

  it('goes on reading and refuses to write when its log was damaged', async () => {
    const home = new ServiceHome(directory());
    const first = await start(home);
    for (let n = 0; n < 3; n++) await first.report();
    await first.end();
    writeFileSync(home.log, readFileSync(home.log, 'utf8').replace('a test report', 'a best report'));

    const service = await start(home);
    await service.said('the audit log is damaged');
    const health = await service.get('/health');
    expect(health.status).to.equal(503);
    expect(health.json).to.include({ status: 'degraded', total_incidents: 3 });
    expect(health.json.reasons.join()).to.match(/line 2\): its entry_hash does not match/);
    expect((await service.get('/api/v1/incidents')).json).to.have.length(3);
    const refused = await service.report();
    expect(refused.status).to.equal(503);
    expect(refused.headers['retry-after']).to.match(/^\d+$/);
  });

  describe('does not start', () => {
    for (const [what, spoil, code, message] of [
      ['without a token', (home: ServiceHome) => renameSync(home.token, `${home.token}.away`), 78, /service-token/],
      ['with an empty token', (home: ServiceHome) => writeFileSync(home.token, '\n'), 78, /service-token/],
      [
        'with a token that everybody can read',
        (home: ServiceHome) => chmodSync(home.token, 0o644),
        78,
        /service-token/,
      ],
      ['with a short key', (home: ServiceHome) => writeFileSync(home.key, 'short'), 78, /audit-hmac-key/],
    ] as const) {
      it(what, async () => {
        const home = new ServiceHome(directory());
        spoil(home);
        const ended = await RunningService.run(home);
        expect(ended).to.have.property('code', code);
        expect(ended.errors).to.match(message).and.not.include('    at ');
      });
    }

    it('with faults in its configuration, all of which it names', async () => {
      const home = new ServiceHome(directory());
      const env = { BIND_ADDR: '0.0.0.0:8515', AUDIT_LOG_PATH: 'relative', LIVE_ACTORS: 'many' };
      const { code, errors } = await RunningService.run(home, { env });
      expect(code).to.equal(78);
      for (const name of Object.keys(env)) expect(errors).to.include(name);
    });

    it('with a policy that is refused', async () => {
      const home = new ServiceHome(directory());
      const policy = join(home.directory, 'policy.yaml');
      writeFileSync(policy, 'version: 1\nrules:\n  unauthorised_access: {}\n');
      const { code, errors } = await RunningService.run(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
      expect(code).to.equal(78);
      expect(errors).to.match(/policy\.yaml:3: .*unauthorised_access/);
    });
  });
});
