/** What somebody does in the log's directory while the unit runs, within its walls: Landlock and the system call filter. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { needs } from '../faults/support/needs.ts';
import { UNIT } from '../systemd/support/unit-file.ts';
import { bootedMachine, type Machine } from './support/machine.ts';
import { LOG, Recorder, TOKEN } from './support/recorder.ts';

const ALL = '/api/v1/incidents';

describe("the log's directory, while the unit runs and reports go on", () => {
  needs('systemd-nspawn', 'debootstrap', 'mount');
  const booted = bootedMachine();
  let machine: Machine;
  let recorder: Recorder;

  before(async () => {
    machine = booted();
    recorder = new Recorder(machine);
    await recorder.install();
    machine.run(`sed 's/^/Authorization: Bearer /' ${TOKEN} > /root/authorization`);
    machine.run(`(while [ ! -e /root/stop ]; do curl -s -o /dev/null -m 10 -w '%{http_code}\n' -H @/root/authorization \
      --json '{"class":"tool_call_burst","source":"s","description":"d"}' http://127.0.0.1:8515/api/v1/incidents/report
      sleep 0.1; done > /root/codes; touch /root/stopped) > /dev/null 2>&1 &`);
    await machine.wait('grep -q 201 /root/codes');
  });

  const findings = (): readonly string[] =>
    (recorder.get('/health').audit.findings as { finding: string }[]).map(({ finding }) => finding.split(':')[0]!);

  for (const [what, script, finding] of [
    ['the log is removed', `rm ${LOG}`, 'log_removed'],
    ['the log is renamed', `mv ${LOG} ${LOG}.1`, 'log_removed'],
    ['the log is replaced', `cp -p ${LOG} ${LOG}.2; mv ${LOG}.2 ${LOG}`, 'log_replaced'],
    // At once: the recorder would put the file back in between.
    ['a link takes its place', `ln -s ${LOG}.3 ${LOG}.3; mv -T --exchange ${LOG}.3 ${LOG}`, 'log_replaced'],
    [
      'a directory takes its place',
      `mkdir ${LOG}.6; touch ${LOG}.6/in-the-way; mv -T --exchange ${LOG}.6 ${LOG}; rm ${LOG}.6`,
      'log_replaced',
    ],
    ['somebody writes to its end', `echo foreign >> ${LOG}`, 'log_extended'],
    ['it is given a second name', `ln ${LOG} ${LOG}.4; sleep 2; rm ${LOG}.4`, 'log_linked'],
    ['its checkpoint is removed', `rm ${LOG}.checkpoint`, 'checkpoint_removed'],
    [
      'its checkpoint is a link',
      `ln -s ${LOG}.5 ${LOG}.5; mv -T --exchange ${LOG}.5 ${LOG}.checkpoint`,
      'checkpoint_replaced',
    ],
    ['it is cut', `cp -p ${LOG} /root/copy.jsonl; truncate -s 0 ${LOG}`, 'entries_lost'],
  ] as const) {
    it(`${what}: that is mended, found, and no report is refused`, async () => {
      machine.run(script);
      await pause(3000);
      // A busy machine finds it later.
      while (!findings().includes(finding)) await pause(500);
      expect(recorder.get('/health').status).to.equal('ok');
      expect(machine.run(`stat -c %F ${LOG}; find ${LOG} -newermt '-3 seconds'`)).to.equal(`regular file\n${LOG}`);
      expect(machine.run('sort -u /root/codes')).to.equal('201');
    });
  }

  it('keeps every report that it has acknowledged, through a kill and a restart', async () => {
    machine.run('touch /root/stop');
    await machine.wait('test -e /root/stopped');
    const taken = Number(machine.run('wc -l < /root/codes'));
    expect(recorder.get('/health').total_incidents).to.equal(taken);
    const before = findings();
    machine.run(`systemctl kill --signal=KILL ${UNIT}`);
    await recorder.serves();
    expect(recorder.get('/health')).to.include({ status: 'ok', total_incidents: taken });
    expect(findings()).to.have.members(before);
    expect(recorder.get(`${ALL}?limit=1`)).to.have.length(1);
    machine.run(`systemctl stop ${UNIT} secure-ai-incident-recorder.socket`);
    const { stdout } = machine.try(
      `incident-recorder verify --key /etc/secure-ai/incident-recorder/audit-hmac-key ${LOG}`,
    );
    expect(stdout)
      .to.include('NOT COMPLETE')
      .and.match(/the file that held them was cut/);
    machine.run(`systemctl start secure-ai-incident-recorder.socket ${UNIT}`);
    await recorder.serves();
    expect(recorder.journal.join('\n')).to.not.match(/EACCES|EPERM/);
  });
});
