/** What somebody who is bound to some machines does not learn of the others, and what no request breaks. */
import { expect } from 'chai';
import { systemClock } from '../../../src/clock.ts';
import type { FleetPrincipal } from '../../../src/fleet/access.ts';
import { CampaignNews } from '../../../src/fleet/campaign-news.ts';
import { Campaigns } from '../../../src/fleet/campaigns.ts';
import { readFleetPolicy } from '../../../src/fleet/fleet-policy.ts';
import { TOKEN } from '../../support/service-client.ts';
import { MachineLog } from '../support/machine-log.ts';
import { FleetReads } from './support/fleet-reads.ts';

const BERLIN = 'berlins-token';
const PRINCIPALS: Readonly<Record<string, FleetPrincipal>> = {
  [TOKEN]: { name: 'ada', roles: ['reader', 'operator', 'auditor'], machines: 'any' },
  'ritas-token': { name: 'rita', roles: ['reader'], machines: { site: 'berlin' } },
  'annas-token': { name: 'anna', roles: ['auditor'], machines: { site: 'berlin' } },
  'pierres-token': { name: 'pierre', roles: ['reader', 'operator'], machines: { site: 'paris' } },
  [BERLIN]: { name: 'bert', roles: ['reader', 'operator'], machines: { site: 'berlin' } },
};

