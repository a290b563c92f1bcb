import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { TOKEN } from '../support/service-client.ts';
import { SmallFleet } from '../fleet/support/small-fleet.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run } from './support/command-line.ts';

const POLICY = `version: 1
rules: { tool_call_burst: { auto_contain: false, actions: [freeze_agent] } }
`;

describe('the command line at a fleet', () => {
  const directory = temporaryDirectories();
  let fleet: SmallFleet;
  let ids: readonly string[];

  before(async function start() {
    fleet = await SmallFleet.start(directory(), { env: { FLEET_READ_ACCESS: 'open' } });
    writeFileSync(join(fleet.directory, 'token'), TOKEN, { mode: 0o600 });
    const machines = [
      await fleet.add('oven-1', { labels: { site: 'berlin' }, policy: POLICY }),
      await fleet.add('oven-2', { labels: { site: 'lisbon', stage: 'test' } }),
    ];
    ids = await Promise.all(
      machines.map(async ({ name, recorder }) => {
        const { json } = await recorder.report({ class: 'tool_call_burst', evidence: { ip: '10.0.0.1' } });
        await fleet.holds(name, json.id);
        return json.id as string;
      }),
    );
  });
  after(() => fleet.stop());

  const address = (): readonly string[] => [
    '--url',
    `http://127.0.0.1:${fleet.port}`,
    '--no-prove',
    '--token-file',
    join(fleet.directory, 'token'),
  ];
  const ask = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run([...args, ...address()], { env: { XDG_STATE_HOME: fleet.directory } });
    expect(status, stderr).to.equal(0);
    return stdout;
  };

  it('lists incidents with their machines', async () => {
    const text = await ask('list');
    expect(text).to.match(/^MACHINE +ID/);
    expect(text).to.include('oven-1').and.to.include('oven-2');
  });

  it('reads of one machine, or of those with a label', async () => {
    expect(await ask('list', '--machine', 'oven-2'))
      .to.include(ids[1])
      .and.not.to.include(ids[0]);
    expect(await ask('list', '--label', 'site=berlin'))
      .to.include(ids[0])
      .and.not.to.include(ids[1]);
    expect(await ask('list', '--label', 'stage=test'))
      .to.include(ids[1])
      .and.not.to.include(ids[0]);
    expect(await ask('show', ids[0]!, '--machine', 'oven-1')).to.match(/machine +oven-1/);
    expect(JSON.parse(await ask('stats', '--machine', 'oven-1', '--json'))).to.include({ total_incidents: 1 });
    expect(await ask('groups', '--label', 'site=lisbon')).to.include('tool_call_burst');
    expect(await ask('posture', '--machine', 'oven-1')).to.include('freeze_agent');
  });

  it('gives a command to a machine, and says what that machine has answered', async () => {
    expect(await ask('ack', ids[0]!, '--machine', 'oven-1')).to.include('acknowledged');
    const own = await fleet.machines[0]!.recorder.get(`/api/v1/incidents/get?id=${ids[0]}`);
    expect(own.json).to.include({ state: 'acknowledged', acknowledged_by: 'fleet:root' });
    expect(await ask('fleet', 'commands')).to.match(/oven-1 +acknowledge +INC-\S+ +done/);
    // The machine has answered; its log comes after that.
    await fleet.until(
      () => fleet.read(`/api/v1/incidents/get?machine=oven-1&id=${ids[0]}`),
      ({ state }) => state === 'acknowledged',
    );
    // The fleet finds the machine of an incident, and it is waited for as well.
    expect(await ask('ack', ids[1]!)).to.include('acknowledged');
    await fleet.until(
      () => fleet.read(`/api/v1/incidents/get?machine=oven-2&id=${ids[1]}`),
      ({ state }) => state === 'acknowledged',
    );
  });

  it('says what has changed on all machines, and goes on where it ended', async () => {
    const first = await ask('handover', '--last');
    expect(first).to.match(/^2 incidents have changed on 2 machines, until \d{4}-/);
    expect(first)
      .to.match(new RegExp(`^${ids[0]}  oven-1  `, 'm'))
      .and.to.include('The recorders');
    expect(await ask('handover', '--last')).to.match(/^0 incidents have changed, until \d{4}-/);
    const noted = { id: ids[1], machine: 'oven-2', note: 'seen' };
    await fleet.post('/api/v1/incidents/note', noted, { headers: { prefer: 'wait=20' } });
    await fleet.until(
      () => fleet.read(`/api/v1/incidents/get?machine=oven-2&id=${ids[1]}`),
      ({ notes }) => notes?.length === 1,
    );
    const { through, changes } = JSON.parse(await ask('handover', '--last', '--json'));
    expect(changes).to.have.lengthOf(1);
    expect(changes[0]).to.deep.include({ machine: 'oven-2', id: ids[1] });
    expect(await ask('handover', '--after', String(through))).to.match(/^0 incidents have changed/);
    expect(await ask('handover', '--since', '1h', '--label', 'site=berlin')).to.match(
      /^1 incident has changed on 1 machine,/,
    );
    expect(await ask('handover', '--after', '0', '--machine', 'oven-1')).to.match(
      /^1 incident has changed: entries 1 to/,
    );
  });

  it('shows machines, what is in force everywhere, and campaigns', async () => {
    const machines = await ask('fleet', 'machines');
    expect(machines).to.match(/^MACHINE +HEARD +LOG/);
    expect(machines).to.include('site=berlin');
    // Nothing fetches it: it was asked for, and no more is known.
    expect(machines).to.match(/freeze_agent \((?:not confirmed|overdue)\)/);
    expect(await ask('fleet', 'machines', '--label', 'site=berlin')).not.to.include('oven-2');
    await fleet.fleet.enrolment.rename('oven-2', 'bread', 'root');
    expect(await ask('fleet', 'machines', '--machine', 'bread')).to.match(/^bread \(oven-2\) +\d+[sm]/m);
    await fleet.fleet.enrolment.rename('oven-2', 'oven-2', 'root');
    await fleet.fleet.enrolment.invite('oven-3', {}, 'root');
    await fleet.fleet.enrolment.revoke('oven-3', 'root');
    expect(await ask('fleet', 'machines', '--machine', 'oven-3')).to.match(/^oven-3 +revoked/m);
    expect(await ask('fleet', 'in-force')).to.match(/freeze_agent +\d/);
    expect(await ask('posture')).to.match(/^ACTION +MACHINES/);
    await ask('fleet', 'campaigns');
    await ask('fleet', 'alarms');
  });

  it('acts by filter on many machines, and says what each did', async () => {
    const reports = await Promise.all(
      fleet.machines.map(async ({ name, recorder }) => {
        const { json } = await recorder.report({ class: 'prompt_injection', source: 'cli', description: name });
        await fleet.holds(name, json.id);
        return json.id as string;
      }),
    );
    const text = await ask('ack', '--class', 'prompt_injection', '--label', 'site=berlin', '--yes', '-m', 'seen');
    expect(text).to.include('1 changed, 0 were there already, 0 refused');
    const of = (index: number) => fleet.machines[index]!.recorder.get(`/api/v1/incidents/get?id=${reports[index]}`);
    expect((await of(0)).json).to.include({ state: 'acknowledged' });
    expect((await of(1)).json.state).to.not.equal('acknowledged');
    const acts = await ask('fleet', 'acts');
    const [, act = ''] = /^(ACT-\S+) +acknowledge +1 of 1/m.exec(acts) ?? [];
    expect(await ask('fleet', 'act', act)).to.match(/oven-1 +INC-\S+ +done/);
    const resolved = await ask(
      'resolve',
      '--class',
      'prompt_injection',
      '--yes',
      '--json',
      '--machine',
      'oven-1',
      'oven-2',
    );
    expect(
      resolved
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).outcome),
    ).to.deep.equal(['done', 'done']);
  });

  it('contains and releases by label, once the number of machines is said', async () => {
    const contained = await ask(
      'fleet',
      'contain',
      'freeze_agent',
      '--label',
      'site=berlin',
      '--reason',
      'a worm',
      '--confirm',
      '1',
    );
    expect(contained).to.match(/oven-1 +done/);
    const { recorder } = fleet.machines[0]!;
    expect((await recorder.get('/api/v1/containment')).json.freeze_agent.engaged).to.equal(true);
    await fleet.until(
      () => fleet.read('/api/v1/containment/by-label/release?action=freeze_agent&site=berlin'),
      ({ count }) => count === 1,
    );
    const released = await ask(
      'fleet',
      'release',
      'freeze_agent',
      '--label',
      'site=berlin',
      '--reason',
      'over',
      '--confirm',
      '1',
    );
    expect(released).to.match(/oven-1 +done/);
    expect((await recorder.get('/api/v1/containment')).json.freeze_agent.engaged).to.equal(false);
  });

  it('says of an act whose client has ended that it is not finished, and how to go on', async () => {
    const found = await fleet.read('/api/v1/incidents?limit=2');
    const incidents = found.map(({ machine, id }: { machine: string; id: string }) => ({ machine, id }));
    const body = { command: 'note', note: 'half', incidents, limit: 1 };
    const { json: begun } = await fleet.post('/api/v1/incidents/bulk', body);
    expect(await ask('fleet', 'acts')).to.match(/ 1: asked 1 of 2, not finished /);
    const shown = await run(['fleet', 'act', begun.act, ...address()]);
    expect(shown.stderr)
      .to.include(`asked 1 of 2, not finished; go on with`)
      .and.to.include(`--resume ${begun.cursor}`);
    await fleet.post('/api/v1/incidents/bulk', { ...body, cursor: begun.cursor });
    expect((await run(['fleet', 'act', begun.act, ...address()])).stderr).to.equal('');
  });

  it('silences by label, and ends what it has added', async () => {
    const add = ['silence', 'add', 'source=gamma', '-c', 'a rehearsal', '--confirm', '1'];
    const added = await ask(...add, '--label', 'site=berlin');
    expect(added).to.match(/^MACHINE +POSSIBLE +WHY$/m);
    expect(added).to.match(/^oven-1 +done +SIL-\S+/m);
    await ask('silence', 'add', 'source=delta', '-c', 'another one', '--machine', 'oven-1');
    const both = await ask(
      'silence',
      'add',
      'source=gamma',
      '-c',
      'two',
      '--confirm',
      '2',
      '--machine',
      'oven-1',
      'oven-2',
    );
    expect(both).to.match(/^oven-2 +done +SIL-\S+/m);
    const running = async (count: number): Promise<void> => {
      const silences = await fleet.until(
        () => fleet.read('/api/v1/silences'),
        (all: { state: string }[]) => all.filter(({ state }) => state === 'active').length === count,
      );
      expect(silences).to.have.length(4);
    };
    await running(4);
    const unasked = await run(['silence', 'remove', '--label', 'site=berlin', ...address()]);
    expect(unasked.stderr).to.include('end silences on 1 machine? Nobody can be asked here: say --confirm 1');
    const ended = await ask('silence', 'remove', 'source=delta', '--label', 'site=berlin', '--confirm', '1');
    expect(ended).to.match(/^oven-1 +done +SIL-\S+/m);
    await running(3);
    const acts = await fleet.read('/api/v1/silences/by-label/acts');
    const { act } = acts.findLast(({ kind }: { kind: string }) => kind === 'add');
    await ask('silence', 'remove', act, '--confirm', '1');
    await running(2);
    await ask('silence', 'remove', '--label', 'site=berlin', '--confirm', '1');
    await running(1);
  });

  it('shows recoveries, and the raw lines of a machine', async () => {
    await ask('recovery', 'status');
    const lines = (await ask('fleet', 'log', 'oven-1')).trimEnd().split('\n');
    expect(JSON.parse(lines[0]!)).to.include({ event: 'service.started' });
    const some = (await ask('fleet', 'log', 'oven-1', '--from', '2')).trimEnd().split('\n');
    expect(some[0]).to.equal(lines[1]);
  });
});
