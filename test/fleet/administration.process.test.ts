/** Commands beside a fleet that has PGlite's folder to itself. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { lockFolder } from '../../src/fleet/pglite/folder-lock.ts';
import { FLEET } from '../support/programs.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { SmallFleet } from './support/small-fleet.ts';

describe('the commands of a fleet on PGlite', function () {
  this.timeout(300_000);
  const directories = temporaryDirectories();
  let home: string;
  let fleet: SmallFleet | undefined;

  beforeEach(() => {
    home = directories();
  });

  afterEach(async () => {
    await fleet?.stop();
    fleet = undefined;
  });

  const run = (...args: string[]): Promise<{ status: number; printed: string; said: string }> =>
    new Promise((resolve) => {
      const env = { PATH: process.env.PATH, FLEET_NAME: 'fleet.example', FLEET_BIND: '127.0.0.1:0' };
      const child = execFile(process.execPath, [FLEET, ...args], { cwd: home, env }, (_, printed, said) =>
        resolve({ status: child.exitCode!, printed, said }),
      );
    });

  it('are carried out by the fleet that runs, and by themselves where none does', async () => {
    fleet = await SmallFleet.start(home);
    expect(statSync(join(home, 'var/fleet/database.socket')).mode & 0o777).to.equal(0o600);
    const { status, printed, said } = await run('enrol', 'web-1', '--label', 'site=berlin');
    expect(status).to.equal(0);
    expect(said).to.match(/^That is the one-time secret, .* --machine web-1\n$/);
    expect(printed).to.match(/^[\w-]{43}\n$/);
    const token_sha256 = createHash('sha256').update('token').digest('hex');
    const enrolment = { machine: 'web-1', secret: printed.trim(), token_sha256, public_key: 'none' };
    expect((await fleet.send('POST', '/api/v1/enrol', { body: enrolment })).status).to.equal(201);
    expect(await fleet.read('/api/v1/machines?site=berlin')).to.have.lengthOf(1);

    const renamed = 'web-1 is shown as front; its own name stays in addresses and anchors\n';
    expect(await run('rename', 'web-1', 'front')).to.include({ status: 0, printed: '', said: renamed });
    const rotated = await run('rotate', 'front');
    expect(rotated.status).to.equal(0);
    expect(rotated.said).to.match(/--machine web-1\n$/);
    const refused = await run('enrol', 'web-1');
    expect(refused).to.include({ status: 1, printed: '' });
    expect(refused.said).to.match(/^incident-fleet: web-1 is enrolled; to give it a new token: fleet rotate web-1\n$/);
    expect((await run('serve')).said).to.match(/is in use by process \d+; end that first/);
    await run('revoke', 'front');
    expect((await fleet.read('/api/v1/machines/web-1')).revoked_at).to.be.a('string');

    await fleet.stop();
    fleet = undefined;
    // As a fleet leaves it that was killed.
    writeFileSync(join(home, 'var/fleet/database.socket'), '');
    expect(await run('rename', 'web-1', 'web-1')).to.include({ status: 0 });
    fleet = await SmallFleet.start(home);
    expect((await fleet.read('/api/v1/machines/web-1')).name).to.equal('web-1');
    expect(await run('enrol', 'web-2')).to.include({ status: 0 });
  });

  it('wait for a fleet that starts, or stops', async () => {
    const state = join(home, 'var/fleet');
    const unlock = await lockFolder(join(state, 'database'));
    const hasTried = new Promise<void>((resolve) => {
      const watcher = watch(state, (_, name) => {
        if (name === null || !/^database\.lock\.\d+-/.test(name)) return;
        watcher.close();
        resolve();
      });
    });
    const enrolled = run('enrol', 'web-1');
    await hasTried;
    unlock();
    expect(await enrolled).to.include({ status: 0 });
  });
});
