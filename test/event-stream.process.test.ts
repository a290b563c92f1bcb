import { join } from 'node:path';
import { expect } from 'chai';
import { EventReader } from './support/event-reader.ts';
import { type RunningService, ROOT, runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('the event stream of the service', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  /** As on a host without writable and executable memory. */
  const command = ['--jitless', join(ROOT, 'dist/service.cjs')];

  const open = (service: RunningService, query: string, lastEventId = ''): Promise<EventReader> =>
    EventReader.open({
      host: '127.0.0.1',
      port: service.port,
      path: `/api/v1/events${query}`,
      headers: { 'Last-Event-ID': lastEventId },
    });

  it('resumes after the service was killed, with nothing left out and nothing twice', async () => {
    const home = new ServiceHome(directory());
    const first = await start(home, { command });
    const reader = await open(first, '?after=0');
    const reports = Array.from({ length: 50 }, () => first.report().catch(() => undefined));
    await reader.received(60);
    await first.end('SIGKILL');
    await Promise.all(reports);
    await reader.end();

    const second = await start(home, { command });
    const again = await open(second, '', reader.lastEventId);
    const { id } = (await second.report({ description: 'the last' })).json;
    const ofLast = ({ data }: { data: string }): boolean => JSON.parse(data).data.incident === id;
    await again.until(() => again.events.filter(ofLast).length === 2);
    again.leave();

    const ids = [...reader.events, ...again.events].map((event) => Number(event.id.split(':')[1]));
    expect(ids).to.deep.equal(ids.map((_, index) => index + 1));
    const history = await second.get(`/api/v1/incidents/history?id=${id}`);
    expect(again.events.filter(ofLast).map(({ data }) => data)).to.deep.equal(
      history.json.map((entry: unknown) => JSON.stringify(entry)),
    );
  });

  it('shows by class what is recorded, and ends at once when the service is stopped', async () => {
    const service = await start(new ServiceHome(directory()), { command });
    const reader = await open(service, '?class=tool_call_burst&severity=low');
    await service.report();
    await service.report({ class: 'tool_call_burst' });
    const { id, version } = (await service.report({ class: 'tool_call_burst', severity: 'low' })).json;
    await service.post('/api/v1/incidents/resolve', { id });
    await reader.until(() => reader.events.some(({ event }) => event === 'incident.resolved'));
    expect(reader.events.length).to.equal(version + 1);
    expect(new Set(reader.events.map(({ data }) => JSON.parse(data).data.incident))).to.deep.equal(new Set([id]));
    const stopped = service.end('SIGTERM');
    await reader.end();
    expect(await stopped).to.equal(0);
  });
});
