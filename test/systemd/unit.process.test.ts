import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { readConfig } from '../../src/config.ts';
import { needs } from '../faults/support/needs.ts';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { envOf, flagsOf } from '../bench/setting.ts';
import { SOCKET, SOCKET_PATH, UNIT, UNIT_PATH, UnitFile } from './support/unit-file.ts';

const dropIn = (name: string): string => join(ROOT, 'systemd/drop-ins', `${name}.conf`);

describe('the unit', () => {
  const unit = UnitFile.read();
  const socket = UnitFile.read(SOCKET_PATH);

  it('runs node as it is measured', () => {
    expect(unit.nodeFlags).to.deep.equal(flagsOf('jitless'));
    expect(unit.environment).to.include(envOf('jitless'));
  });

  it('has the limits of the box', () => {
    const limits = ['MemoryMax', 'CPUQuota', 'TasksMax', 'LimitNOFILE', 'LimitCORE'];
    expect(limits.map((limit) => unit.one(limit))).to.deep.equal(['128M', '10%', '32', '512', '0']);
  });

  it('is a configuration that the service takes, and binds nothing itself', () => {
    const passed = { LISTEN_PID: String(process.pid), LISTEN_FDS: String(socket.all('ListenStream').length) };
    const config = readConfig({ ...unit.environment, ...passed });
    expect(config.bind.map(({ kind }) => kind)).to.deep.equal(['inherited', 'inherited']);
    expect(unit.one('SocketBindDeny')).to.equal('any');
    expect(unit.all('SocketBindAllow')).to.deep.equal([]);
    expect(config.logPath).to.satisfy((path: string) => path.startsWith(`${unit.one('ReadWritePaths')}/`));
    expect(config.keyPath).to.be.a('string');
  });

  it('starts again at once, from sockets that stay open', () => {
    expect(unit.all('Requires')).to.deep.equal([SOCKET]);
    expect(unit.one('RestartSec')).to.equal('100ms');
    expect(socket.all('ListenStream')).to.deep.equal(['127.0.0.1:8515', '/run/secure-ai/recorder.sock']);
    expect(socket.one('Backlog')).to.equal('1024');
    expect(socket.one('TriggerLimitIntervalSec')).to.equal('0');
  });

  it('lets Landlock write where systemd does, and nowhere else', () => {
    const writable = [...unit.landlockRules].filter(([, rights]) => rights.some((right) => !READING.has(right)));
    expect(writable.map(([path]) => path)).to.deep.equal([unit.one('ReadWritePaths')]);
  });

  it('lets Landlock execute the loader and node alone', () => {
    const executable = [...unit.landlockRules].filter(([, rights]) => rights.includes('execute'));
    expect(executable.map(([path]) => path.split('/').at(-1))).to.deep.equal(['loader', 'node']);
  });

  it('reaches other machines with a drop-in only, which also opens the files for that', () => {
    const added = UnitFile.read(dropIn('other-machines'));
    expect(unit.all('IPAddressAllow')).to.deep.equal(['localhost']);
    expect(added.all('IPAddressAllow')).to.deep.equal(['any']);
    expect(added.all('Environment')).to.include('ALLOW_NON_LOOPBACK=1');
    expect(readFileSync(UNIT_PATH, 'utf8'))
      .to.match(/Environment=.*NETWORK_RULE=/)
      .and.to.include(' $NETWORK_RULE ');
    const rule = added.all('Environment').find((line) => line.includes('NETWORK_RULE=')) ?? '';
    for (const path of ['/etc/resolv.conf', '/etc/nsswitch.conf', '/etc/ssl']) expect(rule).to.include(`:${path}`);
    expect(rule).to.not.match(/write|execute|make|remove/);
  });

  describe('as systemd-analyze sees it', () => {
    needs('systemd-analyze');
    const directory = temporaryDirectories();

    it('has no fault, alone and with its drop-ins', () => {
      expect(analyze('verify', UNIT_PATH)).to.deep.equal({ status: 0, said: '' });
      const copy = directory();
      cpSync(UNIT_PATH, join(copy, UNIT));
      cpSync(SOCKET_PATH, join(copy, SOCKET));
      mkdirSync(join(copy, `${UNIT}.d`));
      const names = ['credentials', 'access-credentials', 'vault-control', 'shared-log-directory', 'appliance'];
      for (const name of [...names, 'other-machines']) {
        cpSync(dropIn(name), join(copy, `${UNIT}.d`, `${name}.conf`));
      }
      expect(analyze('verify', SOCKET_PATH)).to.deep.equal({ status: 0, said: '' });
      expect(analyze('verify', join(copy, UNIT))).to.deep.equal({ status: 0, said: '' });
    });

    it('is exposed by 1.0 at most', () => {
      const { status, said } = analyze('security', '--offline=true', '--threshold=10', '--no-pager', UNIT_PATH);
      expect(status, said).to.equal(0);
    });
  });
});

describe("the drop-in for the appliance's Landlock wrapper", () => {
  const unit = UnitFile.read();
  const wrapped = UnitFile.read(dropIn('landlock-wrapper'));
  const { services } = load(readFileSync(join(ROOT, 'systemd/landlock.yaml'), 'utf8')) as {
    services: { incident_recorder: { paths: { path: string; access: keyof typeof GIVES }[] } };
  };

  it('starts the same command', () => {
    const node = (words: readonly string[]): readonly string[] =>
      words.slice(words.indexOf('/usr/lib/secure-ai/incident-recorder/bin/node'));
    expect(node(wrapped.command)).to.deep.equal(node(unit.command));
  });

  for (const name of ['shared-log-directory', 'vault-control']) {
    it(`brings what the drop-in ${name} adds`, () => {
      const added = UnitFile.read(dropIn(name))
        .all('Environment')
        .flatMap((line) => [...line.matchAll(/path-beneath:([\w,-]+):([^"]+)/g)]);
      expect(added).to.have.length(1);
      for (const [, rights = '', path = ''] of added) {
        const real = path.replace('%S', '/var/lib');
        const rule = services.incident_recorder.paths.find((one) => one.path === real);
        expect(rule && GIVES[rule.access], path).to.include.members(rights.split(','));
        expect(rule, path).to.not.have.property('required');
      }
    });
  }

  it('brings rules that give what the rules of the unit give', () => {
    for (const [path, rights] of unit.landlockRules) {
      // Where the links lead to on a host.
      const real = path.replace(/.*\/(loader|libraries)$/, '/usr/lib');
      const given = services.incident_recorder.paths
        .filter((rule) => `${real}/`.startsWith(`${rule.path}/`))
        .flatMap(({ access }) => GIVES[access]);
      expect(given, path).to.include.members([...rights]);
    }
  });
});

const READING = new Set(['execute', 'read-file', 'read-dir']);

/** What the words of the wrapper give, in those of setpriv. */
const GIVES = {
  ro: ['read-file', 'read-dir'],
  rw: ['read-file', 'read-dir', 'write-file', 'truncate', 'make-reg', 'make-dir', 'refer', 'remove-file', 'remove-dir'],
  exe: ['read-file', 'read-dir', 'execute'],
} as const;

function analyze(...args: readonly string[]): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status, said: args[0] === 'verify' ? stdout + stderr : stdout };
}
