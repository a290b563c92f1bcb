/** Machines, alarms and campaigns of a fleet with real recorders and shippers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { SmallFleet, tokenOf } from './support/small-fleet.ts';

const PEOPLE = {
  ada: { roles: ['operator', 'reader'], machines: { site: 'berlin' } },
  grace: { roles: ['reader'], machines: 'any' },
} as const;
const HASH = 'c0ffee'.repeat(10);

describe('watching the fleet', () => {
  const directory = temporaryDirectories();
  let fleet: SmallFleet;
  afterEach(() => fleet.stop());

  const start = async (env: Record<string, string> = {}): Promise<void> => {
    fleet = await SmallFleet.start(directory(), { people: PEOPLE, env });
  };
  const isHeard = ({
    version,
    behind,
    policy,
  }: {
    version: string | null;
    behind: number;
    policy: { digest: string | null };
  }) => version !== null && behind === 0 && policy.digest !== null;
  const machines = (query = '') => fleet.read(`/api/v1/machines${query}`);
  const allHeard = (count: number) =>
    fleet.until(
      machines,
      (all) =>
        all.length === count && all.every(isHeard) && all.every((one: { anchored: unknown }) => one.anchored !== null),
    );

  it('shows the machines: heard, behind, versions, anchored, what is in force, and whose policy differs', async () => {
    await start();
    const { recorder } = await fleet.add('oven-1', { labels: { site: 'berlin' } });
    await fleet.add('oven-2', { labels: { site: 'berlin' } });
    await fleet.add('oven-3', {
      labels: { site: 'paris' },
      policy: 'version: 1\nrules: { tool_call_burst: { auto_contain: false } }\n',
    });
    await recorder.report({ class: 'tool_call_burst' });
    const all = await fleet.until(
      () => allHeard(3),
      ([one]) => one.posture.length > 0,
    );
    const [one, two, three] = all;
    const policy = (await recorder.get('/api/v1/policy')).json;
    expect(one).to.deep.include({
      machine: 'oven-1',
      name: 'oven-1',
      labels: { site: 'berlin' },
      silent: false,
      behind: 0,
    });
    expect(one).to.deep.include({
      silent_since: null,
      revoked_at: null,
      diverged: null,
      alarms: [],
      clock_skewed: false,
    });
    expect(one.policy).to.deep.equal({
      digest: policy.digest,
      source: policy.source,
      differs: false,
      usual: policy.digest,
    });
    expect(one.posture[0]).to.include({ action: 'freeze_agent', in_force: true, holders: 1 });
    expect(one.incidents).to.deep.equal({ unresolved: 1, attention: 1 });
    expect(one.anchored.age_seconds).to.be.within(0, 120);
    expect(one.health.status).to.be.a('string');
    expect(one.held).to.equal(one.entries);
    expect(two.posture).to.deep.equal([]);
    // The text of a policy comes with another status.
    await fleet.until(
      () => fleet.fleet.db.selectFrom('machines').select('policy_text').execute(),
      (rows) => rows.every(({ policy_text: text }) => text !== null),
    );
    expect(three.policy).to.include({ differs: true, usual: policy.digest });
    expect((await machines('?differs=true')).map(({ machine }: { machine: string }) => machine)).to.deep.equal([
      'oven-3',
    ]);
    expect((await machines('?site=berlin')).map(({ machine }: { machine: string }) => machine)).to.deep.equal([
      'oven-1',
      'oven-2',
    ]);
    expect(await machines('?silent=true')).to.deep.equal([]);

    const page = await fleet.send('GET', '/api/v1/machines?limit=2');
    const next = /<([^>]+)>; rel="next"/.exec(String(page.headers.link))![1]!;
    expect((await fleet.read(next)).map(({ machine }: { machine: string }) => machine)).to.deep.equal(['oven-3']);

    const differing = await fleet.read('/api/v1/machines/oven-3/policy');
    expect(differing).to.deep.include({ differs: true, usual: { digest: policy.digest, machines: 2 } });
    expect(differing.changes).to.deep.include({ path: 'rules.tool_call_burst.auto_contain', usual: true, here: false });
    expect(differing.diff)
      .to.match(/^--- usual\n\+\+\+ here\n@@ /)
      .and.to.match(/^-.*"auto_contain": true/m)
      .and.to.match(/^\+.*"auto_contain": false/m);
    expect(await fleet.read('/api/v1/machines/oven-1/policy')).to.deep.include({
      differs: false,
      changes: [],
      diff: '',
    });
    // Another batch may come between its two queries.
    const whole = await fleet.until(
      () => fleet.read('/api/v1/machines/oven-1'),
      ({ logs, held }) => logs[0].through === held,
    );
    expect(whole.health).to.have.property('audit');
    expect(whole.logs).to.have.length(1);
    expect(whole.logs[0]).to.include({ active: true });
    // Those of others are not there.
    expect((await fleet.send('GET', '/api/v1/machines/oven-3', { token: tokenOf('ada') })).status).to.equal(404);
    expect((await fleet.read('/api/v1/machines', tokenOf('ada'))).length).to.equal(2);
  });

  it('raises one alarm for a machine that goes silent, and closes it when it is heard', async () => {
    await start({ FLEET_SILENT_AFTER_SECONDS: '10' });
    const machine = await fleet.add('oven-1', { labels: { site: 'berlin' } });
    await fleet.until(machines, ([one]) => one !== undefined && isHeard(one));
    await machine.silence();
    const open = await fleet.until(
      () => fleet.read('/api/v1/fleet/incidents?open=true&kind=machine_silent'),
      (all) => all.length > 0,
    );
    expect(open).to.have.length(1);
    expect(open[0]).to.include({ machine: 'oven-1', kind: 'machine_silent', closed_at: null, acknowledged_by: null });
    expect(open[0].detail).to.include({ silent_after_seconds: 10 });
    const [silent] = await machines('?silent=true');
    expect(silent).to.include({ machine: 'oven-1', silent: true, silent_since: open[0].detail.heard_at });
    expect(silent.alarms.map(({ kind }: { kind: string }) => kind)).to.deep.equal(['machine_silent']);

    const { id } = open[0];
    const acknowledge = (token: string, body: object = {}) =>
      fleet.post('/api/v1/fleet/incidents/acknowledge', { machine: 'oven-1', id, ...body }, { token });
    expect((await acknowledge(tokenOf('grace'))).status).to.equal(403);
    expect((await acknowledge(tokenOf('ada'), { id: 'none' })).status).to.equal(404);
    const acknowledged = await acknowledge(tokenOf('ada'), { note: 'its power is off' });
    expect(acknowledged.json).to.include({ acknowledged_by: 'ada', note: 'its power is off', closed_at: null });
    expect((await acknowledge(tokenOf('ada'), { note: 'again' })).json).to.deep.equal(acknowledged.json);
    await fleet.fleet.look();
    expect(await fleet.read('/api/v1/fleet/incidents')).to.have.length(1);

    machine.ship();
    await fleet.until(
      () => fleet.read('/api/v1/fleet/incidents?open=true'),
      (all) => all.length === 0,
    );
    const [closed] = await fleet.read('/api/v1/fleet/incidents?open=false');
    expect(closed).to.include({ id, acknowledged_by: 'ada' });
    expect(closed.closed_at).to.be.a('string');
    expect((await machines())[0]).to.include({ silent: false, silent_since: null });
    expect(fleet.said.filter(({ message }) => message === 'A MACHINE IS SILENT')).to.have.length(1);
  });

  it('calls no machine silent that has nothing to say and asks for commands', async () => {
    await start({ FLEET_SILENT_AFTER_SECONDS: '10' });
    await fleet.add('oven-1');
    await fleet.until(machines, ([one]) => one !== undefined && isHeard(one));
    // The grace of the process is over, and the status comes once a minute.
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    await fleet.fleet.look();
    expect(await fleet.read('/api/v1/fleet/incidents?open=true')).to.deep.equal([]);
    expect(await machines('?silent=true')).to.deep.equal([]);
  });

  it('warns that its own clock may be wrong where those of most machines say so', async () => {
    await start();
    const names = ['oven-1', 'oven-2', 'oven-3'];
    for (const name of names) await (await fleet.add(name)).silence();
    const say = (name: string, ahead: number) =>
      fleet.send('PUT', `/api/v1/machines/${name}/status`, {
        token: tokenOf(name),
        body: { version: '1', clock: new Date(Date.now() + ahead).toISOString(), health: {} },
      });
    const warnings = async (): Promise<string> => (await fleet.read('/health')).warnings.join();
    for (const name of names) await say(name, name === 'oven-3' ? -300_000 : 0);
    expect(await warnings()).not.to.include('clocks');
    await say('oven-1', -7_200_000);
    expect(await warnings()).to.include('the clocks of 2 of 3 machines are behind the fleet’s');
  });

  it('shows a clock that is wrong', async () => {
    await start();
    await fleet.add('oven-1');
    await fleet.until(machines, ([one]) => one !== undefined && isHeard(one));
    await fleet.machines[0]!.silence();
    const say = (ahead: number) =>
      fleet.send('PUT', '/api/v1/machines/oven-1/status', {
        token: tokenOf('oven-1'),
        body: { version: '1', clock: new Date(Date.now() + ahead).toISOString(), health: {} },
      });
    for (const times of [1, 2]) {
      expect((await say(300_000)).status).to.equal(200);
      const [wrong] = await fleet.until(
        () => fleet.read('/api/v1/fleet/incidents?open=true'),
        (all) => all.length > 0,
      );
      expect(wrong).to.include({ kind: 'clock_skew', id: `clock_skew:${times}` });
      expect(wrong.detail.clock_skew_ms).to.be.closeTo(300_000, 30_000);
      expect((await machines())[0]).to.include({ clock_skewed: true });
      await say(0);
      await fleet.until(
        () => fleet.read('/api/v1/fleet/incidents?open=true'),
        (all) => all.length === 0,
      );
    }
  });

  it('makes one campaign of the same on several machines, which grows', async () => {
    const policy = join(directory(), 'fleet-policy.yaml');
    writeFileSync(
      policy,
      'version: 1\ncampaigns:\n  - { name: model, classes: [manifest_mismatch], same: [evidence.model_hash], machines: 3, within: 1h }\n',
    );
    await start({ FLEET_POLICY_PATH: policy });
    for (const [name, site] of [
      ['oven-1', 'berlin'],
      ['oven-2', 'berlin'],
      ['oven-3', 'paris'],
      ['oven-4', 'paris'],
    ] as const)
      await fleet.add(name, { labels: { site } });
    const report = async (place: number, evidence: object, more: object = {}): Promise<string> => {
      const { name, recorder } = fleet.machines[place]!;
      const { json } = await recorder.report({ class: 'manifest_mismatch', evidence, ...more });
      await fleet.holds(name, json.id);
      await fleet.fleet.look();
      return json.id as string;
    };
    const campaigns = (token?: string) => fleet.read('/api/v1/campaigns', token);
    await report(0, { model_hash: HASH, at: 1 });
    await report(0, { model_hash: HASH, at: 2 });
    await report(1, { model_hash: HASH });
    // Another class, other values, a drill: not the same.
    await report(2, { model_hash: HASH }, { class: 'model_behavior_anomaly' });
    await report(2, { model_hash: 'another' });
    await report(2, { other: HASH });
    expect(await campaigns()).to.deep.equal([]);
    const third = await report(2, { model_hash: HASH });
    const [raised, ...more] = await campaigns();
    expect(more).to.deep.equal([]);
    expect(raised).to.deep.include({
      rule: 'model',
      class: 'manifest_mismatch',
      values: { 'evidence.model_hash': HASH },
    });
    expect(raised).to.include({ machines: 3, incidents: 4, unresolved: 4, severity: 'high' });
    await report(3, { model_hash: HASH });
    const [grown, ...others] = await campaigns();
    expect(others).to.deep.equal([]);
    expect(grown).to.include({ campaign: raised.campaign, machines: 4, incidents: 5, raised_at: raised.raised_at });
    expect(fleet.said.filter(({ message }) => message.startsWith('THE SAME IS HAPPENING'))).to.have.length(1);

    const { members } = await fleet.read(`/api/v1/campaigns/${raised.campaign}`);
    expect(members.map(({ machine }: { machine: string }) => machine)).to.deep.equal([
      'oven-1',
      'oven-1',
      'oven-2',
      'oven-3',
      'oven-4',
    ]);
    expect(members[3]).to.include({ incident: third, severity: 'high' });
    // Who sees Berlin only sees what of it is there.
    const [berlin] = await campaigns(tokenOf('ada'));
    expect(berlin).to.include({ campaign: raised.campaign, machines: 2, incidents: 3 });
    expect(await fleet.read('/api/v1/campaigns?site=rome')).to.deep.equal([]);
    // Once more through everything: nothing is new.
    await fleet.fleet.db.deleteFrom('campaign_progress').execute();
    await fleet.fleet.look();
    expect(await campaigns()).to.deep.equal([grown]);
  });
});
