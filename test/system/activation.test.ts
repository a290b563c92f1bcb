/** The sockets of the recorder's unit: who reports while the recorder restarts or dies waits, and loses nothing. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { needs } from '../faults/support/needs.ts';
import { ROOT } from '../support/running-service.ts';
import { SOCKET, UNIT } from '../systemd/support/unit-file.ts';
import { bootedMachine, type Machine } from './support/machine.ts';
import { LOG, Recorder, TOKEN } from './support/recorder.ts';

const REPORTS = 500;
const PATH = '/run/secure-ai/recorder.sock';
const NODE = '/usr/lib/secure-ai/incident-recorder/bin/node';

interface Outcome {
  readonly taken: readonly string[];
  readonly refusals: readonly string[];
  readonly resets: number;
  readonly errors: readonly number[];
  readonly longest: number;
}

describe('the sockets that systemd holds for the recorder', () => {
  needs('systemd-nspawn', 'debootstrap', 'mount');
  const booted = bootedMachine();
  let machine: Machine;
  let recorder: Recorder;

  before(async () => {
    machine = booted();
    recorder = new Recorder(machine);
    await recorder.install();
    machine.put('/opt/reports.cjs', { file: join(ROOT, 'test/system/support/reports.cjs') });
  });

  it('are open while the recorder runs and while it does not, to their group alone', async () => {
    expect(machine.run(`systemctl show --property=ActiveState --value ${SOCKET}`)).to.equal('active');
    expect(machine.run(`stat -c '%U %G %a' ${PATH}`)).to.equal('incident-recorder incident-recorder 660');
    const livez = `curl -sf -m 20 --unix-socket ${PATH} http://localhost/livez`;
    expect(machine.run(livez)).to.equal('{"status":"ok"}');
    machine.run(`systemctl stop ${UNIT}`);
    // A stranger can't take the address, and the first request starts the recorder.
    const squat = `require('node:net').createServer().on('error', (e) => console.log(e.code)).listen(8515, '127.0.0.1')`;
    expect(machine.run(`setpriv --reuid=65534 --clear-groups ${NODE} -e "${squat}"`)).to.equal('EADDRINUSE');
    expect(machine.run(livez)).to.equal('{"status":"ok"}');
    await recorder.serves();
  });

  it('let the command line see that it is the recorder, over the port and the socket', () => {
    for (const url of ['http://127.0.0.1:8515', `unix:${PATH}`]) {
      machine.run(`incident-recorder list --json --url ${url}`);
    }
    const elsewhere = machine.try(
      `mkdir -p /srv/relay; ln -sf ${PATH} /srv/relay/socket
      incident-recorder list --json --url unix:/srv/relay/socket`,
    );
    expect(elsewhere.stderr).to.match(/^impostor at unix:\/srv\/relay\/socket/);
    expect(elsewhere.status).to.equal(3);
  });

  for (const [what, command] of [
    ['systemctl restart', `systemctl restart ${UNIT}`],
    ['kill -9', `kill -KILL $(systemctl show --property=MainPID --value ${UNIT})`],
    ['an upgrade', './next/install.sh'],
  ] as const) {
    it(`refuse no connection and lose no report through ${what}`, async () => {
      if (what === 'an upgrade') machine.run(`cp -r ${recorder.unpack()} next`);
      const before = recorder.get('/health').total_incidents as number;
      machine.run(`rm -f /root/outcome; (${NODE} /opt/reports.cjs ${TOKEN} ${REPORTS} ${what.replaceAll(' ', '-')} > /root/part 2>&1
        mv /root/part /root/outcome) > /dev/null 2>&1 &`);
      for (let time = 0; time < 3; time++) {
        await pause(1500);
        machine.run(command);
      }
      await machine.wait('test -e /root/outcome');
      const outcome = JSON.parse(machine.run('cat /root/outcome')) as Outcome;
      const { taken, refusals, errors, resets, longest } = outcome;
      console.info(`      ${taken.length} reports, ${resets} resets, the longest took ${longest} ms`);
      expect(refusals).to.deep.equal([]);
      expect(errors.filter((status) => status !== 503)).to.deep.equal([]);
      expect(new Set(taken).size).to.equal(REPORTS);
      expect(recorder.get('/health').total_incidents).to.equal(before + REPORTS);
      const on = machine.run(
        `incident-recorder verify --key /etc/secure-ai/incident-recorder/audit-hmac-key ${LOG} | head -1`,
      );
      expect(on).to.include('valid');
    });
  }

  it('take over from a version that binds its port itself', async () => {
    const before = recorder.get('/health').total_incidents as number;
    const units = '/usr/lib/systemd/system';
    machine.run(
      `systemctl disable --quiet ${SOCKET}; systemctl stop ${UNIT} ${SOCKET}; rm ${units}/${SOCKET}
      sed -i -E '/^((Requires|After)=.*socket|SocketBindDeny=any)$/d' ${units}/${UNIT}
      systemctl daemon-reload; systemctl start ${UNIT}`,
    );
    await recorder.serves();
    machine.run('./next/install.sh');
    await recorder.serves();
    expect(machine.run(`systemctl is-active ${SOCKET}; systemctl is-enabled ${SOCKET}`)).to.equal('active\nenabled');
    expect(machine.run(`curl -sf -m 20 --unix-socket ${PATH} http://localhost/livez`)).to.equal('{"status":"ok"}');
    expect(recorder.get('/health').total_incidents).to.equal(before);
  });

  it('stay open while the recorder can not start, however many knock', async () => {
    machine.run(`mv ${TOKEN} /root/token; systemctl restart ${UNIT}`);
    for (let time = 0; time < 30; time++) machine.try('curl -s -m 0.1 http://127.0.0.1:8515/livez');
    expect(machine.run(`systemctl show --property=ActiveState --value ${SOCKET}`)).to.equal('active');
    const asked = `curl -sf -m 30 http://127.0.0.1:8515/livez`;
    machine.run(`(sleep 1; mv /root/token ${TOKEN}) > /dev/null 2>&1 &`);
    expect(machine.run(asked)).to.equal('{"status":"ok"}');
  });
});
