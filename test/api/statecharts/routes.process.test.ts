import { join } from 'node:path';
import { expect } from 'chai';
import { STATES } from '../../../machines/vocabulary.ts';
import { chartOf } from '../../../src/statecharts/chart.ts';
import { dotOf } from '../../../src/statecharts/dot.ts';
import { drawings } from '../../../src/statecharts/drawings.ts';
import { MACHINES } from '../../../src/statecharts/machines.ts';
import { chartSvg } from '../../../src/statecharts/svg.ts';
import { type RunningService, ROOT, runningServices, ServiceHome } from '../../support/running-service.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

describe('the statecharts of the bundled service', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  let service: RunningService;

  beforeEach(async () => {
    service = await start(new ServiceHome(directory()), { command: ['--jitless', join(ROOT, 'dist/service.cjs')] });
  });

  it('are listed, and given as they are drawn from the machines now', async () => {
    const { json } = await service.get('/api/v1/machines');
    expect(json.map(({ name }: { name: string }) => name)).to.deep.equal(['incident', 'delivery']);
    expect(json[0]).to.deep.include({ states: STATES });
    for (const [name, drawing] of Object.entries(await drawings())) {
      const svg = await service.get(`/api/v1/machines/${name}?format=svg`);
      expect(svg.headers['content-type']).to.equal('image/svg+xml');
      expect(svg.text, 'dist/ is older than the machine: npm run build').to.equal(chartSvg(name, drawing));
      const dot = dotOf(chartOf(MACHINES[name]!));
      expect((await service.get(`/api/v1/machines/${name}?format=dot`)).text).to.equal(dot);
      expect((await service.get(`/api/v1/machines/${name}`)).json).to.have.property('id', name);
    }
    for (const [query, status] of [
      ['machines/incident?format=png', 400],
      ['machines/incident?format=svg&format=svg', 400],
      ['machines/incident?depth=1', 400],
      ['machines?format=svg', 400],
      ['machines/unknown', 404],
    ] as const) {
      expect((await service.get(`/api/v1/${query}`)).status, query).to.equal(status);
    }
  });

  it('show an incident as it is, and as it was at each version', async () => {
    const { id } = (await service.report({ class: 'tool_call_burst', dedup_key: 'k' })).json;
    await service.report({ class: 'tool_call_burst', dedup_key: 'k' });
    await service.post('/api/v1/incidents/acknowledge', { id });
    const marked = async (query = '') => {
      const { text } = await service.get(`/api/v1/incidents/statechart?id=${id}${query}`);
      const states = [...text.matchAll(/<g class="state[^"]* (current|around)" data-state="([^"]*)"/g)];
      const idsOf = (kinds: string): readonly string[] =>
        [
          ...text.matchAll(new RegExp(`<g class="(?:${kinds})[^"]* taken[^"]*" data-transition="([^"]*)"`, 'g')),
        ].flatMap(([, ids]) => ids!.split(' '));
      // A line may be that of several events, and a label that of several states.
      const labelled = idsOf('label|internal');
      const taken = idsOf('edge tail|internal').filter((of) => labelled.includes(of));
      return [...states.map(([, mark, of]) => `${mark} ${of}`), ...taken.map((of) => `taken ${of}`)].toSorted();
    };
    const contained = ['around contained', 'current contained.delivering', 'taken open:always'];
    expect(await marked('&version=1')).to.deep.equal(contained);
    expect(await marked('&version=2')).to.deep.equal([...contained, 'taken contained:recur'].toSorted());
    const now = ['current acknowledged', 'taken contained:acknowledge', 'taken contained:recur', 'taken open:always'];
    expect(await marked()).to.deep.equal(now);
    const { status, json } = await service.get(`/api/v1/incidents/statechart?id=${id}&version=4`);
    expect([status, json.error]).to.deep.equal([404, 'the incident is at version 3']);
    expect((await service.get('/api/v1/incidents/statechart?id=INC-1')).status).to.equal(404);
  });

  it('say what each event would do to an incident, and so does a refusal', async () => {
    const { id } = (await service.report()).json;
    await service.post('/api/v1/incidents/acknowledge', { id });
    const { json } = await service.get(`/api/v1/incidents/transitions?id=${id}`);
    expect(json).to.deep.include({ id, state: 'acknowledged' });
    expect(json.transitions).to.deep.include.members([
      { event: 'acknowledge', allowed: false, target: null, reason: 'guard isSnoozed does not hold' },
      { event: 'contain', allowed: true, target: 'contained' },
      { event: 'resolve', allowed: true, target: 'resolved' },
    ]);
    await service.post('/api/v1/incidents/resolve', { id });
    const { json: final } = await service.get(`/api/v1/incidents/transitions?id=${id}`);
    const refused = await service.post('/api/v1/incidents/contain', { id });
    expect([refused.status, refused.json.transitions]).to.deep.equal([409, final.transitions]);
    expect((await service.get('/api/v1/incidents/transitions?id=INC-1')).status).to.equal(404);
  });
});
