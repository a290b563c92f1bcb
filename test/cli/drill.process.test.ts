import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Incident } from '../../src/domain/incident.ts';
import { databasePath } from '../../src/projections/database.ts';
import { until } from '../faults/support/until.ts';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { answering, hanging, listeningTargets, type Target } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run } from './support/command-line.ts';

describe('incident-recorder drill', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  const listen = listeningTargets();
  let home: ServiceHome;
  let target: Target;
  let env: Record<string, string>;

  const takesPart = (drill: boolean): void => {
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(
      policy,
      `version: 1
overdue_after: 1s
targets:
  freeze_agent:
    engage: { url: "${target.url('/freeze')}", action: freeze }
    release: { url: "${target.url('/unfreeze')}", action: unfreeze }
    drill: ${drill}
`,
    );
    env = { CONTAINMENT_POLICY_PATH: policy };
  };

  beforeEach(async () => {
    home = new ServiceHome(directory());
    target = await listen();
    takesPart(true);
  });

  const commandLine = (port: number, ...args: readonly string[]) =>
    run([...args, '--url', `http://127.0.0.1:${port}`, '--token-file', home.token]);

  it('says what answered and how fast, and succeeds only when all that was asked did', async () => {
    const { port } = await start(home, { env });
    const passed = await commandLine(port, 'drill', 'attestation_failure', '--note', 'monthly');
    expect(passed.status, passed.stderr).to.equal(0);
    const lines = passed.stdout.trimEnd().split('\n');
    expect(lines[0]).to.match(/^INC-\S+ {2}drill of attestation_failure$/);
    expect(lines[2]).to.match(/^freeze_agent +engage +answered +\d+ ms$/);
    expect(lines[3]).to.match(/^disable_airlock +engage +not asked +not asked: this is a drill$/);
    expect(lines.at(-1)).to.match(/^freeze_agent +release +answered +\d+ ms$/);

    target.behaviours = [answering(503), answering(503), answering(503), answering(200, '{"success":true}')];
    const failed = await commandLine(port, 'drill', 'tool_call_burst', '--json');
    const { passed: isPassed, results } = JSON.parse(failed.stdout);
    const [engaged] = results as readonly { readonly outcome: string }[];
    expect([failed.status, isPassed]).to.deep.equal(engaged?.outcome === 'answered' ? [0, true] : [1, false]);

    target.behaviours = [answering(422)];
    expect((await commandLine(port, 'drill', 'tool_call_burst')).status).to.equal(1);
    const wrong = await commandLine(port, 'drill', 'fire');
    expect(wrong.status).to.equal(2);
    const shown = await commandLine(port, 'show', lines[0]!.split(' ')[0]!);
    expect(shown.stdout).to.match(/drill +a rehearsal: it counts nowhere/);
  });

  it('says what a person has to release, where the target has no address for that', async () => {
    const policy = join(home.directory, 'manual.yaml');
    const engage = `engage: { url: "${target.url('/freeze')}", action: freeze }`;
    writeFileSync(policy, `version: 1\ntargets:\n  freeze_agent: { ${engage}, release: manual, drill: true }\n`);
    const { port } = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    const { status, stdout, stderr } = await commandLine(port, 'drill', 'tool_call_burst');
    expect([status, stderr]).to.deep.equal([0, 'release by hand what the drill has engaged: freeze_agent\n']);
    expect(stdout.trimEnd().split('\n').at(-1)).to.match(/^freeze_agent +release +by hand +the policy has no address/);
    const { results, passed } = JSON.parse((await commandLine(port, 'drill', 'tool_call_burst', '--json')).stdout);
    expect([passed, results[1].outcome]).to.deep.equal([true, 'by hand']);
  });

  it('fails where nobody was asked', async () => {
    takesPart(false);
    const { port } = await start(home, { env });
    const { status, stderr } = await commandLine(port, 'drill', 'tool_call_burst');
    expect([status, stderr]).to.deep.equal([
      1,
      'nothing was asked: no target of this class takes part (drill: true in the policy)\n',
    ]);
    expect(target.received).to.deep.equal([]);
  });

  it('ends and is released after a crash in its middle, and the record is the same when it is rebuilt', async () => {
    target.behaviours = [hanging, answering(200, '{"success":true}')];
    const service = await start(home, { env });
    const { json } = await service.post('/api/v1/drill', { class: 'tool_call_burst' });
    const { id } = json as Incident;
    await target.receives(1);
    await service.end('SIGKILL');

    const again = await start(home, { env });
    const get = async () => (await again.get(`/api/v1/incidents/get?id=${id}`)).json as Incident;
    await until(async () => (await get()).drill_releases?.[0]?.status === 'confirmed');
    expect(target.received.map(({ path }) => path)).to.deep.equal(['/freeze', '/unfreeze']);
    const list = await commandLine(again.port, 'list');
    expect(list.stdout).to.contain('tool_call_burst (drill)');
    expect((await again.get('/health')).json.audit.findings).to.deep.equal([]);
    const before = { incident: await get(), stats: (await again.get('/api/v1/stats')).json };
    expect(before.stats.total_incidents).to.equal(0);
    await again.end();
    await home.expectSound();

    for (const end of ['', '-wal', '-shm']) rmSync(`${databasePath(home.log)}${end}`, { force: true });
    const rebuilt = await start(home, { env });
    expect((await rebuilt.get(`/api/v1/incidents/get?id=${id}`)).json).to.deep.equal(before.incident);
    expect((await rebuilt.get('/api/v1/stats')).json).to.deep.equal(before.stats);
    await until(async () => (await rebuilt.get('/health')).json.audit.verified_seq !== null);
    const { json: health } = await rebuilt.get('/health');
    expect(health.audit.findings).to.deep.equal([]);
    expect((await rebuilt.get('/api/v1/incidents')).json).to.have.lengthOf(1);
    await rebuilt.end();
  });
});
