import { expect } from 'chai';
import { HOUR, MINUTE } from '../../src/clock.ts';
import { RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run } from './support/command-line.ts';

describe('incident-recorder silence', () => {
  const directory = temporaryDirectories();
  let service: RunningService;
  let env: Record<string, string>;

  before(async () => {
    const home = new ServiceHome(directory());
    service = await RunningService.start(home);
    env = {
      INCIDENT_RECORDER_URL: `http://127.0.0.1:${service.port}`,
      INCIDENT_RECORDER_TOKEN_PATH: home.token,
    };
  });
  after(() => service.end('SIGKILL'));

  const recorder = (...args: readonly string[]) => run(args, { env });
  // oxlint-disable-next-line typescript/no-explicit-any -- documents of every shape
  const json = async (...args: readonly string[]): Promise<readonly any[]> => {
    const { status, stdout, stderr } = await recorder(...args, '--json');
    expect({ status, stderr: stderr.replaceAll(/^.*expires soon.*\n/gm, '') }).to.deep.equal({ status: 0, stderr: '' });
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  };

  it('add takes matchers, duration and comment as amtool does, and prints the identifier alone', async () => {
    const added = await recorder(
      'silence',
      'add',
      'class=prompt_injection',
      'source=tool-firewall',
      '--duration',
      '2h',
      '--comment',
      'an update',
      '--author',
      'ada',
    );
    expect([added.status, added.stderr]).to.deep.equal([0, '']);
    expect(added.stdout).to.match(/^SIL-\d{8}-[\da-f]{12}\n$/);
    const [silence] = await json('silence', 'list');
    expect(silence).to.deep.include({
      id: added.stdout.trim(),
      class: ['prompt_injection'],
      source: ['tool-firewall'],
      severity: [],
      reason: 'an update',
      by: 'ada',
      state: 'active',
    });
    expect(Date.parse(silence.until) - Date.parse(silence.from)).to.be.within(2 * HOUR - MINUTE, 2 * HOUR);
    await recorder('silence', 'end', silence.id);
  });

  it('add takes lists, words, times and short options; a first word without = is a class', async () => {
    const late = await recorder(
      'silence',
      'add',
      'source=a',
      '--start',
      '2099-01-01',
      '--end',
      '2099-01-02',
      '-c',
      'x',
    );
    expect([late.status, late.stdout]).to.deep.equal([1, '']);
    expect(late.stderr).to.include('until must be within a year');
    const start = new Date(Date.now() + HOUR).toISOString();
    const [added] = await json(
      'silence',
      'add',
      'tool_call_burst',
      'severity=high,low',
      'severity=medium',
      'source=a,b',
      'q="two words"',
      '--start',
      start,
      '-d',
      '1h30m',
      '-c',
      'later',
    );
    expect(added).to.deep.include({
      class: ['tool_call_burst'],
      source: ['a,b'],
      severity: ['high', 'low', 'medium'],
      q: 'two words',
      from: start,
      state: 'pending',
    });
    expect(Date.parse(added.until) - Date.parse(added.from)).to.equal(90 * MINUTE);
    await recorder('silence', 'expire', added.id);
  });

  it('add says what is wrong', async () => {
    const why = async (...args: readonly string[]): Promise<string> => {
      const { status, stdout, stderr } = await recorder('silence', 'add', ...args);
      expect([status, stdout]).to.deep.equal([2, '']);
      return stderr;
    };
    expect(await why('source=a')).to.include('--comment');
    expect(await why('nonsense', '-c', 'x')).to.include('class=NAME');
    expect(await why('class=~.*', '-c', 'x')).to.include("class=~ can't be matched");
    expect(await why('node=a', '-c', 'x')).to.include('class, source, severity, or q');
    expect(await why('source=a', '-c', 'x', '-d', 'soon')).to.include('--duration');
    expect(await why('source=a', '-c', 'x', '--end', 'soon')).to.include('--end');
    const refused = await recorder('silence', 'add', 'class=nonsense', '-c', 'x');
    expect(refused.status).to.equal(1);
    expect(refused.stderr).to.match(/^refused \(400\): invalid class/);
  });

  it('list warns of what expires soon, and end says what became of each', async () => {
    const { stdout: id } = await recorder('silence', 'add', 'source=a', '-d', '5m', '-c', 'short');
    const listed = await recorder('silence', 'list');
    expect(listed.stdout.split('\n')[0]).to.match(/^ID +STATE +UNTIL +MATCHES +MATCHERS +FROM +BY +COMMENT$/);
    expect(listed.stdout).to.include('active (expires soon)').and.to.include('source=a');
    expect(listed.stderr).to.include(`${id.trim()} expires soon`);
    expect((await recorder('silence', 'list', '--id-only')).stdout).to.equal(id);
    const ended = await recorder('silence', 'end', id.trim(), 'SIL-20261122-000000000000', '-c', 'done');
    expect([ended.status, ended.stdout]).to.deep.equal([1, `${id.trim()} ended\n`]);
    expect(ended.stderr).to.include('silence not found');
    expect((await recorder('silence', 'list', '-q')).stdout).to.equal('');
    const [last] = await json('silence', 'list', '--expired');
    expect(last).to.deep.include({ id: id.trim(), state: 'ended', ended_reason: 'done' });
  });

  it('completes the identifiers of silences that can be ended, and the list filters by silences', async () => {
    const { stdout: id } = await recorder('silence', 'add', 'source=quiet', '-c', 'for the list');
    const offered = await recorder('complete', 'silence', 'expire', '');
    expect(offered.stdout).to.match(new RegExp(`^${id.trim()}\tsource=quiet until .*: for the list$`, 'm'));
    expect((await recorder('complete', 'silence', '')).stdout).to.match(/^add\t.*\nlist\t.*\nend\t/);
    for (const source of ['quiet', 'loud'])
      await json('report', '--class', 'prompt_injection', '--source', source, '--description', 'd');
    const sources = async (...filter: readonly string[]) =>
      (await json('list', ...filter)).map(({ source }: { source: string }) => source);
    expect(await sources('--attention')).to.deep.equal(['loud']);
    expect(await sources('--silenced')).to.deep.equal(['quiet']);
    expect(await sources('--no-silenced')).to.deep.equal(['loud']);
  });
});
