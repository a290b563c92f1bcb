import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { expect } from 'chai';
import { type LocalService, localServices } from '../support/local-service.ts';
import { COMMAND_LINE } from '../support/programs.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { needsPrograms } from './support/needs-programs.ts';
import { type Outcome, run } from './support/command-line.ts';

describe('incident-recorder release, and resolve', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  let service: LocalService;
  let env: Record<string, string>;

  beforeEach(async () => {
    const home = new ServiceHome(directory());
    service = await start(home);
    env = { INCIDENT_RECORDER_URL: `http://127.0.0.1:${service.port}`, INCIDENT_RECORDER_TOKEN_PATH: home.token };
  });

  const report = async (fields: object = {}): Promise<string> =>
    (await service.report({ class: 'tool_call_burst', ...fields })).json.id;
  const recorder = (...args: readonly string[]): Promise<Outcome> => run(args, { env });
  const stateOf = async (id: string) => (await service.get(`/api/v1/incidents/get?id=${id}`)).json.state;
  /** Runs it at a terminal, where somebody types an answer. */
  const atTerminal = async (answer: string, ...args: readonly string[]): Promise<string> => {
    const command = [process.execPath, COMMAND_LINE, ...args].map((arg) => `'${arg}'`).join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const said = text(child.stdout);
    child.stdin.write(`${answer}\n`);
    await once(child, 'close');
    return said;
  };

  it('releases one action, and says what becomes of it', async () => {
    const [one, two] = [await report(), await report()];
    const first = await recorder('release', one, 'freeze_agent', '--reason', 'it is needed', '--by', 'ada');
    expect(first).to.include({ status: 0, stderr: '' });
    expect(first.stdout).to.match(new RegExp(`^${one} .*\nfreeze_agent stays in force: another incident holds it\n$`));
    const last = await recorder('release', two, 'freeze_agent', '--reason', 'it is needed');
    expect(last.stdout).to.include('freeze_agent is released: no other incident holds it');
    const again = await recorder('release', two, 'freeze_agent', '--reason', 'x');
    expect(again.status).to.equal(1);
    expect(again.stderr).to.include('the incident does not hold freeze_agent');
    const json = await recorder('release', two, 'freeze_agent', '--reason', 'x', '--json');
    expect(JSON.parse(json.stdout)).to.include({ outcome: 'refused', status: 409 });
    expect((await recorder('release', two, 'log_alert', '--reason', 'x')).status).to.equal(2);
    const shown = (await recorder('show', one)).stdout;
    expect(shown).to.match(/freeze_agent was released early by ada \(claimed\) at .*: it is needed/);
    expect(shown).to.match(/^freeze_agent +released early/m);
  });

  it('says what a resolve has released', async () => {
    const [one, two] = [await report(), await report()];
    const first = await recorder('resolve', one);
    expect(first.stdout).not.to.include('released');
    const { status, stdout, stderr } = await recorder('resolve', two);
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    expect(stdout).to.match(/  released freeze_agent\n$/);
  });

  it('shows all who hold an action, by class and source', async () => {
    const id = await report({ source: 'one', severity: 'critical' });
    const early = await report({ source: 'two' });
    await report({ source: 'two' });
    await recorder('release', early, 'freeze_agent', '--reason', 'it is needed', '--by', 'ada');
    const { stdout } = await recorder('posture');
    expect(stdout).to.match(/^freeze_agent: 2 holders$/m);
    expect(stdout).to.match(new RegExp(`^  1 +critical +tool_call_burst +one +\\d+s +${id}$`, 'm'));
    expect(stdout).to.match(
      new RegExp(`^freeze_agent was released early for ${early} by ada \\(claimed\\), \\d+s ago: it is needed$`, 'm'),
    );
  });

  describe('at a terminal', () => {
    needsPrograms('script');

    it('says what follows, and asks', async () => {
      const [one, two] = [await report(), await report()];
      const no = await atTerminal('n', 'resolve', one);
      expect(no).to.include('1 of 2 holders of freeze_agent is another: it stays in force').and.include('[y/N]');
      expect(await stateOf(one)).to.equal('contained');
      const both = await atTerminal('y', 'resolve', one, two);
      expect(both).to.include('these 2 incidents are the last of 2 holders of freeze_agent: it is released');
      expect([await stateOf(one), await stateOf(two)]).to.deep.equal(['resolved', 'resolved']);
      const three = await report();
      expect(await atTerminal('', 'resolve', three, '--yes')).not.to.include('[y/N]');
      expect(await stateOf(three)).to.equal('resolved');
      const four = await report();
      const release = ['release', four, 'freeze_agent', '--reason', 'x'];
      expect(await atTerminal('n', ...release)).to.include(
        `${four} is the only holder of freeze_agent: it is released`,
      );
      expect((await service.get('/api/v1/containment/freeze_agent')).json.holders).to.equal(1);
      await atTerminal('y', ...release);
      expect((await service.get('/api/v1/containment/freeze_agent')).json.holders).to.equal(0);
    });
  });
});
