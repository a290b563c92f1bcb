/** What the service can't do in its unit, tried from inside it, and what becomes of it where a wall is missing. */
import { join } from 'node:path';
import { expect } from 'chai';
import { needs } from '../faults/support/needs.ts';
import { allowedByProfile, readProfile } from '../systemd/support/system-calls.ts';
import { UNIT, UnitFile } from '../systemd/support/unit-file.ts';
import { ROOT } from '../support/running-service.ts';
import { bootedMachine, type Machine } from './support/machine.ts';
import { POLICY, Recorder } from './support/recorder.ts';

const PROGRAM = '/usr/lib/secure-ai/incident-recorder/dist/service.cjs';

/** Another address of this machine, which is not the loopback to IPAddressDeny=. */
const NOT_LOOPBACK = '192.0.2.1';

describe('the confinement of the recorder', () => {
  needs('systemd-nspawn', 'debootstrap', 'mount');
  const booted = bootedMachine();
  const unit = UnitFile.read();
  let machine: Machine;
  let recorder: Recorder;

  before(async () => {
    machine = booted();
    recorder = new Recorder(machine);
    await recorder.install();
    await openDoors(machine);
  });

  afterEach(async () => {
    recorder.reset();
    await recorder.serves();
  });

  it('is on for the process that serves', () => {
    const status = machine.run(`cat /proc/${recorder.property('MainPID')}/status`);
    const field = (name: string): string | undefined => new RegExp(`^${name}:\\s+(\\w+)`, 'm').exec(status)?.[1];
    expect(field('NoNewPrivs')).to.equal('1');
    expect(field('Seccomp')).to.equal('2');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(field(set)).to.match(/^0+$/);
    expect(field('Uid')).to.equal(machine.run('id -u incident-recorder'));
  });

  it('refuses node what the service does not need, and nothing that it does', async () => {
    const outcomes = await probe(`BindReadOnlyPaths=/opt/probe.cjs:${PROGRAM}`, 'probe.cjs');
    expect(outcomes).to.deep.equal({
      'read /etc/passwd': 'EACCES',
      'list /': 'EACCES',
      'read /usr/bin/sh': 'EACCES',
      'write /etc/secure-ai': 'EROFS',
      'write /run/secure-ai': 'EROFS',
      'write /var/lib/secure-ai': 'EROFS',
      'write /tmp': 'EACCES',
      'write its own program': 'EROFS',
      'make a link among the logs': 'EACCES',
      'run a shell': 'EACCES',
      // The loader itself may run, and then can't read what it is asked to load.
      'run a program by the loader': 'status 127',
      'raise its priority': 'ERR_SYSTEM_ERROR',
      'see process 1': 'ENOENT',
      'signal process 1': 'EPERM',
      'bind its own port': 'EPERM',
      'bind another port': 'EPERM',
      'bind IPv6': 'EAFNOSUPPORT',
      'reach another machine': 'ABORT_ERR',

      'listen on the sockets that systemd passes': 'done',
      'reach a service on the loopback': 'done',
      'reach a socket in /run/secure-ai': 'done',
      'read the policy': 'done',
      'read the token': 'done',
      'write among the logs': 'done',
      'archive among the logs': 'done',
      'measure its memory': 'done',
    });
  });

  it('refuses system calls that no program of ours makes', async () => {
    const node = unit.command.findIndex((word) => word.endsWith('/bin/node') && !word.includes(':'));
    const rules = ['execute,read-file:/usr/bin/perl', 'read-file:/usr/lib', 'read-file:/opt'];
    const command = [...unit.command.slice(0, node), ...rules.map(toSetpriv), '/usr/bin/perl', '/opt/probe.pl'].join(
      ' ',
    );
    const { executable, ...outcomes } = await probe(`ExecStart=\nExecStart=${command}`, 'probe.pl');
    // By the kernel from Linux 6.3 on, by systemd's filter before.
    expect(executable).to.be.oneOf(['EACCES', 'EPERM']);
    expect(outcomes).to.deep.equal({
      ptrace: 'EPERM',
      mount: 'EPERM',
      'unshare its user namespace': 'EPERM',
      setuid: 'EPERM',
      chroot: 'EPERM',
      reboot: 'EPERM',
      'load a module': 'EPERM',
      bpf: 'EPERM',
      perf_event_open: 'EPERM',
      personality: 'EPERM',
      io_uring: 'EPERM',
      'a raw socket': 'EPERM',
      'a packet socket': 'EAFNOSUPPORT',
      'a netlink socket': 'EAFNOSUPPORT',
    });
  });

  it('holds for whoever enters its mount namespace, even as root', () => {
    const enter = `nsenter --target ${recorder.property('MainPID')} --mount`;
    for (const path of ['/etc/passwd', '/usr/bin/probe', '/var/lib/secure-ai/probe', '/etc/secure-ai/probe']) {
      expect(machine.try(`${enter} sh -c 'echo x >> ${path}'`).stderr, path).to.include('Read-only file system');
    }
    expect(machine.run(`${enter} ls -A /root /home /tmp /var/tmp`)).to.not.match(/probe|incident-recorder/);
    expect(machine.run(`${enter} ls -A /dev`)).to.not.match(/sda|vda|mem|kmsg/);
  });

  it('ends a node that compiles to memory: MemoryDenyWriteExecute= is on', async () => {
    recorder.configure('compiling', `ExecStart=\nExecStart=${unit.command.join(' ').replace('--jitless', '')}`);
    await machine.wait(`journalctl --unit=${UNIT} | grep -q 'code=\\(killed\\|dumped\\), status=5/TRAP'`);
  });

  it('starts nothing where Landlock can not be set, and says why', async () => {
    recorder.configure('no-landlock', 'SystemCallFilter=~landlock_create_ruleset');
    await machine.wait(`journalctl --unit=${UNIT} | grep -q 'setpriv: .*landlock'`);
    expect(recorder.property('ExecMainStatus')).to.equal('127');
    // The connection waits, and nobody answers.
    expect(machine.try('curl -s -m 1 http://127.0.0.1:8515/health').status).to.equal(28);
  });

  it('starts nothing where a path of its rules is missing', async () => {
    recorder.configure('no-path', 'Environment="VAULT_RULE=--landlock-rule path-beneath:read-file:/run/not-there"');
    await machine.wait(`journalctl --unit=${UNIT} | grep -q 'setpriv: .*/run/not-there'`);
    expect(recorder.property('ExecMainStatus')).to.equal('1');
  });

  it('leaves the service all that it needs where the seccomp profile is its only filter', async () => {
    const forSetpriv = ['capset', 'landlock_create_ruleset', 'landlock_add_rule', 'landlock_restrict_self'];
    const names = [...allowedByProfile(readProfile()), ...forSetpriv];
    recorder.configure('profile', `SystemCallFilter=\nSystemCallFilter=${names.join(' ')}`);
    await recorder.serves();
    expect(recorder.report('under the profile alone').status).to.equal(201);
    machine.run(`systemctl stop ${UNIT}`);
    expect(recorder.property('Result')).to.equal('success');
  });

  it('takes token and key as credentials that only root can read', async () => {
    const secrets = '/etc/secure-ai/incident-recorder';
    machine.run(
      `install -m 0400 /run/secure-ai/service-token ${secrets}/service-token
      chown root:root ${secrets}/audit-hmac-key; chmod 0400 ${secrets}/audit-hmac-key
      mv /run/secure-ai/service-token .`,
    );
    dropIn('credentials');
    await recorder.serves();
    const report = { class: 'tool_call_burst', source: 'system-test', description: 'by a credential' };
    expect(recorder.post('/api/v1/incidents/report', report, `${secrets}/service-token`).status).to.equal(201);
    machine.run(
      `mv service-token /run/secure-ai/
      chown incident-recorder ${secrets}/audit-hmac-key; chmod 0400 ${secrets}/audit-hmac-key`,
    );
  });

  it('keeps its database in a directory of its own where a group may write in that of the log', async () => {
    const logs = '/var/lib/secure-ai/logs';
    machine.run(`systemctl stop ${UNIT}; groupadd --force log-keepers; chgrp log-keepers ${logs}; chmod 0770 ${logs}`);
    machine.run(`systemctl start ${UNIT}`);
    await machine.wait(`journalctl --unit=${UNIT} | grep -q 'ALLOW_SHARED_LOG_DIRECTORY=1'`);
    dropIn('shared-log-directory');
    await recorder.serves();
    expect(recorder.report('in a shared directory').status).to.equal(201);
    const names = ['sqlite', 'jsonl.checkpoint', 'jsonl.identity'].map((end) => `incident-recorder-audit.${end}`);
    expect(machine.run('ls /var/lib/incident-recorder/').split('\n')).to.include.members(names);
    // They are written again and again under the rules of the drop-in.
    const before = machine.run('cat /var/lib/incident-recorder/incident-recorder-audit.jsonl.checkpoint');
    expect(recorder.report('again in a shared directory').status).to.equal(201);
    await machine.wait(`! grep -qxF '${before}' /var/lib/incident-recorder/incident-recorder-audit.jsonl.checkpoint`);
    machine.run(`systemctl restart ${UNIT}`);
    await recorder.serves();
    const verify = `incident-recorder verify ${logs}/incident-recorder-audit.jsonl --state-directory /var/lib/incident-recorder`;
    expect(machine.run(`AUDIT_HMAC_KEY_PATH=/etc/secure-ai/incident-recorder/audit-hmac-key ${verify}`)).to.match(
      /: valid[^]*checkpoint +\d+ entries/,
    );
    machine.run(`chgrp incident-recorder ${logs}; chmod 0750 ${logs}`);
  });

  it('lets the readers of token and log read no key', () => {
    const key = '/etc/secure-ai/incident-recorder/audit-hmac-key';
    const reads = (group: string, path: string): boolean =>
      machine.try(`setpriv --reuid 4301 --regid 4301 --groups "$(getent group ${group} | cut -d: -f3)" cat ${path}`)
        .status === 0;
    const log = '/var/lib/secure-ai/logs/incident-recorder-audit.jsonl';
    const readers = ['incident-reporters', 'incident-recorder'].map((group) =>
      ['/run/secure-ai/service-token', log, key].map((path) => reads(group, path)),
    );
    expect(readers).to.deep.equal([
      [true, false, false],
      [false, true, false],
    ]);
  });

  it('asks the vault to lock by a file, with the drop-in for that', async () => {
    const control = '/run/secure-ai/vault-control';
    const broker = { requests: `${control}/requests`, results: `${control}/results`, action: 'relock' };
    machine.run(
      `mkdir -p ${broker.requests} ${broker.results}; chown incident-recorder ${broker.requests}
      echo 'targets: ${JSON.stringify({ force_vault_relock: { broker } })}' >> ${POLICY}`,
    );
    dropIn('vault-control');
    await recorder.serves();
    const { json } = recorder.post('/api/v1/incidents/report', {
      class: 'unauthorized_access',
      source: 'system-test',
      description: 'lock the vault',
    });
    await machine.wait(`grep -q '"relock"' ${broker.requests}/${json.id}.json`);
    const answer = JSON.stringify({ success: true, incident_id: json.id });
    machine.run(`echo '${answer}' > ${broker.results}/${json.id}.json`);
    const asked = `curl -sf 'http://127.0.0.1:8515/api/v1/incidents/get?id=${json.id}'`;
    await machine.wait(`${asked} | grep -q '"force_vault_relock","status":"confirmed"'`);
    machine.run(`sed -i '$d' ${POLICY}`);
  });

  it("serves under the rules for the appliance's wrapper", async () => {
    // Stands in for the wrapper, which belongs to the appliance: it has setpriv set the rules of the policy.
    machine.put('/usr/libexec/secure-ai/landlock-apply.py', { text: WRAPPER });
    machine.run(
      `mkdir old; printf '#!/bin/sh\\necho setpriv from util-linux 2.38.1\\n' > old/setpriv
      chmod +x old/setpriv /usr/libexec/secure-ai/landlock-apply.py`,
    );
    const install = `PATH=/root/old:$PATH ${recorder.unpack()}/install.sh`;
    expect(machine.try(install).stderr).to.include('./install.sh install --landlock-wrapper');
    machine.run(`${install} install --landlock-wrapper`);
    expect(recorder.property('ExecStart')).to.include('landlock-apply.py --require incident_recorder');
    await recorder.serves();
    expect(recorder.report('under the wrapper').status).to.equal(201);
  });

  /** Adds a drop-in of the package, as the README tells. */
  function dropIn(name: string): void {
    machine.run(
      `mkdir -p /etc/systemd/system/${UNIT}.d
      cp /usr/lib/secure-ai/incident-recorder/systemd/drop-ins/${name}.conf /etc/systemd/system/${UNIT}.d
      systemctl daemon-reload; systemctl restart ${UNIT}`,
    );
  }

  /** Runs a probe in the unit, changed as told, and gives what came of its attempts. */
  async function probe(settings: string, name: string): Promise<Record<string, string>> {
    machine.put(`/opt/${name}`, { file: join(ROOT, 'test/system/support', name) });
    recorder.configure('probe', settings);
    const told = `journalctl --output=cat _PID=$(systemctl show --property=MainPID --value ${UNIT}) | grep '^{'`;
    await machine.wait(told);
    return JSON.parse(machine.run(told)) as Record<string, string>;
  }
});

