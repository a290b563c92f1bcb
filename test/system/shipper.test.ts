/** The shipper in its unit on a Debian 13, with a stand-in for the fleet at another address. One story, in its order. */
import { join } from 'node:path';
import { expect } from 'chai';
import { needs } from '../faults/support/needs.ts';
import { SHIPPER } from '../systemd/support/unit-file.ts';
import { bootedMachine, type Machine } from './support/machine.ts';
import { LOG, Recorder } from './support/recorder.ts';

/** Where the fleet is: not the loopback for IPAddressDeny=, and reached through the drop-in of the enrolment alone. */
const FLEET = '192.0.2.7';
const NAME = 'fleet.example';
const OTHER = '192.0.2.66';
const ASK = `curl -sf --cacert /root/cert.pem --resolve ${NAME}:8520:${FLEET} https://${NAME}:8520/kept`;
const OWN = '/etc/secure-ai/incident-shipper';
const DROP_INS = `/etc/systemd/system/${SHIPPER}.d`;
const PROGRAM = '/usr/lib/secure-ai/incident-recorder';
const METRICS = 'curl -sf http://127.0.0.1:8516/metrics';

describe('the shipper on a host with systemd', () => {
  needs('systemd-nspawn', 'debootstrap', 'mount');
  const booted = bootedMachine();
  let machine: Machine;
  let recorder: Recorder;

  const entries = (): number => Number(machine.run(`wc -l < ${LOG}`));
  const kept = (): { kept: number; statuses: number; enrolled?: Record<string, string> } =>
    JSON.parse(machine.run(ASK));
  const arrives = (): Promise<void> => machine.wait(`${ASK} | grep -q "\\"kept\\":$(wc -l < ${LOG}),"`);

  before(async () => {
    machine = booted();
    recorder = new Recorder(machine);
    await recorder.install();
    machine.put('/etc/systemd/network/lo.network', {
      text: `[Match]\nName=lo\n[Network]\nAddress=${FLEET}/32\nAddress=${OTHER}/32\n`,
    });
    machine.put('/opt/fleet.cjs', { file: join(import.meta.dirname, 'support/fleet.cjs') });
    machine.put('/opt/probe.mjs', { file: join(import.meta.dirname, 'support/shipper-probe.mjs') });
    machine.run(
      `systemctl start systemd-networkd
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${NAME} \
        -addext subjectAltName=DNS:${NAME} -keyout key.pem -out cert.pem
      systemd-run --unit=stand-in --property=Restart=always --property=RestartSec=100ms \
        ${PROGRAM}/bin/node /opt/fleet.cjs ${FLEET} 8520 /root/cert.pem /root/key.pem`,
    );
    await machine.wait(ASK);
  });

  it('does not start before the machine is enrolled', () => {
    machine.run(`systemctl start ${SHIPPER}`);
    expect(machine.run(`systemctl show --property=ConditionResult --value ${SHIPPER}`)).to.equal('no');
  });

  it('is enrolled by root, whose files nobody else can read', () => {
    const said = machine.run(
      `echo one-time | incident-recorder ship --enrol --fleet https://${NAME}:8520 --ca cert.pem --address ${FLEET} --machine web-1`,
    );
    expect(said).to.include('roles: [reader, anchor]');
    expect(
      machine.run(`stat -c '%a %U' ${OWN} ${OWN}/fleet-token ${OWN}/recorder-token ${OWN}/machine-key.pem`),
    ).to.equal(['700 root', '600 root', '600 root', '600 root'].join('\n'));
    expect(kept().enrolled).to.include({ machine: 'web-1' }).and.not.have.property('audit_key');
    const [, principal = ''] = /\n( {2}incident-shipper:\n(?: {4}.*\n)+)/.exec(said) ?? [];
    const access = `version: 1\nservice_token:\n  roles: [reader, reporter, operator]\n  sources: any\n  classes: any\nprincipals:\n${principal}`;
    machine.put('/root/access.yaml', { text: access });
    machine.run(
      `install -m 0640 -g incident-recorder access.yaml /etc/secure-ai/policy/incident-access.yaml
      systemctl restart secure-ai-incident-recorder`,
    );
  });

  it('ships what is recorded, once the drop-in opens the network to the fleet', async () => {
    await recorder.serves();
    expect(recorder.report('the first').status).to.equal(201);
    machine.run(
      `install -D -m 0644 ${OWN}/shipper.conf ${DROP_INS}/fleet.conf
      systemctl daemon-reload; systemctl enable --now ${SHIPPER}`,
    );
    await arrives();
    expect(recorder.report('the second').status).to.equal(201);
    await arrives();
    await machine.wait(`${ASK} | grep -q '"statuses":[1-9]'`);
    expect(machine.run(`${METRICS} | grep '^incident_shipper_behind_entries'`)).to.equal(
      'incident_shipper_behind_entries 0',
    );
    expect(entries()).to.be.greaterThan(3);
  });

  it('goes on after a kill of either side', async () => {
    machine.run(`systemctl kill --signal=KILL ${SHIPPER}; systemctl kill --signal=KILL secure-ai-incident-recorder`);
    await recorder.serves();
    for (let n = 0; n < 20; n++) expect(recorder.report(`after the kill ${n}`).status).to.equal(201);
    await arrives();
  });

  it('says soon that it can’t reach a fleet to which the drop-in does not open the network', async () => {
    machine.put(`${DROP_INS}/other.conf`, { text: `[Service]\nEnvironment=FLEET_ADDRESS=${OTHER}\n` });
    machine.run(`systemctl daemon-reload; systemctl restart ${SHIPPER}`);
    const since = performance.now();
    try {
      await machine.wait(`journalctl --unit=${SHIPPER} --output=cat | grep -q '(no connection in 10000 ms)'`);
      expect(performance.now() - since).to.be.below(30_000);
    } finally {
      machine.run(`rm ${DROP_INS}/other.conf; systemctl daemon-reload; systemctl restart ${SHIPPER}`);
    }
    await arrives();
  });

  it('has nothing but what it needs', async () => {
    machine.put(`${DROP_INS}/probe.conf`, {
      text: `[Service]\nBindReadOnlyPaths=/opt/probe.mjs:${PROGRAM}/dist/cli.js\n`,
    });
    machine.run(`systemctl daemon-reload; systemctl restart ${SHIPPER}`);
    await machine.wait(`journalctl --unit=${SHIPPER} --output=cat | grep -q '"read the audit key"'`);
    const line = machine.run(`journalctl --unit=${SHIPPER} --output=cat | grep '"read the audit key"' | tail -n 1`);
    const REFUSED = ['EACCES', 'EPERM', 'ENOENT', 'EROFS', 'ABORT_ERR', 'AbortError'];
    const done = Object.entries(JSON.parse(line) as Record<string, string>).filter(
      ([, outcome]) => !REFUSED.includes(outcome),
    );
    expect(Object.fromEntries(done)).to.deep.equal({
      'read its tokens': 'done',
      'reach the recorder': 'done',
      'reach the fleet': 'done',
      'bind the port of its metrics': 'done',
      'measure its memory': 'done',
    });
    machine.run(`rm ${DROP_INS}/probe.conf; systemctl daemon-reload; systemctl restart ${SHIPPER}`);
    await arrives();
  });

  it('has a unit in which this systemd finds no fault', () => {
    const { status, stdout, stderr } = machine.try(`systemd-analyze verify ${SHIPPER}`);
    expect({ status, said: stdout + stderr }).to.deep.equal({ status: 0, said: '' });
    machine.run(`systemd-analyze security --threshold=11 ${SHIPPER}`);
  });

  it('is removed with the recorder, and its tokens stay', () => {
    machine.run(`${PROGRAM}/install.sh remove`);
    expect(machine.try(`systemctl cat ${SHIPPER}`).stdout).to.not.include('ExecStart=/usr/bin/setpriv');
    expect(machine.run(`ls ${OWN}`)).to.include('fleet-token');
  });
});
