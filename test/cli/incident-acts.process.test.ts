import { join } from 'node:path';
import { expect } from 'chai';
import { RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { type Outcome, run } from './support/command-line.ts';

describe('incident-recorder note, assign, snooze and reopen', () => {
  const directory = temporaryDirectories();
  let service: RunningService;
  let env: Record<string, string>;

  before(async () => {
    const home = new ServiceHome(directory());
    env = {
      INCIDENT_RECORDER_URL: `unix:${join(home.directory, 'socket')}`,
      INCIDENT_RECORDER_TOKEN_PATH: home.token,
    };
    service = await RunningService.start(home, { env: { BIND_ADDR: env.INCIDENT_RECORDER_URL! } });
  });
  after(() => service.end('SIGKILL'));

  const recorder = (args: readonly string[], input?: string): Promise<Outcome> =>
    run(args, { env, ...(input === undefined ? {} : { input }) });
  const done = async (args: readonly string[], input?: string): Promise<string> => {
    const { status, stdout, stderr } = await recorder(args, input);
    expect([status, stderr], args.join(' ')).to.deep.equal([0, '']);
    return stdout;
  };
  const report = async (): Promise<string> => (await service.report()).json.id as string;
  const read = async (id: string) => (await service.get(`/api/v1/incidents/get?id=${id}`)).json;

  it('note and assign several, named or on standard input as `list` prints them, and show it', async () => {
    const ids = [await report(), await report()];
    expect((await done(['note', ...ids, '-m', 'first', '--by', 'ada'])).split('\n')).to.have.length(3);
    const list = await done(['list']);
    await done(['note', '-', '-m', 'second'], list);
    await done(['assign', '-', '--to', 'grace', '--by', 'ada', '-m', 'hers'], list);
    for (const id of ids) {
      expect(await read(id)).to.deep.include({ assignee: 'grace', assigned_by: 'ada', note: 'hers', notes_count: 3 });
    }
    const shown = await done(['show', ids[0]!]);
    expect(shown).to.match(/^assigned +grace by ada \(claimed\) \(\d+s ago\)$/m);
    expect(shown).to.match(
      /^Notes\n\S+ {2}ada \(claimed\) {2}as operator\n {2}first\n\S+ {2}as operator\n {2}second\n/m,
    );
    expect(shown).to.match(/incident\.assigned +contained +to grace · by ada \(claimed\) as operator · hers$/m);
    expect(await done(['list'])).to.match(/^ID .* ASSIGNEE .*\n.* grace /);
    expect(await done(['assign', ids[0]!, '--nobody'])).not.to.include('grace');
  });

  it('snooze until a time or for a while, and end it', async () => {
    const id = await report();
    expect(await done(['snooze', id, '--for', '2h', '-m', 'waits for the vendor'])).to.match(/snoozed until \d{4}-/);
    const left = Date.parse((await read(id)).snoozed_until) - Date.now();
    expect(left).to.be.within(7_100_000, 7_200_000);
    expect(await done(['show', id])).to.match(/^snoozed +until \S+ \(for [12]h\)$/m);
    expect(await done(['list', '--state', 'acknowledged'])).to.match(/acknowledged \(delivering\), snoozed for [12]h/);
    const until = new Date(Date.now() + 3_600_000).toISOString();
    await done(['snooze', id, '--until', until]);
    expect(await read(id)).to.include({ snoozed_until: until });
    const [line = ''] = (await done(['snooze', id, '--end', '--json'])).split('\n');
    expect(JSON.parse(line)).to.deep.include({ id, outcome: 'done' });
    expect(await read(id))
      .to.include({ state: 'contained' })
      .and.not.have.property('snoozed_until');
  });

  it('reopen a resolved one, and say what is not possible', async () => {
    const id = await report();
    const refused = await recorder(['reopen', id]);
    expect([refused.status, refused.stderr]).to.deep.equal([
      1,
      `${id}: reopen is not possible: the incident is contained; try incident-recorder ack or resolve ${id}\n`,
    ]);
    await done(['resolve', id]);
    const summary = await done(['reopen', id, '-m', 'it goes on']);
    const [, as = ''] = /^(INC-\S+) .*reopens (INC-\S+)\n$/.exec(summary) ?? [];
    expect(summary).to.include(`reopens ${id}`);
    expect(await done(['show', id])).to.match(new RegExp(`^reopened +as ${as} `, 'm'));
    expect(await done(['show', as])).to.match(new RegExp(`^reopens +${id}$`, 'm'));
    await done(['resolve', as]);
    const again = await recorder(['reopen', id, as, '--json']);
    expect(again.status).to.equal(1);
    const outcomes = again.stdout.split('\n', 2).map((line) => JSON.parse(line) as { outcome: string });
    expect(outcomes[0]).to.deep.include({ outcome: 'refused', status: 409, reopened_as: as });
    expect(outcomes[1]).to.deep.include({ outcome: 'done' });
  });

  it('say how they are used', async () => {
    for (const [args, said] of [
      [['assign', 'INC-1'], 'give one of --to NAME and --nobody'],
      [['assign', 'INC-1', '--to', 'a', '--nobody'], 'give one of --to NAME and --nobody'],
      [['snooze', 'INC-1'], 'give one of --until TIME, --for DURATION and --end'],
      [['snooze', 'INC-1', '--for', 'ever'], '--for takes a duration like 90m, 2h or 7d, not "ever"'],
      [['note', 'INC-1'], "required option '-m, --note <text>'"],
    ] as const) {
      const { status, stderr } = await recorder(args);
      expect(status, stderr).to.equal(2);
      expect(stderr).to.include(said);
    }
    const { status, stderr } = await recorder(['snooze', await report(), '--until', '2020-01-01']);
    expect(status).to.equal(1);
    expect(stderr).to.include('until must be in the future, at most 90 days ahead');
  });

  it('complete the incidents that they may apply to', async () => {
    const [one, two] = [await report(), await report()];
    await done(['resolve', one]);
    const offered = async (name: string): Promise<string> => done(['complete', '--', name, '']);
    expect(await offered('reopen'))
      .to.include(one)
      .and.not.include(two);
    expect(await offered('note'))
      .to.include(one)
      .and.include(two);
    expect(await offered('snooze'))
      .to.include(two)
      .and.not.include(one);
  });
});