describe('who is bound to some machines', () => {
  let fleet: FleetReads;
  let campaigns: Campaigns;
  let later = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + later };

  before(async () => {
    // As with so many incidents that they are not gathered.
    fleet = await FleetReads.start({ folder: undefined }, PRINCIPALS, { few: 0, mostLookedAt: 4, clock });
    for (const [name, site, evidence] of [
      ['berlin-1', 'berlin', { model_hash: 'c0ffee' }],
      ['paris-1', 'paris', { model_hash: 'c0ffee' }],
      ['paris-2', 'paris', { model_hash: 'c0ffee' }],
    ] as const) {
      await fleet.enrol(name, { site });
      const log = new MachineLog(name);
      if (name !== 'berlin-1') for (let count = 0; count < 40; count++) log.report({ n: String(count) });
      log.report(evidence);
      await fleet.take(name, log.lines);
    }
  });

  after(() => fleet.stop());

  const get = (path: string, token = BERLIN) => fleet.send('GET', `/api/v1/${path}`, { token });

  it('finds nothing of other machines in the places of a list, and goes on with them', async () => {
    const seen: string[] = [];
    let hidden = 0;
    for (let query: string | undefined = 'incidents?limit=1'; query !== undefined;) {
      const { status, json, headers, text } = await get(query);
      expect(status, text).to.equal(200);
      seen.push(...json.map(({ machine }: { machine: string }) => machine));
      const next: string | undefined = /<\/api\/v1\/([^>]+)>/.exec(String(headers.link ?? ''))?.[1];
      const cursor = next && new URLSearchParams(next.split('?')[1]).get('cursor')!;
      if (cursor?.startsWith('~') === true) hidden += 1;
      expect(Buffer.from(cursor ?? '', 'base64url').toString('latin1')).not.to.include('paris');
      query = next;
    }
    expect(seen).to.deep.equal(['berlin-1']);
    expect(hidden).to.be.above(5);
    expect((await get('incidents?cursor=~AAAA')).status).to.equal(400);
  });

  it('gets the parameters that name machines, where one is unknown', async () => {
    const { status, json } = await get('incidents?ring=a');
    expect(status).to.equal(400);
    expect(json.error).to.match(/^unknown parameter "ring" \(allowed: machine, site, label\.NAME, class, /);
    expect(json.allowed.slice(0, 4)).to.deep.equal(['machine', 'site', 'label.NAME', 'class']);
    const alone = await get('containment?ring=a');
    expect(alone.json.error).to.equal('unknown parameter "ring" (allowed: machine, site, label.NAME)');
  });

  it('does not read the metrics, which are about all machines', async () => {
    expect((await fleet.send('GET', '/metrics', { token: BERLIN })).status).to.equal(403);
    expect((await fleet.send('GET', '/metrics', { token: TOKEN })).status).to.equal(200);
  });

  it('sees no policy that only a machine elsewhere says it has', async () => {
    const set = (machine: string, digest: string, policy_text: string | null) =>
      fleet.db
        .updateTable('machines')
        .set({ policy_digest: digest, policy_text })
        .where('machine', '=', machine)
        .execute();
    await fleet.enrol('berlin-2', { site: 'berlin' });
    await fleet.enrol('berlin-3', { site: 'berlin' });
    await set('berlin-1', 'b', 'version: 1\n# berlin\n');
    await set('berlin-2', 'a', null);
    await set('berlin-3', 'a', null);
    await set('paris-1', 'a', 'version: 1\n# the secret of paris\n');
    const { json, text } = await get('machines/berlin-1/policy');
    expect(json.differs).to.equal(true);
    expect(text).not.to.include('paris');
    expect((await get('machines/berlin-1/policy', TOKEN)).text).to.include('the secret of paris');
  });

  it('sees of a campaign what is on their machines, and none that is on one of them alone', async () => {
    campaigns = new Campaigns({
      db: fleet.db,
      clock: systemClock,
      policy: () => readFleetPolicy(undefined),
      log: { warn() {} },
    });
    await campaigns.look();
    const all = await get('campaigns', TOKEN);
    expect(all.json.find(({ machines }: { machines: number }) => machines === 3)).to.be.an('object');
    expect((await get('campaigns')).json).to.deep.equal([]);
    const { campaign } = all.json.find(({ machines }: { machines: number }) => machines === 3);
    expect((await get(`campaigns/${campaign}`)).status).to.equal(404);
    expect((await get(`campaigns/${campaign}?machine=berlin-1`, TOKEN)).json.machines).to.equal(1);
    await fleet.enrol('berlin-4', { site: 'berlin' });
    const log = new MachineLog('berlin-4');
    log.report({ model_hash: 'c0ffee' });
    await fleet.take('berlin-4', log.lines);
    await campaigns.look();
    const { json } = await get(`campaigns/${campaign}`);
    expect(json).to.include({ machines: 2, incidents: 2 });
    const times = json.members.map(({ at }: { at: string }) => at).toSorted();
    expect([json.first_at, json.last_at]).to.deep.equal([times[0], times.at(-1)]);
    const [listed] = (await get('campaigns?limit=1')).json;
    expect(listed).to.include({ campaign, first_at: times[0], last_at: times.at(-1) });
  });

  it('hears that a campaign has grown, also by what happened before its end', async () => {
    const news = new CampaignNews(fleet.db);
    expect(await news.look()).to.deep.equal([]);
    await fleet.enrol('rome-1', { site: 'rome' });
    const log = new MachineLog('rome-1');
    log.report();
    log.report({ model_hash: 'c0ffee' });
    await fleet.take('rome-1', log.lines);
    await campaigns.look();
    expect((await news.look()).map(({ eventFor }) => eventFor(undefined))).to.deep.equal(['campaign.grown']);
    expect(await news.look()).to.deep.equal([]);
  });

  it('learns from no acknowledgement of a campaign how many others have it, and has not seen what others saw', async () => {
    const acknowledge = async (campaign: string, token: string) => {
      const { status, json, text } = await fleet.send('POST', '/api/v1/campaigns/acknowledge', {
        token,
        body: { campaign },
      });
      expect(status, text).to.equal(200);
      return json;
    };
    const { json: all } = await get('campaigns', TOKEN);
    const { campaign, incidents } = all.find(({ machines }: { machines: number }) => machines === 5);
    expect(incidents).to.equal(5);
    // Who sees more is not told that all of it was seen.
    expect(await acknowledge(campaign, BERLIN)).to.include({ incidents: 2, acknowledged_incidents: 2 });
    expect((await get(`campaigns/${campaign}`, TOKEN)).json).to.include({ incidents: 5, acknowledged_incidents: 2 });
    const unseen = (await get(`campaigns/${campaign}`, 'pierres-token')).json;
    expect(unseen).to.include({ incidents: 2, acknowledged_incidents: null, acknowledged_by: null });
    expect(await acknowledge(campaign, 'pierres-token')).to.include({ acknowledged_by: 'pierre' });
    // Who sees less is not told how much there is.
    expect(await acknowledge(campaign, TOKEN)).to.include({ acknowledged_by: 'ada', acknowledged_incidents: 5 });
    for (const token of [BERLIN, 'pierres-token']) {
      const { json } = await get(`campaigns/${campaign}`, token);
      expect(json).to.include({ incidents: 2, acknowledged_incidents: 2, acknowledged_by: 'ada' });
    }
  });

  it('follows no machine in the stream that has lost their label', async () => {
    const ends = new AbortController();
    const response = await fetch(`http://127.0.0.1:${fleet.port}/api/v1/events`, {
      headers: { Authorization: `Bearer ${BERLIN}` },
      signal: ends.signal,
    });
    const logs = [new MachineLog('berlin-5'), new MachineLog('berlin-6')] as const;
    for (const [at, log] of logs.entries()) {
      await fleet.enrol(`berlin-${at + 5}`, { site: 'berlin' });
      log.report();
      await fleet.take(`berlin-${at + 5}`, log.lines);
    }
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let seen = '';
    const until = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(seen)) seen += (await reader.read()).value;
    };
    await until(/"machine":"berlin-5".*"seq":2/);
    await until(/"machine":"berlin-6".*"seq":2/);
    await fleet.db
      .updateTable('machines')
      .set({ labels: JSON.stringify({ site: 'rome' }) })
      .where('machine', '=', 'berlin-5')
      .execute();
    later += 60_000;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    seen = '';
    for (const [at, log] of logs.entries()) {
      log.report();
      await fleet.take(`berlin-${at + 5}`, log.lines.slice(2), 3);
    }
    await until(/"machine":"berlin-6".*"seq":3/);
    ends.abort();
    expect(seen).not.to.include('"machine":"berlin-5"');
  });

  it('follows the log of a machine no longer than it is theirs', async () => {
    const token = 'annas-token';
    const path = `http://127.0.0.1:${fleet.port}/api/v1/log?machine=berlin-1&follow=true`;
    const ended = async (change: () => unknown): Promise<boolean> => {
      const response = await fetch(path, { headers: { Authorization: `Bearer ${token}` } });
      expect(response.status).to.equal(200);
      const reader = response.body!.getReader();
      await reader.read();
      await change();
      const isCut = async (): Promise<true> => {
        for (;;) if ((await reader.read()).done) return true;
      };
      return isCut().catch(() => true);
    };
    const setSite = (site: string) =>
      fleet.db
        .updateTable('machines')
        .set({ labels: JSON.stringify({ site }) })
        .where('machine', '=', 'berlin-1')
        .execute();
    expect(await ended(() => setSite('rome'))).to.equal(true);
    await setSite('berlin');
    const anna = PRINCIPALS[token] as { machines: FleetPrincipal['machines'] };
    expect(await ended(() => (anna.machines = { site: 'rome' }))).to.equal(true);
  });

  it('reads what people have written of an act only as of commands', async () => {
    const detail = {
      act: 'ACT-1',
      action: 'freeze_agent',
      labels: { site: 'berlin' },
      reason: 'a secret',
      principal: 'bert',
      by: 'bert',
      role: 'operator',
      good_for: 1,
      machines: [{ machine: 'berlin-1', class: 'prompt_injection' }],
    };
    await fleet.db
      .insertInto('acts')
      .values({
        machine: '',
        id: 'ACT-1',
        at: new Date(),
        who: 'bert',
        what: 'contain_by_label',
        detail: JSON.stringify(detail),
      })
      .execute();
    for (const path of ['acts', 'containment/by-label/ACT-1']) {
      expect((await get(path)).text, path).to.include('a secret');
      const { status, text } = await get(path, 'ritas-token');
      expect(status, text).to.equal(200);
      expect(text, path).not.to.include('a secret');
    }
  });

  it('gets 400 for a value that the database can not hold', async () => {
    const place = (...parts: unknown[]): string => Buffer.from(JSON.stringify(parts)).toString('base64url');
    for (const path of [
      'incidents/get?id=%00',
      'incidents?source=%00',
      'incidents?q=a%00b',
      'incidents?machine=%00',
      'machines/%00',
      'campaigns/%00',
      `campaigns?after=${place('1 (x)', 'CAM')}`,
      `commands?after=${place('Jan 1 2001 (x)', 'm', 'c')}`,
      `fleet/incidents?after=${place('2001', 'm', '\0')}`,
      `machines?after=${place('\0')}`,
      `incidents?cursor=${place('severity', 99_999, 0, 'm', 'i', 0)}`,
      `incidents?cursor=${place('severity', 'x', 0, 'm', 'i', 0)}`,
    ]) {
      const { status, text } = await get(path);
      expect(status, `${path} ${text}`).to.be.oneOf([200, 400, 404]);
    }
  });
});
