import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { FLEET } from '../support/programs.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('incident-recorder fleet', () => {
  const directory = temporaryDirectories();

  const run = (args: string | readonly string[], url: string) => {
    const env = { PATH: process.env.PATH, FLEET_DATABASE_URL: url, FLEET_BIND: '127.0.0.1:0' };
    const { status, stdout, stderr } = spawnSync(process.execPath, [FLEET, ...[args].flat()], {
      cwd: directory(),
      env,
      encoding: 'utf8',
    });
    return { status, said: `${stdout}${stderr}` };
  };

  it('says in a line what is wrong with its database, and never its password', () => {
    const cases = [
      [
        'postgres://fleet:s3cret@127.0.0.1:1/fleet',
        1,
        /^incident-fleet: the database is not reachable: .*ECONNREFUSED/,
      ],
      ['postgres://fleet:s3cret#1@127.0.0.1/fleet', 78, /^incident-fleet: FLEET_DATABASE_URL is no URL: .*%23/],
      ['postgres://fleet:s3cret@[::1/fleet', 78, /^incident-fleet: FLEET_DATABASE_URL is no URL/],
      ['mysql://fleet:s3cret@127.0.0.1/fleet', 78, /^incident-fleet: FLEET_DATABASE_URL must be postgres:\/\/…$/],
    ] as const;
    for (const [url, code, line] of cases) {
      for (const command of ['serve', 'migrate']) {
        const { status, said } = run(command, url);
        expect(said.trimEnd(), url).to.match(line);
        expect(said.trimEnd().split('\n'), said).to.have.length(1);
        expect(said).not.to.include('s3cret');
        expect(status, url).to.equal(code);
      }
    }
  });

  it('refuses what a command does not take, before it looks for its database', () => {
    const cases = [
      [['bogus'], 'there is no command "bogus"'],
      [['rotate', 'a', '--label', 'site=berlin'], '--label is for enrol, not for rotate'],
      [['enrol', 'a', '--label', 'site=a', '--label', 'site=b'], 'the label site is given twice'],
      [['enrol', 'a', '--label', 'site'], 'a label is KEY=VALUE, not "site"'],
      [['enrol', 'a', 'b'], 'fleet enrol needs the name of one machine'],
      [['rename', 'a'], 'fleet rename needs two names'],
      [['serve', 'now'], 'fleet serve takes no "now"'],
      [['schema'], 'fleet schema needs --citus'],
      [['pubkey', '--citus'], '--citus is for schema, not for pubkey'],
    ] as const;
    for (const [args, why] of cases) {
      const { status, said } = run(args, 'postgres://fleet@127.0.0.1:1/fleet');
      expect(said.split('\n')[0]).to.equal(`incident-fleet: ${why}`);
      expect(status, why).to.equal(2);
    }
  });
});
