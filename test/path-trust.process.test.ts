import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { COMMAND_LINE } from './support/programs.ts';
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
    ['the note of damage', () => 'audit.jsonl.damage'],
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

  it("names a link in the place of SQLite's own log", async () => {
    const home = new ServiceHome(directory());
    const path = join(home.directory, 'audit.sqlite-wal');
    symlinkSync(home.token, path);
    const { code, errors } = await RunningService.run(home);
    expect([code, errors]).to.deep.equal([EX_CONFIG, errors]);
    expect(errors)
      .to.include(path)
      .and.not.match(/^ +at /m);
  });

  /** What can be at a configured path instead of what should be there. */
  const PLACED: Readonly<Record<string, (path: string) => void>> = {
    'a named pipe': (path) => void execFileSync('mkfifo', ['-m', '600', path]),
    'a link to a named pipe': (path) => {
      execFileSync('mkfifo', ['-m', '600', `${path}.pipe`]);
      symlinkSync(`${path}.pipe`, path);
    },
    'a directory': (path) => mkdirSync(path, { mode: 0o700 }),
    'a link to itself': (path) => symlinkSync(path, path),
    'a link to /dev/zero': (path) => symlinkSync('/dev/zero', path),
    'a socket': (path) => {
      const listen = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
      spawnSync(process.execPath, ['-e', listen]);
    },
    'a file on the way': (path) => {
      writeFileSync(path, '', { mode: 0o600 });
    },
  };
  for (const [variable, name] of [
    ['CONTAINMENT_POLICY_PATH', 'policy.yaml'],
    ['AUDIT_LOG_PATH', 'audit.jsonl'],
    ['SERVICE_TOKEN_PATH', 'service-token'],
    ['AUDIT_HMAC_KEY_PATH', 'audit-hmac-key'],
    ['STATE_DIRECTORY', 'state'],
    ['BIND_ADDR', 'recorder.sock'],
  ] as const) {
    for (const [what, place] of Object.entries(PLACED)) {
      // A directory is what it should be, and a socket that nobody listens on is replaced.
      if (variable === 'STATE_DIRECTORY' && what === 'a directory') continue;
      if (variable === 'BIND_ADDR' && what === 'a socket') continue;
      it(`ends with ${variable} and the path when there is ${what}`, async () => {
        const home = new ServiceHome(directory());
        const placed = join(home.directory, name);
        rmSync(placed, { force: true });
        place(placed);
        const path = what === 'a file on the way' ? join(placed, 'below') : placed;
        const env = {
          [variable]: variable === 'BIND_ADDR' ? `unix:${path}` : path,
          ...(variable === 'STATE_DIRECTORY' && { ALLOW_SHARED_LOG_DIRECTORY: '1' }),
        };
        const { code, errors } = await RunningService.run(home, { env });
        expect([code, errors]).to.deep.equal([EX_CONFIG, errors]);
        expect(errors)
          .to.include(placed)
          .and.not.match(/^ +at /m);
      });
    }
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
    const own = { ...allowed, STATE_DIRECTORY: state };
    const service = await RunningService.start(home, { env: own });
    expect((await service.report()).status).to.equal(201);
    await service.end();
    const names = ['audit.jsonl.checkpoint', 'audit.jsonl.identity', 'audit.sqlite'];
    expect(readdirSync(state)).to.include.members(names);
    expect(readdirSync(logs)).to.deep.equal(['audit.jsonl']);
    const verify = [COMMAND_LINE, 'verify', env.AUDIT_LOG_PATH, '--key', home.key, '--state-directory', state];
    expect(execFileSync(process.execPath, verify).toString()).to.match(/checkpoint +\d+ entries/);

    // A member of the group can cut the log and delete what is beside it, but not hide that.
    const lines = readFileSync(env.AUDIT_LOG_PATH, 'utf8').trimEnd().split('\n');
    writeFileSync(env.AUDIT_LOG_PATH, `${lines.slice(0, -1).join('\n')}\n`);
    const again = await RunningService.start(home, { env: own });
    const { json } = await again.get('/health');
    expect(json.status).to.equal('degraded');
    expect(json.reasons[0]).to.include('entries were cut off');
    await again.end();
  });
});
