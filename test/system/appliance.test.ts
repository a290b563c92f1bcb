/**
 * The package in the appliance: its groups, directories and credentials, with the drop-ins that are for it, under the real
 * confinement. The tests are one story, in their order.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { needs } from '../faults/support/needs.ts';
import { ROOT } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { SOCKET, UNIT } from '../systemd/support/unit-file.ts';
import { bootedMachine, type Machine } from './support/machine.ts';
import { LOG, Recorder } from './support/recorder.ts';

/** What the appliance's sysusers.d and tmpfiles.d make, as far as the recorder meets it. */
const GROUPS = ['secure-ai-services', 'secure-ai-logs', 'secure-ai-agent-ipc', 'secure-ai-vault-control'];
const DIRECTORIES = `
d /var/lib/secure-ai                      0711 root root                    -
d /var/lib/secure-ai/credentials          0700 root root                    -
d /var/lib/secure-ai/logs                 2770 root secure-ai-logs          -
d /run/secure-ai                          0750 root secure-ai-services      -
d /run/secure-ai/agent                    2770 root secure-ai-agent-ipc     -
d /run/secure-ai/vault-control            0750 root secure-ai-vault-control -
d /run/secure-ai/vault-control/requests   2730 root secure-ai-vault-control -
d /run/secure-ai/vault-control/processing 0700 root root                    -
d /run/secure-ai/vault-control/results    0750 root secure-ai-vault-control -
d /usr/libexec/secure-ai                  0755 root root                    -
`;
const CREDENTIALS = '/var/lib/secure-ai/credentials';
const OWN = '/etc/secure-ai/incident-recorder';
const DROP_INS = ['credentials', 'appliance', 'access-credentials', 'shared-log-directory'];
/** The reporters, and what their files are called. */
const REPORTERS: Readonly<Record<string, string>> = {
  'canary-tripwire': 'canary',
  'gpu-integrity-watch': 'gpu-integrity',
  'integrity-monitor': 'integrity-monitor',
  'runtime-attestor': 'runtime-attestor',
};
const STATE = '--state-directory /var/lib/incident-recorder';
/** How long the agent drains, in seconds. */
const DRAIN = 3;
const FORENSIC_KEY = randomBytes(32).toString('hex');
/** An incident as the appliance's recorder before this one keeps it, in its store and in its log. */
const BEFORE = {
  id: 'INC-20260301-120000-0001',
  created_at: '2026-03-01T12:00:00Z',
  class: 'forbidden_airlock_request',
  severity: 'medium',
  state: 'open',
  source: 'airlock',
  description: 'a destination that is not allowed',
  evidence: { destination: 'example.org' },
  hash: '0123456789abcdef'.repeat(4),
};
const REPORT = {
  class: 'integrity_violation',
  severity: 'critical',
  source: 'canary-tripwire',
  description: 'authenticated canary violation: missing',
  evidence: { canary_path: '/var/lib/secure-ai/vault/.canary', fingerprint: 'a'.repeat(64) },
};

