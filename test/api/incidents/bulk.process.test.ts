import { expect } from 'chai';
import { type RunningService, runningServices, ServiceHome } from '../../support/running-service.ts';
import type { Answer } from '../../support/service-client.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

const BULK = '/api/v1/incidents/bulk';
const BURST = 300;
const FILTER = { class: ['tool_call_burst'], source: ['tool-firewall'] };

interface Result {
  readonly id: string;
  readonly status: number;
  readonly change: string;
}

describe('a burst of 300 at three in the morning', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  const report = async (service: RunningService, source: string): Promise<string> => {
    const body = { class: 'tool_call_burst', source, description: 'too many calls' };
    return (await service.post('/api/v1/incidents/report', body)).json.id as string;
  };

  it('is one row, and is acknowledged as one, also over a crash in the middle', async () => {
    const home = new ServiceHome(directory());
    let service = await start(home);
    const ids: string[] = [];
    while (ids.length < BURST)
      ids.push(...(await Promise.all(Array.from({ length: 10 }, () => report(service, 'tool-firewall')))));
    const other = await report(service, 'canary-tripwire');
    const rows = (await service.get('/api/v1/incidents/groups')).json;
    expect(rows.map(({ source, count }: { source: string; count: number }) => [source, count])).to.have.deep.members([
      ['tool-firewall', BURST],
      ['canary-tripwire', 1],
    ]);

    const body = { command: 'acknowledge', filter: FILTER, by: 'ada', note: 'one loop', limit: 50 };
    const previewed = (await service.post(BULK, { ...body, preview: true })).json;
    expect(previewed).to.deep.include({ matched: BURST, allowed: BURST });
    const worked: Result[] = [];
    let cursor: string = previewed.snapshot;
    const work = async (): Promise<Answer> => {
      const answer = await service.post(BULK, { ...body, cursor });
      if (answer.status === 200) worked.push(...(answer.json.results as Result[]));
      return answer;
    };
    for (let part = 0; part < 2; part++) ({ cursor } = (await work()).json);

    // In the middle of the third part.
    const third = work().catch(() => undefined);
    for (let count = 0; count <= 105;) {
      const { headers } = await service.get('/api/v1/incidents/groups?limit=1&state=acknowledged');
      count = Number(headers['x-total-count']);
    }
    await service.end('SIGKILL');
    await third;

    service = await start(home);
    let parts = 0;
    for (let done = false; !done; parts++) {
      const { status, json } = await work();
      expect(status).to.equal(200);
      ({ done, cursor } = json);
    }
    expect(parts).to.equal(4);
    expect(new Set(worked.map(({ id }) => id))).to.deep.equal(new Set(ids));
    expect(new Set(worked.map(({ status }) => status))).to.deep.equal(new Set([200]));
    // What was done before the crash is unchanged after it.
    expect(worked.filter(({ change }) => change === 'unchanged')).to.not.deep.equal([]);
    const states = (await service.get('/api/v1/stats/groups')).json;
    expect(states.find(({ source }: { source: string }) => source === 'tool-firewall').states).to.deep.equal({
      acknowledged: BURST,
    });
    for (const id of ids.slice(0, 20)) {
      const history = (await service.get(`/api/v1/incidents/history?id=${id}`)).json as readonly { event: string }[];
      expect(history.filter(({ event }) => event === 'incident.acknowledged')).to.have.length(1);
    }
    expect((await service.get(`/api/v1/incidents/get?id=${other}`)).json.state).to.not.equal('acknowledged');
    await home.expectSound();
  });
});
