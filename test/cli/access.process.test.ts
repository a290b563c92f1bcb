import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run } from './support/command-line.ts';

describe('incident-recorder access', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  it('makes tokens that a recorder takes after a reload, and stores only their hashes', async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const { id } = (await service.report()).json;
    const made = await run(['access', 'new', 'ada', '--role', 'operator', 'admin', '--file', home.access]);
    expect(made.status, made.stderr).to.equal(0);
    const token = made.stdout.trim();
    expect(token).to.match(/^[\w-]{43}$/);
    expect(readFileSync(home.access, 'utf8')).not.to.include(token);
    expect((statSync(home.access).mode & 0o777).toString(8)).to.equal('640');

    expect((await service.post('/api/v1/reload')).json.access).to.include({ source: 'file', principals: 1 });
    const acknowledged = await service.post('/api/v1/incidents/acknowledge', { id }, { token });
    expect(acknowledged.json).to.include({ acknowledged_by: 'ada' });

    chmodSync(home.access, 0o600);
    const options = ['--role', 'reporter', '--source', 'runtime-attestor', '--class', 'attestation_failure', '--json'];
    const second = await run(['access', 'new', 'attestor', ...options], { env: { ACCESS_PATH: home.access } });
    expect(JSON.parse(second.stdout)).to.include({ name: 'attestor', file: home.access });
    expect((statSync(home.access).mode & 0o777).toString(8)).to.equal('600');

    const checked = await run(['access', 'check', home.access]);
    expect(checked.status).to.equal(0);
    expect(checked.stdout).to.match(/valid, digest [\da-f]{64}/);
    expect(checked.stdout).to.match(/attestor +reporter +sources: runtime-attestor; classes: attestation_failure/);
    expect(checked.stderr).to.include('give people tokens of their own').and.not.include('chmod');
    chmodSync(home.access, 0o644);
    expect((await run(['access', 'check', home.access])).stderr).to.include(`run: chmod o-rwx ${home.access}`);
  });

  it('says whose token it is, and which role is missing', async () => {
    const home = new ServiceHome(directory());
    const options = ['--role', 'reporter', '--source', 'canary', '--class', 'any', '--file', home.access];
    const { stdout: token } = await run(['access', 'new', 'canary', ...options]);
    const file = join(home.directory, 'token-of-canary');
    writeFileSync(file, token, { mode: 0o600 });
    const service = await start(home, { env: { READ_EVIDENCE: 'restricted' } });
    const at = ['--url', `http://127.0.0.1:${service.port}`, '--token-file'];
    const whoami = await run(['access', 'whoami', ...at, file]);
    expect(whoami.stdout.split('\n')).to.deep.equal(['canary', 'roles    reporter', 'sources  canary', '']);
    expect(JSON.parse((await run(['access', 'whoami', '--json', ...at, file])).stdout)).to.deep.equal({
      principal: 'canary',
      roles: ['reporter'],
      shared: false,
      sources: ['canary'],
    });
    const shared = await run(['access', 'whoami', ...at, home.token]);
    expect(shared.stdout).to.include('service-token, a token that several share').and.to.include('roles    reader');

    const given = ['--class', 'prompt_injection', '--description', 'd', '--evidence', '{"a":"evidence-7f3a"}'];
    const reported = await run(['report', '--json', '--source', 'canary', ...given, ...at, file]);
    const { id } = JSON.parse(reported.stdout) as { readonly id: string };
    const refused = await run(['ack', id, ...at, file]);
    expect(refused.status).to.equal(1);
    expect(refused.stderr).to.include(
      'this needs the role operator, and canary is reporter; give a token with that role',
    );
    const elsewhere = await run(['report', '--source', 'other', ...given, ...at, file]);
    expect(elsewhere.stderr).to.include('canary is bound to the sources canary, not other');
    expect(elsewhere.stderr).to.not.include('give a token with that role');

    const shown = await run(['show', id, ...at, file]);
    expect(shown.stdout)
      .to.include('evidence     restricted: give a token with the role auditor, operator or recovery')
      .and.to.match(/^reported by +canary$/m)
      .and.to.match(/incident\.reported .* by canary as reporter$/m);
    expect(shown.stdout).to.not.include('evidence-7f3a');
    expect((await run(['show', id, ...at, home.token])).stdout).to.include('evidence-7f3a');
    await run(['ack', id, '--by', 'ada', ...at, home.token]);
    expect((await run(['show', id, ...at, file])).stdout).to.match(
      /incident\.acknowledged .* by ada \(claimed\) as operator$/m,
    );
  });

  it('names every fault of a file', async () => {
    const file = join(directory(), 'access.yaml');
    writeFileSync(file, 'version: 1\nprincipals:\n  ada: { roles: [boss], token_path: here }\n');
    const { status, stderr } = await run(['access', 'check', file]);
    expect(status).to.equal(1);
    expect(stderr).to.include(`${file}:3: principals.ada.roles[0]: unknown role "boss"`);
    expect(stderr).to.include(`${file}:3: principals.ada.token_path: must be an absolute path`);
    const asJson = JSON.parse((await run(['access', 'check', file, '--json'])).stdout);
    expect(asJson).to.include({ valid: false }).and.to.have.property('faults').with.length(2);
  });

  it('makes nothing of what is no principal, and prints no token', async () => {
    const file = join(directory(), 'access.yaml');
    const { status, stdout, stderr } = await run(['access', 'new', 'a b', '--role', 'admin', '--file', file]);
    expect([status, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.include('must be named by 1 to 64 letters');
    expect((await run(['access', 'new', 'ada', '--file', file])).status).to.equal(2);
  });
});
