import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { flagsOf, envOf } from '../bench/setting.ts';
import { needs } from '../faults/support/needs.ts';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { SHIPPER, SHIPPER_PATH, UnitFile } from './support/unit-file.ts';

const FLEET_PATH = join(ROOT, 'systemd/fleet/incident-fleet.service');
const fleetDropIn = (name: string): string => join(ROOT, 'systemd/fleet/drop-ins', `${name}.conf`);
const READING = new Set(['execute', 'read-file', 'read-dir']);

/** What a confined program of this project has, whatever it does. */
const COMMON = [
  'ProtectSystem=strict',
  'ProtectHome=yes',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'PrivateUsers=yes',
  'ProtectProc=invisible',
  'CapabilityBoundingSet=',
  'NoNewPrivileges=yes',
  'RestrictNamespaces=yes',
  'LockPersonality=yes',
  'IPAddressDeny=any',
  'SocketBindDeny=any',
  'LimitCORE=0',
];
const has = (unit: UnitFile, settings: readonly string[]): void => {
  for (const setting of settings) {
    const at = setting.indexOf('=');
    expect(unit.all(setting.slice(0, at)), setting).to.include(setting.slice(at + 1));
  }
};
const analyze = (...args: readonly string[]): { status: number | null; said: string } => {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status, said: args[0] === 'verify' ? stdout + stderr : stdout };
};

describe('the unit of the shipper', () => {
  const unit = UnitFile.read(SHIPPER_PATH);

  it('is hardened, without writable and executable memory, in 64 MiB', () => {
    has(unit, [...COMMON, 'MemoryDenyWriteExecute=yes', 'MemoryMax=64M', 'CPUQuota=10%', 'DynamicUser=yes']);
    const flags = unit.nodeFlags.filter((word) => word.startsWith('--'));
    expect(flags.map((flag) => flag.split('=')[0])).to.deep.equal(flagsOf('jitless').map((flag) => flag.split('=')[0]));
    expect(unit.environment).to.include(envOf('jitless'));
  });

  it('reaches the loopback alone until a drop-in names the fleet', () => {
    expect(unit.all('IPAddressAllow')).to.deep.equal(['localhost']);
    expect(unit.all('SocketBindAllow')).to.deep.equal(['ipv4:tcp:8516']);
    expect(unit.environment.SHIP_METRICS_ADDR).to.equal('127.0.0.1:8516');
  });

  it('reads its program and its two tokens, and nothing else; it writes nowhere', () => {
    const rules = unit.landlockRules;
    expect([...rules.values()].flat().filter((right) => !READING.has(right))).to.deep.equal([]);
    const read = [...rules.keys()].filter((path) => !path.startsWith('/usr/lib/secure-ai/incident-recorder'));
    expect(read).to.deep.equal(['%d', '/proc', '/dev/urandom']);
    expect(unit.all('LoadCredential').map((one) => one.split(':')[0])).to.deep.equal(['fleet-token', 'recorder-token']);
    expect(unit.one('InaccessiblePaths')).to.include('/etc/secure-ai').and.include('/var/lib/secure-ai');
    expect(unit.all('ReadWritePaths')).to.deep.equal([]);
    expect(unit.all('SupplementaryGroups')).to.deep.equal([]);
  });

  describe('as systemd-analyze sees it', () => {
    needs('systemd-analyze');
    const directory = temporaryDirectories();

    it('has no fault, alone and with the drop-in of an enrolment', () => {
      expect(analyze('verify', SHIPPER_PATH)).to.deep.equal({ status: 0, said: '' });
      const copy = directory();
      cpSync(SHIPPER_PATH, join(copy, SHIPPER));
      mkdirSync(join(copy, `${SHIPPER}.d`));
      const lines = [
        '[Service]',
        'IPAddressAllow=192.0.2.7',
        'LoadCredential=fleet-ca:/x/ca.pem',
        'Environment=FLEET_CA_PATH=%d/fleet-ca',
      ];
      writeFileSync(join(copy, `${SHIPPER}.d/fleet.conf`), `${lines.join('\n')}\n`);
      expect(analyze('verify', join(copy, SHIPPER))).to.deep.equal({ status: 0, said: '' });
    });

    it('is exposed by 1.0 at most', () => {
      const { status, said } = analyze('security', '--offline=true', '--threshold=10', '--no-pager', SHIPPER_PATH);
      expect(status, said).to.equal(0);
    });
  });
});

describe('the unit of the fleet', () => {
  const unit = UnitFile.read(FLEET_PATH);

  it('is hardened, but for what PGlite needs', () => {
    has(unit, COMMON);
    expect(unit.all('MemoryDenyWriteExecute')).to.deep.equal([]);
    expect(UnitFile.read(fleetDropIn('no-compilers')).one('MemoryDenyWriteExecute')).to.equal('yes');
  });

  it('writes its state directory alone', () => {
    const writable = [...unit.landlockRules].filter(([, rights]) => rights.some((right) => !READING.has(right)));
    expect(writable.map(([path]) => path)).to.deep.equal([`/var/lib/${unit.one('StateDirectory')}`]);
  });

  it('is reached on the loopback alone until a drop-in opens it', () => {
    expect(unit.all('IPAddressAllow')).to.deep.equal(['localhost']);
    expect(unit.environment.FLEET_BIND).to.equal('127.0.0.1:8520');
  });

  describe('as systemd-analyze sees it', () => {
    needs('systemd-analyze');
    const directory = temporaryDirectories();

    it('has no fault, alone and with its drop-ins', () => {
      expect(analyze('verify', FLEET_PATH)).to.deep.equal({ status: 0, said: '' });
      const copy = join(directory(), 'incident-fleet.service');
      cpSync(FLEET_PATH, copy);
      mkdirSync(`${copy}.d`);
      for (const name of ['database-server', 'network', 'no-compilers'])
        cpSync(fleetDropIn(name), join(`${copy}.d`, `${name}.conf`));
      expect(analyze('verify', copy)).to.deep.equal({ status: 0, said: '' });
    });

    it('is exposed by 1.1 at most', () => {
      const { status, said } = analyze('security', '--offline=true', '--threshold=11', '--no-pager', FLEET_PATH);
      expect(status, said).to.equal(0);
    });
  });
});
