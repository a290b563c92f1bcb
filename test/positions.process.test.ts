import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { RecorderClient } from '../src/client/index.ts';
import { EventReader } from './support/event-reader.ts';
import { type RunningService, runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

const QUIET = { class: 'forbidden_airlock_request', source: 'airlock', description: 'no freeze' };
const FREEZE = { class: 'tool_call_burst', source: 'tool-firewall', description: 'freeze' };

/** How a log takes the place of another. Each gives the home of the service that is started next. */
const SWAPS = {
  'another log, begun where there was one': (home: ServiceHome): ServiceHome => {
    const away = join(home.directory, 'away');
    mkdirSync(away);
    for (const name of readdirSync(home.directory)) {
      if (name.startsWith('audit.')) renameSync(join(home.directory, name), join(away, name));
    }
    return home;
  },
  'an old copy that was put back': (home: ServiceHome, copy: ServiceHome): ServiceHome => {
    rmSync(home.directory, { recursive: true });
    return copy.copyTo(home.directory);
  },
} as const;

describe('positions of readers', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  /** A service with a few entries, and a copy of its files from when there were two less. */
  const begin = async () => {
    const home = new ServiceHome(directory());
    const url = `unix:${join(home.directory, 'socket')}`;
    const run = (): Promise<RunningService> => start(home, { env: { BIND_ADDR: url } });
    const service = await run();
    for (let n = 0; n < 3; n++) await service.report(QUIET);
    return { home, run, service, url };
  };

  const open = (home: ServiceHome, query: string, lastEventId = ''): Promise<EventReader> =>
    EventReader.open({
      socketPath: join(home.directory, 'socket'),
      path: `/api/v1/events${query}`,
      headers: { 'Last-Event-ID': lastEventId, Host: 'localhost' },
    });

  it('stay what they are through a restart of the service', async () => {
    const { home, run, service } = await begin();
    const reader = await open(home, '?after=0');
    await reader.received(4);
    const tag = (await service.get('/api/v1/containment')).headers.etag!;
    const { link } = (await service.get('/api/v1/incidents?limit=1')).headers;
    await service.end('SIGKILL');
    const again = await run();
    const resumed = await open(home, '', reader.lastEventId);
    expect(resumed.status).to.equal(200);
    resumed.leave();
    const known = await again.send('GET', '/api/v1/containment', { headers: { 'If-None-Match': tag } });
    expect(known.status).to.equal(304);
    expect((await again.get(/<([^>]*)>/.exec(String(link))![1]!)).status).to.equal(200);
  });

  it('carry the identity of the log; bare numbers are taken as before', async () => {
    const { home, service } = await begin();
    const { log_id } = (await service.get('/health')).json.audit;
    const reader = await open(home, '?after=0');
    const events = await reader.received(4);
    reader.leave();
    for (const [index, { id, data }] of events.entries()) {
      expect(id).to.match(/^[0-9a-f]+:\d+$/);
      expect(id).to.equal(`${log_id.slice(0, 12)}${JSON.parse(data).entry_hash.slice(0, 8)}:${index + 1}`);
    }
    for (const after of ['1', `${log_id}:1`, `${log_id.slice(0, 12)}:1`, events[0]!.id]) {
      for (const [query, header] of [[`?after=${after}`], ['', after]] as const) {
        const resumed = await open(home, query, header);
        expect((await resumed.received(3))[0]!.id, after).to.equal(events[1]!.id);
        resumed.leave();
      }
    }
    expect((await service.get('/api/v1/events?after=99')).status).to.equal(400);
    const beyond = await service.get(`/api/v1/events?after=${log_id}:99`);
    expect([beyond.status, beyond.json.first_seq]).to.deep.equal([410, 1]);
    const incident = (await service.report(QUIET)).json;
    expect((await service.get(`/api/v1/incidents/get?id=${incident.id}`)).headers.etag).to.equal('"1"');
  });

  for (const [name, swap] of Object.entries(SWAPS)) {
    it(`are refused in ${name}, also when that has grown past them`, async () => {
      const { home, run, service } = await begin();
      const copy = home.copyTo(directory());
      await service.report(FREEZE);
      const reader = await open(home, '?after=0');
      await reader.until(() => reader.events.length >= 5);
      const { link } = (await service.get('/api/v1/incidents?limit=1')).headers;
      await service.end('SIGKILL');
      swap(home, copy);
      const other = await run();
      expect((await open(home, '', reader.lastEventId)).status).to.equal(410);
      for (let n = 0; n < 8; n++) await other.report(QUIET);
      const refused = await open(home, '', reader.lastEventId);
      await refused.until(() => refused.ended).catch(() => {});
      const { error, first_seq, log_id } = JSON.parse(refused.text);
      expect([refused.status, first_seq]).to.deep.equal([410, 1], error);
      expect(log_id).to.equal((await other.get('/health')).json.audit.log_id);
      expect(error).to.include('begin again after 0');
      expect((await other.get(`/api/v1/events?after=${reader.lastEventId}`)).status).to.equal(410);
      expect((await other.get(/<([^>]*)>/.exec(String(link))![1]!)).status).to.equal(410);
    });

    it(`never make a freeze look like its opposite in ${name}`, async () => {
      const { home, run, service, url } = await begin();
      const copy = home.copyTo(directory());
      const client = new RecorderClient({ url, tokenPath: home.token });
      const stop = new AbortController();
      const postures: boolean[] = [];
      const following = (async () => {
        for await (const { engaged } of client.follow('freeze_agent', { signal: stop.signal })) postures.push(engaged);
      })();
      const { id } = (await service.report(FREEZE)).json;
      const { seq } = (await service.get(`/api/v1/incidents/history?id=${id}`)).json[0].data;
      await service.post('/api/v1/incidents/resolve', { id });
      // The reader knows the release before the log is another: on a busy machine it may be late.
      while (postures.at(-1) !== false) await new Promise((r) => setTimeout(r, 50));
      const tag = (await service.get('/api/v1/containment/freeze_agent')).headers.etag!;
      const { last_seq } = (await service.get('/health')).json.audit;
      await service.end('SIGKILL');
      swap(home, copy);
      const other = await run();
      // The entry of the same number engages what was released before.
      const isNext = async (): Promise<boolean> => (await other.get('/health')).json.audit.last_seq + 1 >= last_seq;
      while (!(await isNext())) await other.report(QUIET);
      await other.report(FREEZE);
      const now = await other.send('GET', '/api/v1/containment/freeze_agent', { headers: { 'If-None-Match': tag } });
      expect([now.status, now.json?.engaged]).to.deep.equal([200, true], `entries ${seq} to ${last_seq}`);
      while (postures.at(-1) !== true) await new Promise((r) => setTimeout(r, 50));
      stop.abort();
      await following;
      client.close();
    });
  }
});
