import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const PATH = '/api/v1/containment';

describe('who holds an action', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  let service: LocalService;

  beforeEach(async () => {
    const home = new ServiceHome(directory());
    const policy = join(home.directory, 'policy.yaml');
    writeFileSync(policy, 'version: 1\nrules: { unauthorized_access: { recovery: { acknowledge: true } } }\n');
    service = await start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
  });

  const burst = async (fields: object = {}): Promise<string> =>
    (await service.report({ class: 'tool_call_burst', ...fields })).json.id;
  const frozen = async () => (await service.get(`${PATH}/freeze_agent`)).json;
  const release = (id: string, action = 'freeze_agent') =>
    service.post(`${PATH}/release`, { id, action, reason: 'the agent is needed', by: 'ada' });
  const preview = async (query: string) => (await service.get(`${PATH}/preview?${query}`)).json;

  it('is shown by class and source, all of them, with the worst severity and some identifiers', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 25; n++) ids.push(await burst({ source: 'one' }));
    const worse = await burst({ source: 'two', severity: 'critical' });
    const { holder_groups: groups, holders } = await frozen();
    expect(holders).to.equal(26);
    expect(
      groups.map(({ source, count, severity, more }: Record<string, unknown>) => [source, count, severity, more]),
    ).to.deep.equal([
      ['two', 1, 'critical', 0],
      ['one', 25, 'medium', 5],
    ]);
    expect(groups[0].ids).to.deep.equal([worse]);
    expect(groups[1].ids).to.deep.equal(ids.slice(0, 20));
    expect(groups[1].first).to.be.a('string');
    expect((await service.get(PATH)).json.freeze_agent.holder_groups).to.deep.equal(groups);
  });

  it('changes the tag when one becomes more severe, and when an early release is over', async () => {
    const id = await burst({ dedup_key: 'a', severity: 'low' });
    await burst();
    const tag = async () => (await service.get(`${PATH}/freeze_agent`)).headers.etag;
    const before = await tag();
    await burst({ dedup_key: 'a', severity: 'critical' });
    expect((await frozen()).holder_groups[0].severity).to.equal('critical');
    expect(await tag()).not.to.equal(before);
    await release(id);
    const { released_early: early, released_early_count: count, holders } = await frozen();
    expect([early.length, count, holders]).to.deep.equal([1, 1, 1]);
    expect(early[0]).to.include({ incident: id, by: 'ada', role: 'operator', reason: 'the agent is needed' });
    const released = await tag();
    await service.post('/api/v1/incidents/resolve', { id });
    expect(await frozen()).not.to.have.any.keys('released_early', 'released_early_count');
    expect(await tag()).not.to.equal(released);
  });

  it('is said before a resolve: whether it is the last, also for several together', async () => {
    const [one, two, three] = [await burst(), await burst(), await burst()];
    const frozenIn = ({ actions }: { actions: readonly { action: string }[] }) =>
      actions.find(({ action }) => action === 'freeze_agent');
    expect(frozenIn(await preview(`id=${one}&command=resolve`))).to.deep.equal({
      action: 'freeze_agent',
      releases: false,
      holders: 3,
      others: 2,
      last: false,
    });
    const all = await preview(`id=${one}&id=${two}&id=${three}&id=${one}&command=resolve`);
    expect(frozenIn(all)).to.deep.include({ releases: true, holders: 3, others: 0, last: true });
    expect(all.incidents).to.have.length(3);
    expect(all.incidents[0]).to.deep.include({ id: one, state: 'contained', possible: true });
    for (const id of [one, two]) await service.post('/api/v1/incidents/resolve', { id });
    expect(frozenIn(await preview(`id=${three}&command=release&action=freeze_agent`))).to.deep.include({ last: true });
    const over = await preview(`id=${one}&id=INC-20261122-000000000000&command=resolve`);
    expect([over.actions, over.unknown]).to.deep.equal([[], ['INC-20261122-000000000000']]);
    expect(over.incidents[0]).to.deep.include({ state: 'resolved', possible: false, actions: [] });
  });

  it('says that nothing is released as long as the last holder can not be resolved', async () => {
    const id = await burst();
    const unable = (await service.report({ class: 'unauthorized_access' })).json.id;
    for (const ids of [[unable], [id, unable]]) {
      if (ids.length === 1) await service.post('/api/v1/incidents/resolve', { id: await burst() });
      const about = await preview(`${ids.map((one) => `id=${one}`).join('&')}&command=resolve`);
      const relock = about.actions.find(({ action }: { action: string }) => action === 'force_vault_relock');
      expect(relock).to.deep.include({ last: true, releases: false });
    }
    const all = await preview(`id=${id}&id=${unable}&command=resolve`);
    expect(all.actions[0]).to.deep.include({ action: 'freeze_agent', holders: 2, last: true, releases: false });
  });

  it('is said before a bulk resolve, too: of those that it would resolve', async () => {
    const bulk = async (command: string, filter: object) =>
      (await service.post('/api/v1/incidents/bulk', { command, filter, preview: true })).json;
    await burst();
    await burst();
    const filter = { class: 'tool_call_burst' };
    expect((await bulk('resolve', filter)).actions).to.deep.equal([
      { action: 'freeze_agent', releases: true, holders: 2, others: 0, last: true },
    ]);
    expect(await bulk('acknowledge', filter)).not.to.have.property('actions');
    await service.report({ class: 'unauthorized_access' });
    expect((await bulk('resolve', filter)).actions[0]).to.deep.include({ releases: false, others: 1, last: false });
    const both = await bulk('resolve', { state: 'contained' });
    expect(both).to.deep.include({ allowed: 2, refused: { contained: 1 } });
    expect(both.actions).to.deep.equal([
      { action: 'freeze_agent', releases: false, holders: 3, others: 1, last: false },
    ]);
  });

  it('is not said of what nobody has asked for', async () => {
    const id = await burst();
    for (const [query, status] of [
      [`id=${id}`, 400],
      ['command=resolve', 400],
      [`id=${id}&command=contain`, 400],
      [`id=${id}&command=release`, 400],
      [`id=${id}&command=resolve&action=freeze_agent`, 400],
      [`id=${id}&command=release&action=open_doors`, 400],
      ['id=INC-20261122-000000000000&command=resolve', 404],
    ] as const) {
      const answer = await service.get(`${PATH}/preview?${query}`);
      expect(answer.status, query).to.equal(status);
      expect(answer.json.error, query).to.be.a('string');
    }
    expect((await preview(`id=${id}&command=release&action=quarantine_model`)).actions).to.deep.equal([]);
  });
});
