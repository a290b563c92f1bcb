import { expect } from 'chai';
import { request } from 'node:http';
import { once } from 'node:events';
import type { StatelyInspectionEvent } from '@statelyai/inspect';
import { InspectorRelay } from '../../src/inspect/relay.ts';
import { EventReader } from '../support/event-reader.ts';

const event = (name: string) => ({ type: '@xstate.actor', name }) as unknown as StatelyInspectionEvent;

describe('InspectorRelay', () => {
  let relay: InspectorRelay;
  beforeEach(async () => {
    relay = await InspectorRelay.listen(0);
  });
  afterEach(() => relay.close());

  const ask = async (path: string, host?: string): Promise<number> => {
    const { hostname, port } = new URL(relay.url);
    const sent = request({
      host: hostname,
      port,
      path,
      agent: false,
      ...(host !== undefined && { headers: { host } }),
    });
    sent.end();
    const [response] = await once(sent, 'response');
    response.resume();
    return response.statusCode;
  };

  it('gives a page that is opened later what there was, and then what comes', async () => {
    relay.send(event('before'));
    const { hostname, port } = new URL(relay.url);
    const reader = await EventReader.open({ host: hostname, port, path: '/events' });
    await reader.received(1);
    relay.send(event('after'));
    await reader.received(2);
    expect(reader.events.map(({ data }) => JSON.parse(data).name)).to.deep.equal(['before', 'after']);
    reader.leave();
  });

  it('listens on the loopback and answers to no other name', async () => {
    expect(new URL(relay.url).hostname).to.equal('127.0.0.1');
    expect(await ask('/')).to.equal(200);
    expect(await ask('/nothing')).to.equal(404);
    expect(await ask('/events', 'evil.example')).to.equal(403);
  });
});