const toSetpriv = (rule: string): string => `--landlock-rule path-beneath:${rule}`;

/** Somebody listens where the probe knocks, and the control shows that root gets in. */
async function openDoors(machine: Machine): Promise<void> {
  machine.put('/etc/systemd/network/lo.network', {
    text: `[Match]\nName=lo\n[Network]\nAddress=${NOT_LOOPBACK}/32\n`,
  });
  machine.put('/etc/systemd/system/door.socket', {
    text: '[Socket]\nListenStream=0.0.0.0:8490\nListenStream=/run/secure-ai/probe.socket\nSocketMode=0666\nAccept=yes\n',
  });
  machine.put('/etc/systemd/system/door@.service', { text: '[Service]\nExecStart=/bin/true\nStandardInput=socket\n' });
  machine.run('systemctl daemon-reload; systemctl start systemd-networkd door.socket');
  await machine.wait(`curl -s --connect-timeout 2 http://${NOT_LOOPBACK}:8490; [ $? -ne 7 ] && [ $? -ne 28 ]`);
}

const WRAPPER = String.raw`#!/usr/bin/perl
my %rights = (
  ro => 'read-file,read-dir',
  exe => 'read-file,read-dir,execute',
  rw => 'read-file,read-dir,write-file,remove-file,remove-dir,make-reg,make-dir,refer,truncate',
);
exit 0 if $ARGV[0] eq '--check';
my @rules;
open my $policy, '<', $ENV{LANDLOCK_POLICY_PATH} or die;
while (<$policy>) {
  my ($path, $access) = /path: ([^,]+), access: (\w+)/ or next;
  push @rules, '--landlock-rule', "path-beneath:$rights{$access}:$path" if -e $path;
}
splice @ARGV, 0, 3;
exec 'setpriv', '--no-new-privs', '--landlock-access', 'fs', @rules, @ARGV;
`;
