import { chmodSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { RunningService, runningServices, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const TOKENS = {
  ada: 'a-token-of-ada-0123456789',
  attestor: 'a-token-of-the-attestor-0123',
  root: 'a-token-of-root-01234',
};
const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

const ATTESTOR = `
  attestor:
    roles: [reporter]
    token_sha256: ${hashOf(TOKENS.attestor)}
    sources: [runtime-attestor]
    classes: [attestation_failure]`;

const FILE = `version: 1
principals:
  ada: { roles: [operator], token_sha256: ${hashOf(TOKENS.ada)} }
  root: { roles: [admin], token_sha256: ${hashOf(TOKENS.root)} }${ATTESTOR}
`;

const REPORT = { class: 'attestation_failure', source: 'runtime-attestor', description: 'the quote differs' };

describe('the access file of a running service', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  const writeAccess = (home: ServiceHome, text: string): void => writeFileSync(home.access, text, { mode: 0o600 });
  const entriesOf = (home: ServiceHome) =>
    readFileSync(home.log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  const report = (service: RunningService, token: string) =>
    service.post('/api/v1/incidents/report', REPORT, { token });

  it('given none, then the service token has every role, which health says', async () => {
    const service = await start(new ServiceHome(directory()));
    const { id } = (await service.report()).json;
    expect((await service.post('/api/v1/incidents/acknowledge', { id, by: 'ada' })).json).to.include({
      acknowledged_by: 'ada',
      acknowledged_by_claimed: true,
    });
    expect((await service.post('/api/v1/reload')).status).to.equal(200);
    const { warnings, access } = (await service.get('/health')).json;
    expect(access).to.deep.equal({ source: 'none' });
    expect(warnings.join()).to.include('whoever has the service token has every role, and is whoever they say');
  });

  it('given one, then each token opens what its roles allow, and the log says who it was', async () => {
    const home = new ServiceHome(directory());
    writeAccess(home, FILE);
    const service = await start(home);
    expect((await report(service, TOKEN)).status).to.equal(403);
    const reported = await report(service, TOKENS.attestor);
    expect(reported.status).to.equal(201);
    const { id } = reported.json;

    const refused = await service.post('/api/v1/incidents/resolve', { id }, { token: TOKENS.attestor });
    expect(refused.status).to.equal(403);
    expect(refused.json).to.deep.equal({
      error: 'forbidden: this needs the role operator or recovery, and attestor is reporter',
      needs: ['operator', 'recovery'],
      roles: ['reporter'],
    });
    const acknowledged = await service.post('/api/v1/incidents/acknowledge', { id, by: 'bob' }, { token: TOKENS.ada });
    expect(acknowledged.json).to.include({ state: 'acknowledged', acknowledged_by: 'ada' });
    expect(acknowledged.json).not.to.have.property('acknowledged_by_claimed');

    expect((await service.get('/health')).json.access).to.include({ source: 'file', principals: 3 });
    const [loaded, byAttestor, byAda] = ['access.loaded', 'incident.reported', 'incident.acknowledged'].map((event) =>
      entriesOf(home).find((entry) => entry.event === event),
    );
    expect(loaded.data).to.deep.include({
      source: 'file',
      service_token: [],
      principals: { ada: ['operator'], root: ['admin'], attestor: ['reporter'] },
    });
    expect(byAttestor.data).to.include({ principal: 'attestor', role: 'reporter', by: 'attestor' });
    expect(byAda.data).to.include({ principal: 'ada', role: 'operator', by: 'ada', on_behalf_of: 'bob' });
    await service.end();
    await home.expectSound();
  });

  it('is replaced by a reload; a faulty one, or a missing one, is not taken', async () => {
    const home = new ServiceHome(directory());
    writeAccess(home, FILE);
    const service = await start(home);
    const reload = () => service.post('/api/v1/reload', undefined, { token: TOKENS.root });
    expect((await report(service, TOKENS.attestor)).status).to.equal(201);

    writeAccess(home, FILE.replace('[operator]', '[operater]'));
    const faulty = await reload();
    expect(faulty.status).to.equal(422);
    expect(faulty.json.faults[0]).to.include({ file: home.access, line: 3 });
    unlinkSync(home.access);
    expect((await reload()).json.error).to.include('the file is not there; what is in force stays');
    expect((await report(service, TOKENS.attestor)).status).to.equal(201);

    writeAccess(home, FILE.replace(ATTESTOR, ''));
    chmodSync(home.access, 0o644);
    expect((await reload()).json.error).to.include(`run: chmod o-rwx ${home.access}`);
    chmodSync(home.access, 0o600);
    expect((await reload()).json.access).to.include({ principals: 2 });
    expect((await report(service, TOKENS.attestor)).status).to.equal(403);
    const last = entriesOf(home).findLast(({ event }) => event === 'access.loaded');
    expect(last.data).to.include({ principal: 'root', role: 'admin' }).and.to.have.property('previous_digest');
  });

  it('given a token that is in a file, then a new one there is taken without a reload', async () => {
    const home = new ServiceHome(directory());
    const path = join(home.directory, 'token-of-ada');
    writeFileSync(path, TOKENS.ada, { mode: 0o600 });
    writeAccess(home, `version: 1\nprincipals:\n  ada: { roles: [admin], token_path: ${path} }\n`);
    const service = await start(home);
    const reload = async (token: string) => (await service.post('/api/v1/reload', undefined, { token })).status;
    expect(await reload(TOKENS.ada)).to.equal(200);
    writeFileSync(path, TOKENS.root, { mode: 0o600 });
    expect(await reload(TOKENS.root)).to.equal(200);
    expect(await reload(TOKENS.ada)).to.equal(403);
  });

  it('given a file that was replaced by the token of another, then that token is nobody’s until it is put right', async () => {
    const home = new ServiceHome(directory());
    const path = join(home.directory, 'token-of-ada');
    writeFileSync(path, TOKENS.ada, { mode: 0o600 });
    writeAccess(
      home,
      `version: 1\nservice_token: { roles: [auditor] }\nprincipals:\n  ada: { roles: [admin], token_path: ${path} }\n` +
        `  bob: { roles: [admin], token_sha256: ${hashOf(TOKENS.root)} }\n`,
    );
    const service = await start(home);
    const me = (token: string) => service.send('GET', '/api/v1/access/me', { token });
    const whose = async (token: string): Promise<string> => {
      const { status, json } = await me(token);
      return status === 200 ? json.principal : String(status);
    };
    for (const [token, owner] of [
      [TOKENS.root, 'bob'],
      [TOKEN, 'service-token'],
    ] as const) {
      expect([await whose(token), await whose(TOKENS.ada)]).to.deep.equal([owner, 'ada']);
      writeFileSync(path, token, { mode: 0o600 });
      while ((await whose(token)) !== '403');
      const { warnings } = (await service.get('/health')).json;
      const both = owner === 'bob' ? 'ada and bob' : 'service-token and ada';
      expect(warnings).to.include(`${both} have the same token: nobody is admitted with it`);
      writeFileSync(path, TOKENS.ada, { mode: 0o600 });
      while ((await whose(token)) !== owner);
    }
  });

  it('given two principals whose files hold one token, then the service does not start', async () => {
    const home = new ServiceHome(directory());
    const path = join(home.directory, 'token-of-ada');
    writeFileSync(path, TOKENS.ada, { mode: 0o600 });
    writeAccess(
      home,
      `version: 1\nprincipals:\n  bob: { roles: [admin], token_sha256: ${hashOf(TOKENS.ada)} }\n` +
        `  ada: { roles: [admin], token_path: ${path} }\n`,
    );
    const { code, errors } = await RunningService.run(home);
    expect(code).to.equal(78);
    expect(errors).to.include(':4: principals.ada: has the token of bob: each principal needs a token of its own');
    expect(errors).not.to.include(TOKENS.ada);
  });

  describe('when it is gone', () => {
    const hadOne = async (): Promise<ServiceHome> => {
      const home = new ServiceHome(directory());
      writeAccess(home, FILE);
      const service = await start(home);
      await report(service, TOKENS.attestor);
      await service.end();
      rmSync(home.access);
      return home;
    };

    it('then the service does not start', async () => {
      const { code, errors } = await RunningService.run(await hadOne());
      expect(code).to.equal(78);
      expect(errors).to.include('the audit log says that there was one: put it back');
    });

    it('and ACCESS_PATH=none says so, then it starts, and the log says it', async () => {
      const home = await hadOne();
      const service = await start(home, { env: { ACCESS_PATH: 'none' } });
      expect((await service.report()).status).to.equal(201);
      expect((await service.get('/health')).json.warnings.join()).to.include('ACCESS_PATH=none: whoever');
      expect(entriesOf(home).findLast(({ event }) => event === 'access.loaded').data).to.include({ source: 'none' });
      await service.end();
      // It is no matter of once: without the override, the start is refused again.
      expect((await RunningService.run(home)).code).to.equal(78);
    });

    it('and the database with it, then it does not start either', async () => {
      const home = await hadOne();
      rmSync(join(home.directory, 'audit.sqlite'));
      expect((await RunningService.run(home)).code).to.equal(78);
    });
  });
});
