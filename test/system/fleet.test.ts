/** Recorder, shipper and fleet from their packages on one Debian 13. The tests are one story, in their order. */
import { basename } from 'node:path';
import { expect } from 'chai';
import { needs } from '../faults/support/needs.ts';
import { codeBlocks, readmeText } from '../support/readme.ts';
import { SHIPPER } from '../systemd/support/unit-file.ts';
import { bootedMachine, type Machine } from './support/machine.ts';
import { LOG, makePackage, ownDirectory, Recorder } from './support/recorder.ts';

const FLEET = 'incident-fleet.service';
const OWN = '/etc/secure-ai/incident-shipper';
const ACCESS = '/etc/secure-ai/policy/incident-access.yaml';
const KEY = '/etc/secure-ai/incident-recorder/audit-hmac-key';
const IS_OTHERS = 'THE FLEET KNOWS THIS LOG AS THAT OF ANOTHER MACHINE';
const URL = 'http://127.0.0.1:8520';

describe('a machine and its fleet', () => {
  needs('systemd-nspawn', 'debootstrap', 'mount');
  const booted = bootedMachine();
  let machine: Machine;
  let recorder: Recorder;
  let unpacked: string;

  /** What the fleet shows of a machine, as people ask: the machine's own requests are signed. */
  const asksAbout = (name: string): string =>
    `sed 's/^/Authorization: Bearer /' /etc/incident-fleet/token | curl -sf -H @- ${URL}/api/v1/machines/${name}`;
  const arrives = (name = 'web-1'): Promise<void> =>
    machine.wait(`${asksAbout(name)} | grep -q "\\"held\\":$(wc -l < ${LOG}),"`);
  const serves = (): Promise<void> => machine.wait(`curl -sf -m 10 ${URL}/health`);

  const shipOnce = (name: string): number | null =>
    machine.try(`incident-recorder ship --once --fleet ${URL} --machine ${name}`).status;

  /** Gives what looks for a pattern in what the shipper writes from now on. */
  function journalFromNow(): (pattern: string) => string {
    const [, cursor = ''] = /^-- cursor: (.*)$/m.exec(machine.run('journalctl --lines=0 --show-cursor'))!;
    return (pattern) => `journalctl --unit=${SHIPPER} --output=cat --after-cursor='${cursor}' | grep -q '${pattern}'`;
  }

  /** Enrols this machine with its audit key, and does what that says. */
  async function enrol(name: string, command: 'enrol' | 'rotate' = 'enrol'): Promise<void> {
    const secret = machine.run(`incident-fleet ${command} ${name}`).split('\n').at(-1)!;
    const said = machine.run(
      `echo '${secret}' | incident-recorder ship --enrol --fleet ${URL} --machine ${name} --with-audit-key`,
    );
    const [, added = '', after = ''] = /add:\n\n([\s\S]*?)\n\nThen:\n\n([\s\S]*)$/.exec(said) ?? [];
    const [reload, ...start] = after.split('\n');
    putAccess(added);
    machine.run(reload!);
    // systemctl does not wait until it is reloaded.
    await machine.wait(`sed 's/^/Authorization: Bearer /' ${OWN}/recorder-token |
      curl -sf -H @- http://127.0.0.1:8515/api/v1/access/me | grep -q incident-shipper`);
    machine.run(start.join('\n'));
  }

  function putAccess(added: string): void {
    machine.put('/root/access.yaml', {
      text: `version: 1\nservice_token:\n  roles: [reader, reporter, operator]\n  sources: any\n  classes: any\n${added}\n`,
    });
    machine.run(`install -m 0640 -g incident-recorder access.yaml ${ACCESS}`);
  }

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
    putAccess(added);
    machine.run(
      `systemctl restart secure-ai-incident-recorder
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

  it('a copy of the machine under another name is refused, and has its own log by the commands of the README', async () => {
    const files = [KEY, ...['machine-key.pem', 'fleet-token', 'recorder-token'].map((file) => `${OWN}/${file}`)];
    const digests = (): string[] => machine.run(`sha256sum ${files.join(' ')}`).split('\n');
    const copied = digests();
    const about = (name: string) => JSON.parse(machine.run(asksAbout(name)));
    const { log } = about('web-1');
    const since = journalFromNow();
    await enrol('web-2');
    await machine.wait(since(IS_OTHERS));
    expect(shipOnce('web-2')).to.equal(1);
    await machine.wait(`${asksAbout('web-2')} | grep -q '"behind":[1-9]'`);
    expect(about('web-2')).to.include({ log: null, held: 0 });

    const [, section = ''] = readmeText('src/ship/README.md').split(/^## A cloned machine$/m);
    machine.run(`set -e\n${codeBlocks(section)[0]!.text}`);
    await recorder.serves();
    await enrol('web-2', 'rotate');
    await machine.wait(`grep -q '"event":"log.anchored"' ${LOG}`);
    await arrives('web-2');
    expect(shipOnce('web-2')).to.equal(0);
    expect(digests().filter((digest) => copied.includes(digest))).to.deep.equal([]);
    expect(about('web-2')).to.include({
      log: recorder.get('/health').audit.log_id,
      hashes: 'verified',
      diverged: null,
    });
    expect(about('web-1')).to.include({ log, diverged: null });
  });

  it('a machine that has another name now goes on with its log once the old name is revoked', async () => {
    const since = journalFromNow();
    await enrol('web-3');
    await machine.wait(since(IS_OTHERS));
    machine.run('incident-fleet revoke web-2');
    await arrives('web-3');
    expect(shipOnce('web-3')).to.equal(0);
  });

  it('a machine that was revoked is refused, and says so', async () => {
    const since = journalFromNow();
    machine.run('incident-fleet revoke web-3');
    await serves();
    recorder.report('not for the fleet');
    await machine.wait(since('"status":40[13]'));
  });

  it('is upgraded and removed, and its data stays', async () => {
    machine.run(`${unpacked}/install.sh`);
    await serves();
    machine.run('/usr/lib/secure-ai/incident-fleet/install.sh remove');
    expect(machine.try(`systemctl cat ${FLEET}`).status).to.not.equal(0);
    expect(machine.run('ls /var/lib/incident-fleet')).to.include('key');
  });
});
