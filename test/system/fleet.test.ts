/** Recorder, shipper and fleet from their packages on one Debian 13. The tests are one story, in their order. */
import { basename } from 'node:path';
import { expect } from 'chai';
import { needs } from '../faults/support/needs.ts';
import { SHIPPER } from '../systemd/support/unit-file.ts';
import { bootedMachine, type Machine } from './support/machine.ts';
import { LOG, makePackage, ownDirectory, Recorder } from './support/recorder.ts';

const FLEET = 'incident-fleet.service';
const OWN = '/etc/secure-ai/incident-shipper';
const ACCESS = '/etc/secure-ai/policy/incident-access.yaml';
const URL = 'http://127.0.0.1:8520';

describe('a machine and its fleet', () => {
  needs('systemd-nspawn', 'debootstrap', 'mount');
  const booted = bootedMachine();
  let machine: Machine;
  let recorder: Recorder;
  let unpacked: string;

  /** How far the fleet has the log, as people ask: the machine's own requests are signed. */
  const asksHowFar = `sed 's/^/Authorization: Bearer /' /etc/incident-fleet/token | curl -sf -H @- ${URL}/api/v1/machines/web-1`;
  const arrives = (): Promise<void> => machine.wait(`${asksHowFar} | grep -q "\\"held\\":$(wc -l < ${LOG}),"`);
  const serves = (): Promise<void> => machine.wait(`curl -sf -m 10 ${URL}/health`);

  before(async () => {
    machine = booted();
    recorder = new Recorder(machine);
    await recorder.install();
    const file = makePackage(ownDirectory(), 'fleet');
    machine.put(`/root/${basename(file)}`, { file });
    machine.run(`tar xzf ${basename(file)}`);
    unpacked = `/root/${basename(file, '.tgz')}`;
  });

  it('the fleet is installed by one command, and serves', async () => {
    expect(machine.run(`${unpacked}/install.sh check`)).to.equal('incident-fleet: this host lacks nothing');
    expect(machine.run(`${unpacked}/install.sh`)).to.include('made /etc/incident-fleet/token');
    await serves();
    expect(machine.run('stat -c %a:%U /etc/incident-fleet/token /var/lib/incident-fleet')).to.equal(
      '400:incident-fleet\n700:incident-fleet',
    );
  });

  it('has a unit in which this systemd finds no fault', () => {
    const { status, stdout, stderr } = machine.try(`systemd-analyze verify ${FLEET}`);
    expect({ status, said: stdout + stderr }).to.deep.equal({ status: 0, said: '' });
    machine.run(`systemd-analyze security --threshold=12 ${FLEET}`);
  });

  it('a machine is enrolled, and its log arrives', async () => {
    const pid = machine.run(`systemctl show -P MainPID ${FLEET}`);
    const secret = machine.run('incident-fleet enrol web-1 --label site=berlin').split('\n').at(-1)!;
    // The fleet that runs has done it: it has PGlite's folder.
    expect(machine.run(`systemctl show -P MainPID ${FLEET}`)).to.equal(pid);
    await serves();
    const said = machine.run(`echo '${secret}' | incident-recorder ship --enrol --fleet ${URL} --machine web-1`);
    const [, added = ''] = /add:\n\n([\s\S]*?)\n\nThen/.exec(said) ?? [];
    machine.put('/root/access.yaml', {
      text: `version: 1\nservice_token:\n  roles: [reader, reporter, operator]\n  sources: any\n  classes: any\n${added}\n`,
    });
    machine.run(
      `install -m 0640 -g incident-recorder access.yaml ${ACCESS}
      systemctl restart secure-ai-incident-recorder
      install -D -m 0644 ${OWN}/shipper.conf /etc/systemd/system/${SHIPPER}.d/fleet.conf
      systemctl daemon-reload; systemctl enable --now ${SHIPPER}`,
    );
    await recorder.serves();
    expect(recorder.report('seen from afar').status).to.equal(201);
    await arrives();
    const bare = machine.run(
      `sed 's/^/Authorization: Bearer /' ${OWN}/fleet-token |
        curl -s -o /dev/null -w '%{http_code}' -H @- ${URL}/api/v1/machines/web-1/logs/${recorder.get('/health').audit.log_id}`,
    );
    expect(bare, 'the token without the key is worth nothing').to.equal('403');
    const again = machine.try(`echo '${secret}' | incident-recorder ship --enrol --fleet ${URL} --machine web-1`);
    expect(again.status, 'the secret is good once').to.equal(1);
  });

  it('the incident is in the fleet', async () => {
    await machine.wait(
      `sed 's/^/Authorization: Bearer /' /etc/incident-fleet/token |
        curl -sf -H @- ${URL}/api/v1/incidents | grep -q 'seen from afar'`,
    );
  });

  it('the recorder records how far the fleet has signed its log', async () => {
    await machine.wait(`grep -q '"event":"log.anchored"' ${LOG}`);
    expect(recorder.get('/health').audit.anchor).to.include.keys('seq', 'at', 'age_seconds');
    await arrives();
  });

  it('nothing is lost when fleet, shipper and recorder are killed', async () => {
    for (const unit of [FLEET, SHIPPER, 'secure-ai-incident-recorder.service']) {
      machine.run(`systemctl kill --signal=KILL ${unit}`);
      await recorder.serves();
      for (let n = 0; n < 5; n++) expect(recorder.report(`${unit} was killed, ${n}`).status).to.equal(201);
    }
    await serves();
    await arrives();
  });

  it('a machine that was revoked is refused, and says so', async () => {
    machine.run('incident-fleet revoke web-1');
    await serves();
    recorder.report('not for the fleet');
    await machine.wait(`journalctl --unit=${SHIPPER} --output=cat | grep -q '"status":40[13]'`);
  });

  it('is upgraded and removed, and its data stays', async () => {
    machine.run(`${unpacked}/install.sh`);
    await serves();
    machine.run('/usr/lib/secure-ai/incident-fleet/install.sh remove');
    expect(machine.try(`systemctl cat ${FLEET}`).status).to.not.equal(0);
    expect(machine.run('ls /var/lib/incident-fleet')).to.include('key');
  });
});
