/** `incident-recorder ship` as a process. */
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { eventually } from '../support/eventually.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { chain, chainLine } from '../ship/support/chain.ts';
import { FLEET_TOKEN, MACHINE, TestFleet } from '../ship/support/test-fleet.ts';
import { RECORDER_TOKEN, TestRecorder } from '../ship/support/test-recorder.ts';
import { run, spawnCommand } from './support/command-line.ts';

describe('incident-recorder ship', () => {
  const directory = temporaryDirectories();
  let fleet: TestFleet;
  let recorder: TestRecorder;
  let home: string;
  let env: Record<string, string>;

  beforeEach(async () => {
    fleet = await new TestFleet().start();
    recorder = await new TestRecorder().start();
    home = directory();
    env = {
      FLEET_URL: fleet.url,
      FLEET_MACHINE: MACHINE,
      FLEET_TOKEN_PATH: join(home, 'fleet-token'),
      INCIDENT_RECORDER_URL: recorder.url,
      INCIDENT_RECORDER_TOKEN_PATH: join(home, 'recorder-token'),
    };
    writeFileSync(env.FLEET_TOKEN_PATH!, FLEET_TOKEN);
    writeFileSync(env.INCIDENT_RECORDER_TOKEN_PATH!, RECORDER_TOKEN);
    recorder.lines = chain(1200);
  });
  afterEach(async () => {
    await fleet.stop();
    await recorder.stop();
    expect([...fleet.faults, ...recorder.faults]).to.deep.equal([]);
  });

  it('ships what is there and ends, with --once', async () => {
    const { status, stdout, stderr } = await run(['ship', '--once', '--no-prove'], { env });
    expect({ status, stdout }, stderr).to.deep.equal({
      status: 0,
      stdout: 'the fleet has the log of web-1 through entry 1200 of 1200\n',
    });
    expect(fleet.lines(recorder.log)).to.deep.equal(recorder.lines.map(({ line }) => line));
    expect(recorder.anchors).to.deep.equal(['anchor of 1200']);
    const again = await run(['ship', '--once', '--no-prove', '--json'], { env });
    expect(JSON.parse(again.stdout)).to.include({ through: 1200, entries: 1200, diverged: false });
  });

  it('says by its exit code what kept it from shipping', async () => {
    await fleet.stop();
    const gone = await run(['ship', '--once', '--no-prove'], { env });
    expect(gone.status, gone.stderr).to.equal(3);
    expect(gone.stderr).to.include('no answer from the fleet');
    await fleet.start();
    fleet.instead = () => [403, { error: 'the machine was revoked' }];
    const refused = await run(['ship', '--once', '--no-prove'], { env });
    expect(refused.status, refused.stderr).to.equal(1);
    expect(refused.stderr).to.include('the machine was revoked');
    const nowhere = await run(['ship', '--once'], { env: { ...env, FLEET_URL: '' } });
    expect(nowhere.status).to.equal(2);
  });

  it('ends with 1 when the past was rewritten, and has shipped the other one', async () => {
    expect((await run(['ship', '--once', '--no-prove'], { env })).status).to.equal(0);
    recorder.lines = chain(1300, (seq) => (seq < 900 ? `entry ${seq}` : `another ${seq}`));
    const { status, stdout, stderr } = await run(['ship', '--once', '--no-prove', '--json'], { env });
    expect(status, stderr).to.equal(1);
    expect(stderr).to.include('it holds another past of this log');
    expect(JSON.parse(stdout)).to.include({ through: 1300, entries: 1300, diverged: true });
    expect(fleet.lines(recorder.log)).to.deep.equal(recorder.lines.map(({ line }) => line));
  });

  it('believes no recorder that does not prove itself', async () => {
    const { status, stderr } = await run(['ship', '--once'], { env });
    expect(status).to.equal(3);
    expect(stderr).to.include('has not proved');
    expect(fleet.batches).to.equal(0);
  });

  it('follows the log, serves /metrics, and ends at a signal', async () => {
    const socket = join(home, 'metrics.sock');
    const child = spawnCommand(['ship', '--no-prove', '--metrics', `unix:${socket}`], env);
    const said = text(child.stdout);
    // It gets its mode once it is listened on.
    const listens = (): boolean => existsSync(socket) && (statSync(socket).mode & 0o777) === 0o660;
    await eventually(() => fleet.lines(recorder.log).length === 1200 && listens());
    recorder.append(chainLine(1201, recorder.lines.at(-1)!.hash));
    await eventually(() => fleet.lines(recorder.log).length === 1201 && recorder.anchors.length > 0);
    const asked = request({ socketPath: socket, path: '/metrics', headers: { host: 'localhost' } }).end();
    const [response] = (await once(asked, 'response')) as [NodeJS.ReadableStream];
    const metrics = await text(response);
    for (const line of [
      'incident_shipper_through 1201',
      'incident_shipper_behind_entries 0',
      'incident_shipper_entries_total 1201',
      'incident_shipper_anchors_total{outcome="recorded"} 1',
      'incident_shipper_up{side="fleet"} 1',
      'incident_shipper_diverged 0',
    ])
      expect(metrics).to.include(`${line}\n`);
    child.kill('SIGTERM');
    await once(child, 'close');
    expect(child.exitCode).to.equal(0);
    for (const line of (await said).trim().split('\n'))
      expect(JSON.parse(line)).to.include.keys('level', 'time', 'msg');
  });

  it('enrols the machine, and says what to do then', async () => {
    const to = join(home, 'shipper');
    const { status, stdout, stderr } = await run(['ship', '--enrol', '--directory', to], { env, input: 'one-time\n' });
    expect(status, stderr).to.equal(0);
    expect(stdout).to.include('roles: [reader, anchor]').and.include('fleet_key: "test-fleet+0a0b0c0d+AAAA"');
    expect(fleet.enrolments[0]).to.include({ machine: MACHINE, log: recorder.log }).and.not.have.property('audit_key');
    expect(readFileSync(join(to, 'fleet-key'), 'utf8')).to.equal('test-fleet+0a0b0c0d+AAAA\n');
    const refused = await run(['ship', '--enrol', '--directory', to], { env, input: 'wrong\n' });
    expect(refused.status).to.equal(1);
    expect(refused.stderr).to.include('the secret is wrong');
  });
});
