/** The package on a Debian 13, from its installation to its removal. The tests are one story, in their order. */
import { expect } from 'chai';
import { needs } from '../faults/support/needs.ts';
import { SOCKET, UNIT } from '../systemd/support/unit-file.ts';
import { bootedMachine, type Machine } from './support/machine.ts';
import { LOG, POLICY, Recorder, TOKEN } from './support/recorder.ts';

const ALL = '/api/v1/incidents';

describe('the recorder on a host with systemd', () => {
  needs('systemd-nspawn', 'debootstrap', 'mount');
  const booted = bootedMachine();
  let machine: Machine;
  let recorder: Recorder;
  let unpacked: string;

  before(() => {
    machine = booted();
    recorder = new Recorder(machine);
    unpacked = recorder.unpack();
  });

  it('is not installed where the host lacks something, and then nothing has changed', () => {
    const before = machine.run('find /usr /etc /var/lib -newer /proc/1/cmdline | sort');
    const { status, stderr } = machine.try(
      `mkdir old; printf '#!/bin/sh\\necho setpriv from util-linux 2.38.1\\n' > old/setpriv; chmod +x old/setpriv
      PATH=/root/old:$PATH ${unpacked}/install.sh`,
    );
    expect(status).to.equal(1);
    expect(stderr).to.include('this host lacks util-linux 2.40 or newer (setpriv from util-linux 2.38.1)');
    expect(machine.run('find /usr /etc /var/lib -newer /proc/1/cmdline | sort')).to.equal(before);
  });

  it('is not installed from a package that is not whole', () => {
    machine.run(`cp -r ${unpacked} damaged; echo >> damaged/dist/service.cjs`);
    const { status, stderr, stdout } = machine.try('./damaged/install.sh');
    expect(status).to.equal(1);
    expect(stdout + stderr).to.include('dist/service.cjs: FAILED');
  });

  it('is installed by one command, and waits for the token', async () => {
    expect(machine.run(`${unpacked}/install.sh check`)).to.equal('incident-recorder: this host lacks nothing');
    expect(machine.run(`${unpacked}/install.sh`)).to.include('it waits for its token');
    await machine.wait(`journalctl --unit=${UNIT} | grep -q 'no usable service token'`);
    recorder.makeToken();
    await recorder.serves();
    const { status, warnings } = recorder.get('/health') as { status: string; warnings: string[] };
    expect([status, warnings.filter((warning) => !warning.startsWith('no access file'))]).to.deep.equal(['ok', []]);
    expect(recorder.get('/health').audit.algorithm).to.equal('hmac-sha256');
    expect(machine.run('ls /etc/secure-ai/policy').split('\n')).to.deep.equal([
      'incident-containment.schema.json',
      'incident-containment.yaml',
    ]);
  });

  it('starts from what V8 compiled at the installation', async () => {
    const cache = '/usr/lib/secure-ai/incident-recorder/dist/bundle.cjs.cache';
    recorder.configure('debug', 'Environment=NODE_DEBUG=incident-recorder');
    await recorder.serves();
    expect(recorder.journal.join()).to.not.include('cached data passed over');
    machine.run(`mv ${cache} .`);
    recorder.reset();
    recorder.configure('debug', 'Environment=NODE_DEBUG=incident-recorder');
    await recorder.serves();
    expect(recorder.journal.join()).to.include('cached data passed over');
    machine.run(`mv bundle.cjs.cache ${cache}`);
    recorder.reset();
    await recorder.serves();
  });

  it('has a unit in which this systemd finds no fault', () => {
    const { status, stdout, stderr } = machine.try(`systemd-analyze verify ${UNIT} ${SOCKET}`);
    expect({ status, said: stdout + stderr }).to.deep.equal({ status: 0, said: '' });
    machine.run(`systemd-analyze security --threshold=10 ${UNIT}`);
  });

  it('records a report, and contains it', () => {
    const { status, json } = recorder.report('the first');
    expect(status, JSON.stringify(json)).to.equal(201);
    expect(json.state).to.equal('contained');
    expect(recorder.get(ALL)).to.have.length(1);
  });

  it('writes lines of JSON to the journal, and nothing else', () => {
    const { journal } = recorder;
    expect(journal.length).to.be.greaterThan(1);
    for (const line of journal) expect(JSON.parse(line), line).to.include.keys('level', 'time', 'msg');
  });

  it('takes a changed policy at a reload, and refuses a faulty one', async () => {
    const pid = recorder.property('MainPID');
    const { digest } = recorder.get('/health').policy;
    machine.run(`sed -i 's/default_severity: medium/default_severity: low/' ${POLICY}; systemctl reload ${UNIT}`);
    await machine.wait(`journalctl _PID=${pid} | grep -q 'policy reloaded'`);
    const changed = recorder.get('/health').policy.digest;
    expect(changed).to.not.equal(digest);

    machine.run(`cp ${POLICY} good; sed -i 's/freeze_agent/freeze_agnet/' ${POLICY}; systemctl reload ${UNIT}`);
    await machine.wait(`journalctl _PID=${pid} | grep -q 'policy and access file not reloaded'`);
    expect(recorder.get('/health').policy.digest).to.equal(changed);
    machine.run(`cp good ${POLICY}`);
  });

  it('is back after SIGKILL, with everything', async () => {
    const before = recorder.get(ALL);
    const pid = recorder.property('MainPID');
    machine.run(`kill -KILL ${pid}`);
    await machine.wait(`[ "$(systemctl show --property=MainPID --value ${UNIT})" != ${pid} ]`);
    await recorder.serves();
    expect(Number(recorder.property('NRestarts'))).to.be.greaterThan(0);
    expect(recorder.get(ALL)).to.deep.equal(before);
  });

  it('loses nothing when it is stopped', async () => {
    const before = recorder.get(ALL);
    machine.run(`systemctl stop ${UNIT}`);
    expect(recorder.property('Result')).to.equal('success');
    expect(machine.run(`tail -n 1 ${LOG}`)).to.include('"service.stopped"');
    const verified = machine.run(
      `incident-recorder verify --key /etc/secure-ai/incident-recorder/audit-hmac-key ${LOG}`,
    );
    expect(verified).to.include(`${LOG}: valid`);
    machine.run(`systemctl start ${UNIT}`);
    await recorder.serves();
    expect(recorder.get(ALL)).to.deep.equal(before);
  });

  it('takes another token without a restart', async () => {
    const pid = recorder.property('MainPID');
    machine.run(`cp ${TOKEN} /root/old-token`);
    recorder.makeToken();
    const reload = 'curl -sf -H @- -X POST http://127.0.0.1:8515/api/v1/reload';
    await machine.wait(`sed 's/^/Authorization: Bearer /' ${TOKEN} | ${reload}`);
    const report = { class: 'prompt_injection', source: 'system-test', description: 'after the rotation' };
    expect(recorder.post('/api/v1/incidents/report', report, '/root/old-token').status).to.equal(403);
    expect(recorder.post('/api/v1/incidents/report', report).status).to.equal(201);
    expect(recorder.property('MainPID')).to.equal(pid);
  });

  it('keeps every incident and the edited policy when it is upgraded', async () => {
    const before = recorder.get(ALL);
    const edited = machine.run(`cat ${POLICY}`);
    machine.run(
      `cp -r ${unpacked} next; cd next
      printf '\\n// the next build\\n' >> dist/service.cjs; echo '# the next policy' >> policy/incident-containment.yaml
      find . -type f ! -name SHA256SUMS | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum > SHA256SUMS`,
    );
    expect(machine.run('./next/install.sh')).to.include('was edited and stays');
    await recorder.serves();
    expect(recorder.get(ALL)).to.deep.equal(before);
    expect(machine.run(`cat ${POLICY}`)).to.equal(edited);
    expect(machine.run(`tail -n 1 ${POLICY}.new`)).to.equal('# the next policy');
    expect(machine.run('tail -n 1 /usr/lib/secure-ai/incident-recorder/dist/service.cjs')).to.equal(
      '// the next build',
    );
  });

  it('may be installed again', async () => {
    machine.run('./next/install.sh && ./next/install.sh');
    await recorder.serves();
  });

  it('is removed, and the log stays', () => {
    machine.run(`systemctl stop ${UNIT}`);
    const logs = `cd $(dirname ${LOG}) && sha256sum * && sha256sum ${POLICY}`;
    const before = machine.run(logs);
    machine.run('/usr/lib/secure-ai/incident-recorder/install.sh remove');
    expect(machine.run(logs)).to.equal(before);
    expect(machine.run("find / -xdev -path /root -prune -o -path /proc -prune -o -name '*incident-recorder*' -print"))
      .to.not.include('/usr/')
      .and.not.include('/etc/systemd');
    for (const one of [UNIT, SOCKET]) expect(machine.try(`systemctl cat ${one}`).status).to.not.equal(0);
    expect(machine.try('curl -s -m 5 http://127.0.0.1:8515/livez').status, 'nobody listens').to.equal(7);
    machine.run(`${unpacked}/install.sh remove`);
  });

  it('goes on with the log when it is installed again', async () => {
    machine.run(`${unpacked}/install.sh`);
    await recorder.serves();
    expect(recorder.get(ALL).map(({ description }: { description: string }) => description)).to.have.members([
      'the first',
      'after the rotation',
    ]);
  });
});
