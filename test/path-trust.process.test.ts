import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ROOT, RunningService, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

/** Exit code of a configuration that must be mended first (sysexits.h). */
const EX_CONFIG = 78;

describe('a start', () => {
  const directory = temporaryDirectories();

  for (const [what, pathOf] of [
    ['the policy', () => 'policy.yaml'],
    ['the token', () => 'service-token'],
    ['the key', () => 'audit-hmac-key'],
    ['the log', () => 'audit.jsonl'],
    ['the checkpoint', () => 'audit.jsonl.checkpoint'],
    ['the database', () => 'audit.sqlite'],
  ] as const) {
    it(`names a named pipe in place of ${what}, and does not wait for it`, async () => {
      const home = new ServiceHome(directory());
      const path = join(home.directory, pathOf());
      rmSync(path, { force: true });
      execFileSync('mkfifo', ['-m', '600', path]);
      const env = { CONTAINMENT_POLICY_PATH: join(home.directory, 'policy.yaml') };
      const { code, errors } = await RunningService.run(home, { env });
      expect([code, errors]).to.deep.equal([EX_CONFIG, errors]);
      expect(errors)
        .to.include(path)
        .and.include('not a regular file')
        .and.not.match(/^ +at /m);
    });

    it(`names ${what} where this user can't read it`, async function asAnother() {
      if (process.geteuid!() !== 0) this.skip();
      const home = new ServiceHome(directory());
      const path = join(home.directory, pathOf());
      copyFileSync(path.endsWith('yaml') ? join(ROOT, 'policy/incident-containment.yaml') : home.token, path);
      chmodSync(path, 0);
      const [uid, gid] = [4100, 4200];
      for (const each of [home.directory, home.token, home.key, path]) chownSync(each, uid, gid);
      const env = { CONTAINMENT_POLICY_PATH: join(home.directory, 'policy.yaml') };
      const under = ['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups'];
      const { code, errors } = await RunningService.run(home, { env, under });
      expect([code, errors]).to.deep.equal([EX_CONFIG, errors]);
      expect(errors)
        .to.include(path)
        .and.not.match(/^ +at /m);
    });
  }

  it('ends where others can write in the log’s directory, and says what to do', async () => {
    const home = new ServiceHome(directory());
    const logs = join(home.directory, 'logs');
    mkdirSync(logs);
    chmodSync(logs, 0o777);
    const { code, errors } = await RunningService.run(home, { env: { AUDIT_LOG_PATH: join(logs, 'audit.jsonl') } });
    expect([code, errors]).to.deep.equal([EX_CONFIG, errors]);
    expect(errors).to.include(`run: chmod go-w ${logs}`);
  });

  it('keeps the database in a directory of its own where the log’s directory is shared', async function asRoot() {
    if (process.geteuid!() !== 0) this.skip();
    const home = new ServiceHome(directory());
    const [logs, state] = [join(home.directory, 'logs'), join(home.directory, 'state')];
    for (const each of [logs, state]) mkdirSync(each, { mode: 0o700 });
    chownSync(logs, 0, 4242);
    chmodSync(logs, 0o770);
    const env = { AUDIT_LOG_PATH: join(logs, 'audit.jsonl') };
    expect(await RunningService.run(home, { env })).to.include({ code: EX_CONFIG });
    const allowed = { ...env, ALLOW_SHARED_LOG_DIRECTORY: '1' };
    expect((await RunningService.run(home, { env: allowed })).errors).to.include('STATE_DIRECTORY');
    const service = await RunningService.start(home, { env: { ...allowed, STATE_DIRECTORY: state } });
    expect((await service.report()).status).to.equal(201);
    await service.end();
    expect(execFileSync('ls', [state]).toString()).to.include('audit.sqlite');
    expect(execFileSync('ls', [logs]).toString()).to.not.include('sqlite');
  });
});