describe('the recorder in the appliance', () => {
  needs('systemd-nspawn', 'debootstrap', 'mount');
  const booted = bootedMachine();
  const directory = temporaryDirectories();
  let machine: Machine;
  let recorder: Recorder;
  let incident: string;

  /** Makes a file that only root reads. */
  const secret = (path: string, text = randomBytes(32).toString('hex')): void => {
    machine.put(path, { text: `${text}\n` });
    machine.run(`chmod 0600 ${path}`);
  };
  const tokenOf = (name: string): string =>
    name in REPORTERS ? `${CREDENTIALS}/incident-reporter-${REPORTERS[name]}.token` : `/root/${name}.token`;
  const asked = (): readonly { readonly name: string; readonly status: number }[] =>
    machine
      .run('cat /root/asked')
      .split('\n')
      .map((line) => JSON.parse(line));
  const journalOf = (): string => machine.run(`journalctl --no-pager --output=cat --unit=${UNIT}`);

  before(() => {
    machine = booted();
    recorder = new Recorder(machine);
    machine.put('/usr/lib/sysusers.d/secure-ai.conf', { text: GROUPS.map((name) => `g ${name} -\n`).join('') });
    machine.put('/usr/lib/tmpfiles.d/secure-ai.conf', { text: DIRECTORIES });
    machine.run('systemd-sysusers && systemd-tmpfiles --create secure-ai.conf');
    machine.put('/opt/appliance.cjs', { file: join(import.meta.dirname, 'support/appliance.cjs') });
  });

  it('is installed, and starts with the drop-ins, the policy and the access file that are for it', async () => {
    const unpacked = recorder.unpack();
    const said = machine.run(`${unpacked}/install.sh`);
    expect(said).to.include('/usr/libexec/secure-ai/incident-recorder is a link');
    machine.run(`systemctl stop ${UNIT} ${SOCKET}; systemctl reset-failed`);
    for (const name of Object.keys(REPORTERS)) secret(tokenOf(name));
    for (const name of ['agent', 'airlock', 'registry']) secret(`${CREDENTIALS}/${name}-containment.token`);
    for (const name of ['read', 'operator', 'recovery-admin', 'forensic']) {
      secret(`${CREDENTIALS}/incident-${name}.token`);
    }
    secret(`${OWN}/service-token`);
    for (const name of ['runtime-attestor.token', 'attestation-hmac.key']) secret(`${CREDENTIALS}/${name}`);
    secret(`${CREDENTIALS}/forensic-hmac.key`, FORENSIC_KEY);
    const dropIns = `${unpacked}/systemd/drop-ins`;
    machine.run(`mkdir -p /etc/systemd/system/${UNIT}.d; cd /etc/systemd/system/${UNIT}.d
      for name in ${DROP_INS.join(' ')}; do cp ${dropIns}/$name.conf .; done
      sed -Ei 's/^#((LoadCredential|Environment|SupplementaryGroups)=)/\\1/' appliance.conf access-credentials.conf`);
    const withAttestor = '/^  attestation_failure:/,/recovery/s/acknowledge: true/acknowledge: true, attest: true/';
    machine.run(`sed '${withAttestor}' ${unpacked}/policy/examples/appliance.yaml \
        > /etc/secure-ai/policy/incident-containment.yaml
      sed -E 's/^  #([a-z-]+:$|  (roles|token_path):)/  \\1/' ${unpacked}/policy/examples/incident-access.yaml > access.yaml
      install -m 0640 -g incident-recorder access.yaml /etc/secure-ai/policy/incident-access.yaml`);
    for (const [name, role] of [
      ['ada', 'recovery'],
      ['bob', 'operator'],
      ['carol', 'auditor'],
      ['root', 'admin'],
    ]) {
      const { token } = JSON.parse(machine.run(`incident-recorder access new ${name} --role ${role} --json`)) as {
        readonly token: string;
      };
      secret(tokenOf(name!), token);
    }
    expect(machine.run('incident-recorder access check')).to.include('ada');
    machine.run(
      `systemd-run --unit=stand-ins /usr/lib/secure-ai/incident-recorder/bin/node /opt/appliance.cjs ${DRAIN}`,
    );
    // The log of the recorder before is where this one's will be.
    machine.put(LOG, { text: `${JSON.stringify(BEFORE)}\n` });
    machine.put('/var/lib/secure-ai/data/incidents.jsonl', { text: `${JSON.stringify(BEFORE)}\n` });
    machine.run(
      `chgrp secure-ai-logs ${LOG}; chmod 0640 ${LOG}; systemctl daemon-reload; systemctl start ${SOCKET} ${UNIT}`,
    );
    await machine.wait(`journalctl --unit=${UNIT} | grep -q 'incident-recorder import ${LOG}.before'`);
    machine.run(`systemctl stop ${UNIT}; mv ${LOG} ${LOG}.before; systemctl start ${UNIT}`);
    await recorder.serves();
    const imported = machine.run(
      `incident-recorder import /var/lib/secure-ai/data/incidents.jsonl --token-file ${tokenOf('root')}`,
    );
    expect(imported).to.include('imported 1 incident');
    expect(recorder.get('/api/v1/incidents')[0]).to.include({ id: BEFORE.id, state: 'open' });
    const { status, warnings, audit } = recorder.get('/health');
    expect([status, audit.findings]).to.deep.equal(['ok', []]);
    expect(warnings).to.deep.equal([]);
    const groups = /^Groups:\s+(.*)$/m.exec(machine.run(`cat /proc/${recorder.property('MainPID')}/status`))?.[1];
    const ids = GROUPS.map((name) => machine.run(`getent group ${name} | cut -d: -f3`));
    expect(groups?.trim().split(/\s+/)).to.include.members(ids);
  });

  it("answers the canary's report with the success of all three actions", () => {
    const began = performance.now();
    const { status, json } = recorder.post('/api/v1/incidents/report', REPORT, tokenOf('canary-tripwire'));
    expect(status, JSON.stringify(json)).to.equal(201);
    expect(performance.now() - began).to.be.at.least(DRAIN * 1000);
    expect(json.state).to.equal('contained');
    incident = json.id;
    const results = json.containment_results as readonly { readonly action: string; readonly success: boolean }[];
    expect(
      results.map(({ action, success }) => [action, success]),
      JSON.stringify(results),
    ).to.have.deep.members([
      ['freeze_agent', true],
      ['disable_airlock', true],
      ['force_vault_relock', true],
    ]);
    expect(asked().map(({ name, status: answered }) => [name, answered])).to.have.deep.members([
      ['agent', 200],
      ['airlock', 200],
      ['vault', 200],
    ]);
    expect(machine.run(`stat -c %a:%U:%G /var/lib/secure-ai/logs ${LOG}`).split('\n')).to.deep.equal([
      '2770:root:secure-ai-logs',
      '640:incident-recorder:secure-ai-logs',
    ]);
  });

  it('refuses a reporter that reports what it is not for, and a token that nobody has', () => {
    for (const [name, fields] of [
      ['gpu-integrity-watch', {}],
      ['canary-tripwire', { class: 'attestation_failure' }],
      ['bob', {}],
    ] as const) {
      const { status, json } = recorder.post('/api/v1/incidents/report', { ...REPORT, ...fields }, tokenOf(name));
      expect(status, JSON.stringify(json)).to.equal(403);
    }
    expect(recorder.post('/api/v1/incidents/resolve', { id: incident }, tokenOf('canary-tripwire')).status).to.equal(
      403,
    );
  });

  it('writes to the journal what the scripts look for', async () => {
    for (const words of [
      `containment: freeze_agent, disable_airlock, force_vault_relock asked for by ${incident} class=integrity_violation`,
      `containment: freeze_agent engaged for ${incident} class=integrity_violation`,
      `containment: force_vault_relock engaged for ${incident}`,
    ]) {
      // Lines are written a tenth of a second late.
      await machine.wait(`journalctl --unit=${UNIT} | grep -qF '${words}'`);
    }
    expect(journalOf()).to.not.match(/EACCES|EPERM|EROFS/);
  });

  it('takes the incident to its end by whom each step is for', async () => {
    expect(recorder.post('/api/v1/incidents/resolve', { id: incident }, tokenOf('bob')).status).to.equal(403);
    const refused = recorder.post('/api/v1/incidents/resolve', { id: incident }, tokenOf('ada'));
    expect([refused.status, refused.json.error, refused.json.missing]).to.deep.equal([
      409,
      'recovery is incomplete',
      ['acknowledge'],
    ]);
    const acknowledged = recorder.post('/api/v1/recovery/ack', { incident_id: incident }, tokenOf('ada'));
    expect([acknowledged.status, acknowledged.json]).to.deep.equal([200, { status: 'acknowledged' }]);
    await machine.wait(`journalctl --unit=${UNIT} | grep -q 'recovery: acknowledged for ${incident}'`);
    const resolved = recorder.post('/api/v1/incidents/resolve', { id: incident }, tokenOf('ada'));
    expect([resolved.status, resolved.json.state], JSON.stringify(resolved.json)).to.deep.equal([200, 'resolved']);
    expect(recorder.get('/api/v1/containment').freeze_agent).to.include({ engaged: false, to_do: 'release by hand' });
  });

  it('asks the attestor itself, and believes only a good bundle', async () => {
    const report = { class: 'attestation_failure', source: 'runtime-attestor', description: 'TPM quote failed' };
    const { status, json } = recorder.post('/api/v1/incidents/report', report, tokenOf('runtime-attestor'));
    expect(status, JSON.stringify(json)).to.equal(201);
    const { id } = json as { readonly id: string };
    await machine.wait(
      `curl -s 'http://127.0.0.1:8515/api/v1/incidents/get?id=${id}' | grep -q '"status":"confirmed"'`,
    );
    await machine.wait(`journalctl --unit=${UNIT} | grep -q 'freeze_agent engaged for ${id}'`);
    const step = (path: string) => recorder.post(`/api/v1/recovery/${path}`, { incident_id: id }, tokenOf('ada'));
    expect(step('ack').json).to.deep.equal({ status: 'acknowledged' });
    const refused = step('reattest');
    expect([refused.status, JSON.stringify(refused.json)]).to.deep.equal([409, JSON.stringify(refused.json)]);
    expect(JSON.stringify(refused.json)).to.include('degraded');
    const attested = step('reattest');
    expect(attested.status, JSON.stringify(attested.json)).to.equal(200);
    expect(recorder.post('/api/v1/incidents/resolve', { id }, tokenOf('ada')).json.state).to.equal('resolved');
  });

  it('exports what an offline verifier takes', () => {
    machine.run(`incident-recorder forensic-export --to /root/bundle.json --token-file ${tokenOf('carol')}`);
    const folder = directory();
    const [bundle, key] = [join(folder, 'bundle.json'), join(folder, 'key')];
    writeFileSync(bundle, machine.run('cat /root/bundle.json'));
    writeFileSync(key, FORENSIC_KEY);
    const verifier = join(ROOT, 'test/support/verify-forensic.py');
    const said = JSON.parse(execFileSync('python3', [verifier, bundle, key], { encoding: 'utf8' })) as object;
    expect(said).to.have.property('incidents', 3);
    // As the appliance's own script asks for it.
    machine.run(`sed 's/^/Authorization: Bearer /' ${CREDENTIALS}/incident-forensic.token > as-forensic
      curl --fail --silent --show-error --max-time 30 --max-filesize 67108864 -H @as-forensic \
        --output /root/scripted.json http://127.0.0.1:8515/api/v1/forensic/export`);
    writeFileSync(bundle, machine.run('cat /root/scripted.json'));
    execFileSync('python3', [verifier, bundle, key]);
    const other = machine.try(`incident-recorder forensic-export --to /root/other.json --token-file ${tokenOf('bob')}`);
    expect([other.status, other.stderr]).to.deep.equal([1, other.stderr]);
    expect(other.stderr).to.include('auditor');
  });

  it('is backed up while it runs, and restored after everything was lost', async () => {
    const made = machine.run(`incident-recorder backup /root/backup-1 ${STATE}`);
    expect(made).to.include('verified    with the audit key');
    const all = recorder.get('/api/v1/incidents');
    machine.run(`systemctl stop ${UNIT} ${SOCKET}
      mkdir /root/lost; mv ${LOG}* /root/lost; mv /root/lost/*.before /root; mv /var/lib/incident-recorder/* /root/lost`);
    const restored = machine.run(`incident-recorder restore /root/backup-1 ${STATE}`);
    expect(restored).to.match(/^owner {7}user \d+, group \d+, mode 0640$/m);
    machine.run(`systemctl start ${SOCKET} ${UNIT}`);
    await recorder.serves();
    const { status, warnings, audit } = recorder.get('/health');
    expect([status, warnings, audit.findings]).to.deep.equal(['ok', [], []]);
    expect(recorder.get('/api/v1/incidents')).to.deep.equal(all);
    const { status: reported, json } = recorder.post('/api/v1/incidents/report', REPORT, tokenOf('canary-tripwire'));
    expect([reported, json.containment_results?.length], JSON.stringify(json)).to.deep.equal([201, 3]);
  });

  it('has a log that verifies, and nothing was refused to it', () => {
    machine.run(`systemctl stop ${UNIT} ${SOCKET}`);
    const verified = machine.run(`incident-recorder verify --key ${OWN}/audit-hmac-key ${STATE} ${LOG}`);
    expect(verified).to.include(`${LOG}: valid`);
    expect(journalOf()).to.not.match(/EACCES|EPERM|EROFS/);
  });
});
