/** What a recorder's own API can, at a fleet, with a machine in it: through real shippers, on real recorders. */
import { expect } from 'chai';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import type { LocalService } from '../support/local-service.ts';
import { TOKEN } from '../support/service-client.ts';
import { SmallFleet, tokenOf } from './support/small-fleet.ts';

const POLICY = `version: 1
rules:
  tool_call_burst: { auto_contain: true, actions: [freeze_agent, disable_airlock], runbook: "Look at the last calls" }
  manifest_mismatch: { auto_contain: true, actions: [freeze_agent], recovery: { acknowledge: true } }
`;
const PEOPLE = {
  ada: { roles: ['reader', 'operator'], machines: { site: 'berlin' } },
  grace: { roles: ['reader'], machines: 'any' },
  emmy: { roles: ['auditor'], machines: { site: 'berlin' } },
} as const;

describe('the fleet as one recorder', () => {
  const directory = temporaryDirectories();
  let fleet: SmallFleet;

  beforeEach(async () => {
    fleet = await SmallFleet.start(directory(), { people: PEOPLE });
  });
  afterEach(() => fleet.stop());

  const reported = async (recorder: LocalService, report: object = {}): Promise<string> =>
    (await recorder.report({ class: 'tool_call_burst', ...report })).json.id;
  /** Two machines in Berlin and one in Paris. */
  const machines = async () => ({
    one: await fleet.add('oven-1', { labels: { site: 'berlin' }, policy: POLICY }),
    two: await fleet.add('oven-2', { labels: { site: 'berlin' }, policy: POLICY }),
    far: await fleet.add('oven-3', { labels: { site: 'paris' }, policy: POLICY }),
  });

  it('says before what resolving or releasing releases, in the recorder’s words', async () => {
    const { one, two } = await machines();
    const [first, second] = [await reported(one.recorder), await reported(one.recorder, { source: 'other' })];
    const other = await reported(two.recorder);
    await fleet.holds('oven-1', second);
    await fleet.holds('oven-2', other);
    const preview = (query: string, token?: string) => fleet.read(`/api/v1/containment/preview?${query}`, token);
    const own = await one.recorder.get(`/api/v1/containment/preview?id=${first}&command=resolve`);
    const shown = await preview(`machine=oven-1&id=${first}&command=resolve`, tokenOf('ada'));
    const withMachine = (list: readonly object[]) => list.map((item) => ({ machine: 'oven-1', ...item }));
    // Entries may be under way.
    delete shown.uncertain;
    expect(shown).to.deep.equal({
      ...own.json,
      actions: withMachine(own.json.actions),
      incidents: withMachine(own.json.incidents),
    });
    expect(shown.actions[0]).to.include({
      action: 'freeze_agent',
      holders: 2,
      others: 1,
      last: false,
      releases: false,
    });
    const both = await preview(`id=${first}&id=${second}&id=${other}&command=resolve`);
    expect(
      both.actions.map((item: Record<string, unknown>) => [item.machine, item.action, item.releases, item.holders]),
    ).to.deep.equal([
      ['oven-1', 'freeze_agent', true, 2],
      ['oven-1', 'disable_airlock', true, 2],
      ['oven-2', 'freeze_agent', true, 1],
      ['oven-2', 'disable_airlock', true, 1],
    ]);
    const release = await preview(`id=${other}&command=release&action=freeze_agent`);
    expect(release.actions).to.deep.equal([
      { machine: 'oven-2', action: 'freeze_agent', releases: true, holders: 1, others: 0, last: true },
    ]);
    const status = async (query: string, token?: string) =>
      (await fleet.send('GET', `/api/v1/containment/preview?${query}`, token === undefined ? {} : { token })).status;
    expect(await status(`id=${other}&command=release`)).to.equal(400);
    expect(await status(`id=INC-20260101-000000000000&command=resolve`)).to.equal(404);
    expect(await status(`machine=oven-2&id=${first}&command=resolve`)).to.equal(404);
    expect(await status(`id=${first}&command=resolve`, 'nobody')).to.equal(403);
  });

  it('gives a command to all that a filter selects, on every machine, and says what became of each', async () => {
    const { one, two, far } = await machines();
    const ids: string[] = [];
    for (const { recorder, name } of [one, two, far]) {
      for (const source of ['alpha', 'beta']) {
        const id = await reported(recorder, { source });
        ids.push(id);
        await fleet.holds(name, id);
      }
    }
    const bulk = (body: object, headers = {}, token = tokenOf('ada')) =>
      fleet.post('/api/v1/incidents/bulk', { command: 'resolve', expires_in: 60, ...body }, { headers, token });
    const filter = { class: ['tool_call_burst'] };
    const preview = await bulk({ filter, preview: true });
    expect(preview.status, preview.text).to.equal(200);
    expect(preview.json).to.deep.include({
      matched: 4,
      complete: true,
      machines: { 'oven-1': 2, 'oven-2': 2 },
      allowed: 4,
      refused: {},
    });
    expect(preview.json.actions).to.have.length(4);
    expect(preview.json.actions.every((item: { releases: boolean }) => item.releases)).to.equal(true);
    // What comes after the preview is left out.
    const later = await reported(one.recorder, { source: 'gamma' });
    await fleet.holds('oven-1', later);

    const cursor: string = preview.json.snapshot;
    const note = 'a false alarm';
    const first = await bulk({ filter, cursor, note, limit: 3, resolution: 'false_positive' }, { Prefer: 'wait=30' });
    expect(first.status, first.text).to.equal(200);
    expect(first.json).to.include({ done: false, remaining: 1 });
    for (const result of first.json.results) {
      expect(result).to.include({ status: 200, change: 'moved', state: 'resolved' });
      expect(result.command).to.match(/^CMD-/);
    }
    // Sent again: the same commands.
    const again = await bulk({ filter, cursor, note, limit: 3, resolution: 'false_positive' }, { Prefer: 'wait=30' });
    expect(again.json.results.map(({ command }: { command: string }) => command)).to.deep.equal(
      first.json.results.map(({ command }: { command: string }) => command),
    );
    const last = await bulk({ filter, cursor: first.json.cursor, note }, { Prefer: 'wait=30' });
    expect(last.json).to.include({ done: true });
    expect(last.json.results).to.have.length(1);
    expect((await fleet.read('/api/v1/commands')).length).to.equal(4);
    const act = await fleet.read(`/api/v1/incidents/bulk/${first.json.act}`, tokenOf('ada'));
    expect(act).to.include({ command: 'resolve', by: 'ada', note, count: 4, left: 0, pending: 0, done: 4, refused: 0 });
    expect(act.incidents.map(({ status }: { status: string }) => status)).to.deep.equal(Array(4).fill('done'));
    expect((await fleet.read('/api/v1/incidents/bulk')).map((item: { act: string }) => item.act)).to.deep.equal([
      act.act,
    ]);
    const own = await one.recorder.get(`/api/v1/incidents/get?id=${ids[0]}`);
    expect(own.json).to.include({ state: 'resolved', resolved_by: 'fleet:ada', resolution: 'false_positive' });
    for (const [{ recorder }, id] of [
      [one, later],
      [far, ids[4]],
    ] as const) {
      expect((await recorder.get(`/api/v1/incidents/get?id=${id}`)).json.state).to.equal('contained');
    }
    // What the machine refuses is said.
    const { incidents } = act;
    const named = incidents.map(({ machine, id }: { machine: string; id: string }) => ({ machine, id }));
    const refused = await bulk({ command: 'acknowledge', incidents: named.slice(0, 2) }, { Prefer: 'wait=30' });
    expect(refused.json.done, refused.text).to.equal(true);
    expect(refused.json.results.map((item: { status: number }) => item.status)).to.deep.equal([409, 409]);
    expect(refused.json.results[0].error).to.be.a('string').and.not.equal('');
    // The machine has answered; that they are resolved comes with its log.
    for (const { machine, id } of named.slice(0, 2))
      await fleet.until(
        () => fleet.read(`/api/v1/incidents/get?machine=${machine}&id=${id}`),
        ({ state }) => state === 'resolved',
      );
    const seen = await bulk({ command: 'acknowledge', incidents: named.slice(0, 2), preview: true });
    expect(seen.json).to.deep.include({ matched: 2, allowed: 0, refused: { resolved: 2 } });
  });

  it('bounds a command on many incidents like any other', async () => {
    const { one, far } = await machines();
    const id = await reported(one.recorder);
    const foreign = await reported(far.recorder);
    await fleet.holds('oven-1', id);
    await fleet.holds('oven-3', foreign);
    const bulk = (body: object, token = tokenOf('ada'), headers = {}) =>
      fleet.post('/api/v1/incidents/bulk', { command: 'acknowledge', ...body }, { token, headers });
    const status = async (body: object, token?: string) => (await bulk(body, token)).status;
    expect(await status({ filter: { state: 'contained' } }, tokenOf('grace'))).to.equal(403);
    expect(await status({ filter: { state: 'contained' } }, 'nobody')).to.equal(403);
    expect(await status({})).to.equal(400);
    expect(await status({ filter: {} })).to.equal(400);
    expect(await status({ filter: { state: 'contained' }, incidents: [{ machine: 'oven-1', id }] })).to.equal(400);
    expect(await status({ filter: { colour: 'red' } })).to.equal(400);
    expect(await status({ filter: { state: 'contained' }, to: 'x' })).to.equal(400);
    expect(await status({ filter: { state: 'contained' }, cursor: 'x' })).to.equal(400);
    const preview = (await bulk({ filter: { site: 'paris' }, preview: true })).json;
    expect(preview).to.include({ matched: 0 });
    const elsewhere = await bulk({ incidents: [{ machine: 'oven-3', id: foreign }], preview: true });
    expect(elsewhere.json).to.include({ matched: 0 });
    expect((await bulk({ filter: { machine: 'oven-1' }, preview: true })).json).to.include({ matched: 1 });
    expect(await status({ filter: { machine: 'oven-1', state: 'open' }, cursor: preview.snapshot })).to.equal(400);
    // A key names the act.
    const key = { 'Idempotency-Key': 'once' };
    const first = await bulk({ filter: { machine: 'oven-1' } }, tokenOf('ada'), key);
    expect(first.json.results).to.have.length(1);
    const again = await bulk({ filter: { machine: 'oven-1' } }, tokenOf('ada'), key);
    expect(again.json.act).to.equal(first.json.act);
    expect(again.json.results[0].command).to.equal(first.json.results[0].command);
    expect((await bulk({ filter: { state: 'contained' } }, tokenOf('ada'), key)).status).to.equal(422);
    expect(await fleet.read('/api/v1/commands')).to.have.length(1);
  });

  it('lists the recoveries of all machines, and the runbook of each incident', async () => {
    const { one, two } = await machines();
    const first = await reported(one.recorder, { class: 'manifest_mismatch' });
    const second = await reported(two.recorder, { class: 'manifest_mismatch' });
    const plain = await reported(two.recorder);
    await fleet.holds('oven-1', first);
    await fleet.holds('oven-2', plain);
    const all = await fleet.until(
      () => fleet.read('/api/v1/recovery/status'),
      ({ count }) => count === 2,
    );
    const own = (await one.recorder.get('/api/v1/recovery/status')).json.pending_recoveries[0];
    expect(
      all.pending_recoveries.map((item: { machine: string; incident_id: string }) => [item.machine, item.incident_id]),
    ).to.deep.equal([
      ['oven-1', first],
      ['oven-2', second],
    ]);
    expect(all.pending_recoveries[0]).to.deep.equal({ machine: 'oven-1', ...own });
    const only = await fleet.read('/api/v1/recovery/status?machine=oven-2');
    expect(only).to.include({ count: 1 });
    const page = await fleet.send('GET', '/api/v1/recovery/status?limit=1');
    expect(page.json.pending_recoveries).to.have.length(1);
    const next = /<([^>]*)>/.exec(String(page.headers.link))?.[1] ?? '';
    expect((await fleet.read(next)).pending_recoveries[0]).to.include({ incident_id: second });
    expect((await fleet.read(`/api/v1/recovery/status?incident_id=${first}`)).count).to.equal(1);
    expect((await fleet.send('GET', `/api/v1/recovery/status?incident_id=${plain}`)).status).to.equal(409);
    // The policy comes with the status of the machine, a while later.
    const shown = await fleet.until(
      () => fleet.read(`/api/v1/incidents/get?id=${plain}`),
      ({ runbook }) => runbook !== undefined,
    );
    expect(shown.runbook).to.equal('Look at the last calls');
  });

  it('gives the raw lines of a machine to those who read them there', async () => {
    const { one } = await machines();
    const id = await reported(one.recorder);
    await fleet.holds('oven-1', id);
    const { log, held } = await fleet.read('/api/v1/machines/oven-1');
    const path = `/api/v1/machines/oven-1/logs/${log}/entries`;
    const lines = await fleet.send('GET', path, { token: tokenOf('emmy') });
    expect(lines.status, lines.text).to.equal(200);
    expect(lines.headers).to.include({ 'log-id': log, 'log-first': '1', 'content-type': 'application/x-ndjson' });
    const own = await one.recorder.send('GET', '/api/v1/log', { token: TOKEN });
    const count = Number(lines.headers['log-entries']);
    expect(count).to.be.at.least(held);
    expect(own.text.startsWith(lines.text)).to.equal(true);
    expect(lines.text.trimEnd().split('\n')).to.have.length(count);
    const some = await fleet.send('GET', `/api/v1/log?machine=oven-1&from=2&limit=1`, { token: tokenOf('emmy') });
    expect(some.text).to.equal(`${own.text.split('\n')[1]}\n`);
    const status = async (query: string, token = tokenOf('emmy'), at = path) =>
      (await fleet.send('GET', `${at}${query}`, { token })).status;
    expect(await status(`?from=${count + 100}`)).to.equal(416);
    expect(await status('?from=0')).to.equal(400);
    expect(await status('', tokenOf('ada'))).to.equal(403);
    expect(await status('', 'nobody')).to.equal(403);
    expect(await status('', undefined, path.replace('oven-1', 'oven-3'))).to.equal(404);
    expect((await fleet.send('HEAD', path, { token: tokenOf('emmy') })).headers).to.include({ 'log-id': log });
  });

  it('releases an action on all machines with a label, counted and confirmed', async () => {
    const { one, two, far } = await machines();
    for (const { recorder, name } of [one, two, far]) {
      await reported(recorder, { source: 'alpha' });
      await fleet.holds(name, await reported(recorder, { source: 'beta' }));
    }
    const path = '/api/v1/containment/by-label/release';
    const query = `${path}?action=freeze_agent&site=berlin`;
    const preview = await fleet.until(
      () => fleet.read(query, tokenOf('ada')),
      ({ incidents }) => incidents === 4,
    );
    expect(preview).to.include({ action: 'freeze_agent', count: 2, incidents: 4 });
    const body = { action: 'freeze_agent', labels: { site: 'berlin' }, reason: 'the worm is gone', expires_in: 60 };
    const give = (more: object, token = tokenOf('ada')) => fleet.post(path, { ...body, ...more }, { token });
    for (const confirm of [undefined, 4]) {
      const refused = await give(confirm === undefined ? {} : { confirm });
      expect(refused.status).to.equal(409);
      expect(refused.json).to.include({ count: 2, code: 'confirmation_required' });
    }
    expect((await give({ confirm: 2, machines_digest: '0' })).status).to.equal(409);
    expect((await give({ confirm: 2 }, tokenOf('grace'))).status).to.equal(403);
    const given = { confirm: 2, machines_digest: preview.machines_digest, idempotency_key: 'thaw' };
    const begun = await give(given);
    expect(begun.status, begun.text).to.equal(202);
    expect((await give(given)).json.act).to.equal(begun.json.act);
    const act = await fleet.until(
      () => fleet.read(`${path}/${begun.json.act}`, tokenOf('ada')),
      ({ pending, machines: all }) => pending === 0 && all.every((item: { in_force: boolean }) => !item.in_force),
    );
    expect(act).to.include({ count: 2, done: 2, refused: 0, expired: 0, by: 'ada', reason: body.reason });
    expect(act.machines.map((item: { incidents: number; done: number }) => [item.incidents, item.done])).to.deep.equal([
      [2, 2],
      [2, 2],
    ]);
    for (const [{ recorder }, engaged] of [
      [one, false],
      [two, false],
      [far, true],
    ] as const) {
      const posture = (await recorder.get('/api/v1/containment')).json;
      expect(posture.freeze_agent.engaged).to.equal(engaged);
      expect(posture.disable_airlock.engaged).to.equal(true);
    }
    expect(await fleet.read(`${path}/acts`, tokenOf('ada'))).to.have.length(1);
    expect((await fleet.read(query, tokenOf('ada'))).count).to.equal(0);
    expect((await give({ confirm: 0 })).status).to.equal(409);
  });

  it('silences on all machines with a label, counted and followed, and ends these again', async () => {
    const { one, two, far } = await machines();
    for (const { name, recorder } of [one, two, far]) await fleet.holds(name, await reported(recorder));
    const path = '/api/v1/silences/by-label';
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const body = { labels: { site: 'berlin' }, source: ['gamma'], until, reason: 'a rehearsal', expires_in: 60 };
    const give = (at: string, given: object, token = tokenOf('ada')) => fleet.post(at, given, { token });
    const preview = await fleet.read(`${path}?site=berlin`, tokenOf('ada'));
    expect(preview.machines.map(({ machine }: { machine: string }) => machine)).to.deep.equal(['oven-1', 'oven-2']);
    const dry = await give(path, { ...body, dry_run: true });
    expect(dry.json).to.deep.equal({ ...preview, labels: body.labels });
    expect((await give(path, body)).json).to.include({ code: 'confirmation_required', count: 2 });
    expect((await give(path, { ...body, confirm: 2, machines_digest: '0' })).status).to.equal(409);
    expect((await give(path, { ...body, confirm: 2 }, tokenOf('grace'))).status).to.equal(403);
    expect((await give(path, { ...body, labels: undefined, confirm: 2 })).status).to.equal(400);
    const given = { ...body, confirm: 2, machines_digest: preview.machines_digest, idempotency_key: 'hush' };
    const begun = await give(path, given);
    expect(begun.status, begun.text).to.equal(202);
    const again = await give(path, given);
    expect([again.json.act, again.headers['idempotent-replayed']]).to.deep.equal([begun.json.act, 'true']);
    expect((await give(path, { ...given, source: ['delta'] })).status).to.equal(422);
    const settled = (act: string) =>
      fleet.until(
        () => fleet.read(`${path}/${act}`, tokenOf('ada')),
        ({ pending }) => pending === 0,
      );
    const act = await settled(begun.json.act);
    expect(act).to.include({
      kind: 'add',
      count: 2,
      done: 2,
      refused: 0,
      expired: 0,
      by: 'ada',
      reason: 'a rehearsal',
    });
    const running = async ({ recorder }: { recorder: LocalService }) =>
      (await recorder.get('/api/v1/silences')).json.filter(({ state }: { state: string }) => state === 'active');
    for (const [index, machine] of [one, two].entries()) {
      const [silence] = await running(machine);
      expect(silence).to.deep.include({ source: ['gamma'], until, reason: 'a rehearsal', by: 'fleet:ada' });
      expect(act.machines[index].silences).to.deep.equal([silence.id]);
    }
    expect(await running(far)).to.deep.equal([]);

    // Another silence stays: only those of the act are ended, or those with the same terms.
    await one.recorder.post('/api/v1/silences', { source: ['other'], until, reason: 'local' });
    const end = `${path}/end`;
    const seen = await fleet.until(
      () => fleet.read(`${end}?site=berlin`, tokenOf('ada')),
      ({ machines: all }) => all.flatMap(({ silences }: { silences: string[] }) => silences).length === 3,
    );
    expect(seen.count).to.equal(2);
    const meant = await fleet.read(`${end}?site=berlin&act=${begun.json.act}`, tokenOf('ada'));
    expect(meant.machines.map(({ silences }: { silences: string[] }) => silences.length)).to.deep.equal([1, 1]);
    const first = { machines: ['oven-1'], source: ['gamma'], confirm: 1, expires_in: 60 };
    const ended = await settled((await give(end, first)).json.act);
    expect(ended).to.include({ kind: 'end', count: 1, done: 1 });
    // The machine has answered; that the silence is over comes with its log.
    await fleet.until(
      () => fleet.read(`${end}?site=berlin&act=${begun.json.act}`, tokenOf('ada')),
      ({ count }) => count === 1,
    );
    const rest = await give(end, { act: begun.json.act, reason: 'over', confirm: 1 });
    expect((await give(end, { act: 'ACT-none', confirm: 1 })).json).to.include({ count: 0 });
    expect(rest.status, rest.text).to.equal(202);
    expect((await settled(rest.json.act)).done).to.equal(1);
    expect((await running(one)).map(({ source }: { source: string[] }) => source)).to.deep.equal([['other']]);
    expect(await running(two)).to.deep.equal([]);
    expect(await fleet.read(`${path}/acts`, tokenOf('ada'))).to.have.length(3);
    expect((await fleet.send('GET', `${path}/${rest.json.act}?site=paris`)).status).to.equal(404);
  });

  it('takes note of a campaign, and says in the stream when one is raised and grows', async () => {
    const { one, two, far } = await machines();
    const worm = { evidence: { ip: '10.0.0.1' } };
    const seen: { event: string; data: { campaign: string; machines: number } }[] = [];
    const ends = new AbortController();
    const response = await fetch(`http://127.0.0.1:${fleet.port}/api/v1/events`, {
      headers: { Authorization: `Bearer ${tokenOf('ada')}` },
      signal: ends.signal,
    });
    const reading = (async () => {
      let rest = '';
      for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines)
          if (line.startsWith('data:') && line.includes('"campaign.')) seen.push(JSON.parse(line.slice(5)));
      }
    })().catch(() => {});
    await fleet.holds('oven-1', await reported(one.recorder, worm));
    await fleet.holds('oven-2', await reported(two.recorder, worm));
    await fleet.until(
      async () => (await fleet.fleet.look(), seen),
      ({ length }) => length > 0,
    );
    expect(seen[0]).to.deep.include({ event: 'campaign.raised' });
    expect(seen[0]!.data).to.include({ machines: 2, incidents: 2, class: 'tool_call_burst' });
    const { campaign } = seen[0]!.data;
    const path = '/api/v1/campaigns/acknowledge';
    const acknowledge = (body: object, token = tokenOf('ada')) => fleet.post(path, body, { token });
    expect((await acknowledge({ campaign }, tokenOf('grace'))).status).to.equal(403);
    expect((await acknowledge({ campaign: 'CAM-0' })).status).to.equal(404);
    const done = await acknowledge({ campaign, note: 'the worm of Monday' });
    expect(done.status, done.text).to.equal(200);
    expect(done.json).to.include({ acknowledged_by: 'ada', acknowledged_incidents: 2, note: 'the worm of Monday' });
    expect((await fleet.read('/api/v1/campaigns'))[0]).to.include({ campaign, acknowledged_by: 'ada' });
    // It grows: the acknowledgement stays, and says of how many it was.
    await fleet.holds('oven-3', await reported(far.recorder, worm));
    await fleet.holds('oven-2', await reported(two.recorder, { ...worm, source: 'other' }));
    await fleet.until(
      async () => (await fleet.fleet.look(), seen),
      (all) => all.some(({ event }) => event === 'campaign.grown'),
    );
    const grown = await fleet.read(`/api/v1/campaigns/${campaign}`);
    expect(grown.acknowledged_incidents).to.equal(2);
    expect(grown.incidents).to.be.at.least(3);
    ends.abort();
    await reading;
  });
});
