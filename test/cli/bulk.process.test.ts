import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { COMMAND_LINE } from '../support/programs.ts';
import { type RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run, spawnCommand } from './support/command-line.ts';
import { needsPrograms } from './support/needs-programs.ts';

/** So many that a command on them is under way for a while, also when this process is not: 48 requests. */
const LONG = 1200;
const BURST = ['--class', 'tool_call_burst', '--source', 'tool-firewall'];

describe('the command line, with filters in the place of identifiers', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  let home: ServiceHome;
  let service: RunningService;
  let env: Record<string, string>;

  beforeEach(async () => {
    home = new ServiceHome(directory());
    const url = `unix:${home.directory}/socket`;
    env = { INCIDENT_RECORDER_URL: url, INCIDENT_RECORDER_TOKEN_PATH: home.token };
    service = await start(home, { env: { BIND_ADDR: url } });
  });

  const recorder = (...args: readonly string[]) => run(args, { env });

  const reportMany = async (count: number, more: object = {}): Promise<readonly string[]> => {
    const body = { class: 'tool_call_burst', source: 'tool-firewall', description: 'too many calls', ...more };
    const ids: string[] = [];
    while (ids.length < count) {
      const some = Array.from({ length: Math.min(50, count - ids.length) }, () =>
        service.post('/api/v1/incidents/report', body),
      );
      ids.push(...(await Promise.all(some)).map(({ json }) => json.id as string));
    }
    return ids;
  };

  const countOf = async (state: string): Promise<number> => {
    const { headers } = await service.get(`/api/v1/incidents/groups?limit=1&state=${state}`);
    return Number(headers['x-total-count']);
  };

  it('lists groups, as a table and as JSON', async () => {
    await reportMany(12);
    await reportMany(2, { source: 'canary-tripwire', severity: 'critical' });
    for (const args of [['groups'], ['list', '--groups'], ['groups', '--by', 'source,class']]) {
      const { status, stdout, stderr } = await recorder(...args);
      const [header, first, second] = stdout.split('\n');
      expect(status, args.join(' ')).to.equal(0);
      expect(header).to.match(
        /^COUNT +SEVERITY +CLASS +SOURCE +STATES +CONTAINMENT +FIRST +LAST +NEWEST +DESCRIPTION$/,
      );
      expect(first).to.match(/^2 +critical +tool_call_burst +canary-tripwire +2 \w+ /);
      expect(second).to.match(/^12 +\w+ +tool_call_burst +tool-firewall +12 \w+ /);
      expect(stderr).to.equal('14 incidents in 2 groups\n');
    }
    const { stdout } = await recorder('list', '--groups', '--by', 'source', '--severity', 'critical', '--json');
    expect(JSON.parse(stdout)).to.deep.include({ source: 'canary-tripwire', count: 2 });
    // Without --groups it is who has acted.
    expect((await recorder('list', '--by', 'source')).stderr).to.equal('no such incidents\n');
    expect((await recorder('list', '--groups', '--sort', 'created')).stderr).to.include('leave out --sort');
    expect((await recorder('groups', '--limit', '1')).stderr).to.match(/^14 incidents in 2 groups; 1 is shown/);
    expect((await recorder('groups', '--class', 'prompt_injection')).stderr).to.match(
      /^no such incidents\n0 incidents/,
    );
  });

  it('shows what they select and carries the command out, with a line for each that refuses', async () => {
    const [resolved] = await reportMany(30);
    await reportMany(1, { source: 'canary-tripwire' });
    await service.post('/api/v1/incidents/resolve', { id: resolved });
    const { status, stdout, stderr } = await recorder('ack', ...BURST, '-m', 'one loop', '--by', 'ada', '--yes');
    const lines = stdout.trimEnd().split('\n');
    expect(lines[1]).to.match(/^30 +\w+ +tool_call_burst +tool-firewall +/);
    expect(lines.at(-1)).to.equal('29 changed, 0 were there already, 1 refused');
    expect(stderr).to.equal(
      '30 incidents: 29 would change, refused: 1 resolved\n' +
        `${resolved}: acknowledge is not possible: the incident is resolved\n`,
    );
    expect(status).to.equal(1);
    const again = await recorder('ack', ...BURST, '--state', 'acknowledged', '-y');
    expect(again.stdout).to.match(/^0 changed, 29 were there already, 0 refused$/m);
    expect(again.status).to.equal(0);
    expect(await countOf('acknowledged')).to.equal(29);
    const [one] = (await service.get('/api/v1/incidents?state=acknowledged&limit=1')).json;
    expect(one).to.deep.include({ acknowledged_by: 'ada', note: 'one loop' });
  });

  it('notes, assigns and snoozes those that they select, and goes on with the same', async () => {
    await reportMany(30);
    const noted = await recorder('note', ...BURST, '-m', 'one loop', '--yes');
    expect([noted.status, noted.stderr]).to.deep.equal([0, '30 incidents: 30 would change\n']);
    expect(noted.stdout).to.match(/^30 changed, 0 were there already, 0 refused$/m);
    const assigned = await recorder('assign', '--to', 'ada', ...BURST, '--assignee', 'none', '-y');
    expect(assigned.stdout).to.match(/^30 changed/m);
    const again = await recorder('assign', '--to', 'ada', ...BURST, '-y');
    expect(again.stderr).to.equal('30 incidents: 0 would change, 30 are there already\n');
    const snoozed = await recorder('snooze', '--for', '2h', '--assignee', 'ada', '--no-snoozed', '-y');
    expect(snoozed.stdout).to.match(/^30 changed/m);
    expect((await recorder('list', '--snoozed', '--limit', '2')).stdout.split('\n')).to.have.length(4);
    const ended = await recorder('snooze', '--end', '--snoozed', '-y');
    expect(ended.stdout).to.match(/^30 changed/m);
    expect((await recorder('snooze', ...BURST, '-y')).stderr).to.include('give one of --until TIME');
    expect((await recorder('note', ...BURST, '-y')).stderr).to.include('--note');
  });

  it('shows what a resolve of all would release', async () => {
    await reportMany(2, { source: 'canary-tripwire' });
    await reportMany(1, { source: 'other' });
    const some = await recorder('resolve', '--source', 'canary-tripwire', '--resolution', 'benign');
    expect(some.stderr).to.match(/^1 of 3 holders of \w+ is another: it stays in force$/m);
    const all = await recorder('resolve', '--class', 'tool_call_burst', '--yes');
    expect(all.stderr).to.match(/^these 3 incidents are the last of 3 holders of \w+: it is released$/m);
    expect(all.stdout).to.match(/^3 changed/m);
  });

  it('gives scripts a line of JSON for each', async () => {
    const ids = await reportMany(3);
    const { stdout, stderr } = await recorder('resolve', ...BURST, '--resolution', 'benign', '--yes', '--json');
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ id }) => id)).to.have.members(ids);
    for (const line of lines)
      expect(line).to.deep.include({ outcome: 'done', status: 200, change: 'moved', state: 'resolved' });
    expect(stderr).to.equal('');
  });

  it('does nothing without being told to: where nobody can be asked, and with nothing that selects', async () => {
    await reportMany(2);
    const { status, stderr } = await recorder('ack', ...BURST);
    expect([status, stderr]).to.satisfy(([code, said]: [number, string]) => code === 2 && said.includes('say --yes'));
    for (const args of [['ack'], ['ack', 'INC-1', ...BURST], ['ack', '--yes'], ['ack', '--resume', 'x']]) {
      const refused = await recorder(...args);
      expect([refused.status, refused.stderr], args.join(' ')).to.deep.equal([
        2,
        'name incidents, or give filters such as --class; not both\n',
      ]);
    }
    expect(await countOf('acknowledged')).to.equal(0);
    const nothing = await recorder('ack', '--source', 'nobody', '--yes');
    expect([nothing.status, nothing.stdout, nothing.stderr]).to.deep.equal([0, '', 'no such incidents\n']);
  });

  it('says how to go on when the recorder ends in the middle, and goes on', async () => {
    await reportMany(LONG);
    const said = ['--by', 'ada', '--note', 'one loop'];
    const running = recorder('ack', ...BURST, '--since', '2h', '--attention', '--no-silenced', '--yes', ...said);
    for (let count = 0; count < 60;) count = await countOf('acknowledged');
    await service.end('SIGKILL');
    const { status, stderr } = await running;
    const [, command = ''] = /^it is not done; go on with: incident-recorder (.*)$/m.exec(stderr) ?? [];
    expect(status, stderr).to.equal(3);
    expect(command).to.match(
      /^ack --class tool_call_burst --source tool-firewall --attention --no-silenced --since \S+Z --by ada --note 'one loop' --resume [\w-]+$/,
    );
    service = await start(home, { env: { BIND_ADDR: env.INCIDENT_RECORDER_URL! } });
    const words = command.match(/'[^']*'|\S+/g)!.map((word) => word.replaceAll("'", ''));
    const resumed = await recorder(...words);
    expect([resumed.status, resumed.stderr]).to.deep.equal([0, '']);
    expect(resumed.stdout).to.match(/^\d+ changed, \d+ were there already, 0 refused\n$/);
    expect(await countOf('acknowledged')).to.equal(LONG);
  });

  it('stops between two requests when it is interrupted, and says how to go on', async () => {
    await reportMany(LONG);
    const child = spawnCommand(['ack', ...BURST, '--yes'], env);
    const said = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    for (let count = 0; count < 30;) count = await countOf('acknowledged');
    child.kill('SIGINT');
    const [, stderr] = await said;
    expect(child.exitCode).to.equal(1);
    const [, command = ''] = /^it is not done; go on with: incident-recorder (.*)$/m.exec(stderr) ?? [];
    const done = await countOf('acknowledged');
    expect(done).to.be.below(LONG);
    expect(done % 25).to.equal(0);
    await recorder(...command.split(' '));
    expect(await countOf('acknowledged')).to.equal(LONG);
  });

  describe('on a terminal', () => {
    needsPrograms('script');

    const asked = async (answer: string, name = 'ack'): Promise<string> => {
      const command = [process.execPath, COMMAND_LINE, name, ...BURST].join(' ');
      const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, ...env } });
      let output = '';
      for await (const piece of child.stdout.setEncoding('utf8')) {
        if (!output.includes('[y/N]') && `${output}${piece}`.includes('[y/N]')) child.stdin.write(answer);
        output += piece;
      }
      return output;
    };

    it('asks before, and takes nothing but yes for yes', async () => {
      await reportMany(2);
      for (const answer of ['\n', 'n\n', 'certainly\n', '\u0004']) {
        expect(await asked(answer), JSON.stringify(answer)).to.match(
          /acknowledge 2 of 2 incidents\? \[y\/N\] [^]*nothing was done/,
        );
      }
      expect(await countOf('acknowledged')).to.equal(0);
      expect(await asked('y\n')).to.include('2 changed, 0 were there already, 0 refused');
      expect(await countOf('acknowledged')).to.equal(2);
      expect(await asked('y\n', 'resolve')).to.match(
        /2 incidents: 2 would change[^]*these 2 incidents are the last of 2 holders of freeze_agent: it is released[^]*\[y\/N\]/,
      );
      // All refuse: there is nothing to ask.
      const over = await asked('y\n');
      expect(over).to.include('nothing would change').and.not.include('[y/N]');
    });
  });
});
