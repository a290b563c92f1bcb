import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { RecorderClient } from '../../src/client/index.ts';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('RecorderClient and the posture', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  const clients: RecorderClient[] = [];

  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  const setUp = () => {
    const home = new ServiceHome(directory());
    const url = `unix:${join(home.directory, 'socket')}`;
    const client = new RecorderClient({ url, tokenPath: home.token, timeout: 20_000 });
    clients.push(client);
    return { client, run: () => start(home, { env: { BIND_ADDR: url } }) };
  };

  const report = (client: RecorderClient) =>
    client.report({ class: 'tool_call_burst', source: 'tool-firewall', description: 'a burst' });

  it('returns the posture of an action, and waits until it changes', async () => {
    const { client, run } = setUp();
    await run();
    const before = await client.posture('freeze_agent');
    expect(before?.posture).to.include({ action: 'freeze_agent', engaged: false, holders: 0 });
    const { tag } = before!;
    expect(await client.posture('freeze_agent', { tag })).to.equal(undefined);
    expect(await client.posture('freeze_agent', { tag, wait: 1 })).to.equal(undefined);
    const changed = client.posture('freeze_agent', { tag, wait: 30 });
    const { incident } = await report(client);
    expect((await changed)?.posture).to.deep.include({ engaged: true, holders: 1, held_by: [incident.id] });
  });

  it('confirms what was carried out', async () => {
    const { client, run } = setUp();
    await run();
    const { incident } = await report(client);
    const confirmed = await client.confirm({ action: 'freeze_agent', directive: 'engage', observed: 'engaged' });
    expect(confirmed).to.include({ action: 'freeze_agent', directive: 'engage', confirmed: 1, remaining: 0 });
    const { posture } = (await client.posture('freeze_agent'))!;
    expect(posture.delivery).to.include({ status: 'confirmed', incident: incident.id, directive: 'engage' });
  });

  it('follows an action through the death of the recorder, and ends when aborted', async () => {
    const { client, run } = setUp();
    const service = await run();
    const stop = new AbortController();
    const happenings = new EventEmitter();
    const follow = async (): Promise<void> => {
      const onUnreachable = ({ name }: Error) => happenings.emit(name);
      for await (const { engaged } of client.follow('freeze_agent', { signal: stop.signal, onUnreachable })) {
        happenings.emit(engaged ? 'engaged' : 'released');
      }
    };
    const released = once(happenings, 'released');
    const following = follow();
    await released;
    const engaged = once(happenings, 'engaged');
    const { incident } = await report(client);
    await engaged;
    const away = once(happenings, 'NotReachable');
    await service.end('SIGKILL');
    await away;
    const releasedAgain = once(happenings, 'released');
    await (await run()).post('/api/v1/incidents/resolve', { id: incident.id });
    await releasedAgain;
    stop.abort();
    await following;
  });

  it('does not retry a refusal that can not pass', async () => {
    const { client, run } = setUp();
    await run();
    const error = await client
      .follow('nonsense' as never)
      .next()
      .catch((thrown: unknown) => thrown);
    expect(error).to.include({ name: 'Refused', status: 404 });
  });
});
