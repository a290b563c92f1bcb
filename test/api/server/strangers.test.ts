import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { ask, dial, received, serve, stopServing } from '../support/client.ts';
import { standIn, TOKEN } from '../support/dependencies.ts';

const LARGE = Buffer.from(JSON.stringify('x'.repeat(4 * 1024 * 1024)));
const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const AUTHORIZED = `Authorization: Bearer ${TOKEN}\r\n`;

describe('a server among strangers', () => {
  afterEach(stopServing);

  it('handles one request of a stranger at a time, and all that a trusted connection sends', async () => {
    let inside = 0;
    let most = 0;
    const { incidents } = standIn();
    const server = await serve(
      standIn({
        incidents: {
          ...incidents,
          history: async (...asked) => {
            most = Math.max(most, ++inside);
            await new Promise((resolve) => setTimeout(resolve, 10));
            inside--;
            return incidents.history(...asked);
          },
        },
      }),
    );
    const path = '/api/v1/incidents/history?id=INC-20261122-000000000001';
    const exchange = async (headers: string): Promise<string> => {
      const socket = await dial(server);
      socket.write(get(path, headers) + get(path, headers) + get(path, `${headers}Connection: close\r\n`));
      return received(socket);
    };
    expect((await exchange('')).match(/HTTP\/1.1 200/g)).to.have.length(3);
    expect(most).to.equal(1);
    expect((await exchange(AUTHORIZED)).match(/HTTP\/1.1 200/g)).to.have.length(3);
    expect(most).to.equal(2);
  });

  it('parses no more of a connection that has asked too much, and stays whole', async () => {
    let refused = 0;
    const dependencies = standIn();
    const server = await serve(dependencies);
    for (let count = 0; count < 20; count++) {
      const socket = await dial(server);
      socket.write(get('/livez').repeat(1400));
      refused += (await received(socket)).includes(' 200 ') ? 0 : 1;
    }
    expect(refused).to.equal(20);
    expect((await ask(server, '/livez')).status).to.equal(200);
  });

  it('keeps the places of trusted connections, and gives strangers those of others', async () => {
    const server = await serve(standIn(), { connections: 16 });
    const trusted: Socket[] = [];
    for (let count = 0; count < 4; count++) {
      const socket = await dial(server);
      socket.write(get('/livez', AUTHORIZED));
      await once(socket, 'data');
      trusted.push(socket);
    }
    const strangers: Socket[] = [];
    for (let count = 0; count < 40; count++) {
      const socket = (await dial(server)).resume();
      socket.write(get('/livez'));
      strangers.push(socket);
    }
    expect((await ask(server, '/livez')).status).to.equal(200);
    for (const socket of trusted) {
      socket.write(get('/livez', AUTHORIZED));
      expect(String((await once(socket, 'data'))[0])).to.match(/^HTTP\/1.1 200 /);
    }
    for (const socket of [...trusted, ...strangers]) socket.destroy();
  });

  it('cuts those that do not read, when all that they leave unread takes too much', async () => {
    const { incidents } = standIn();
    const server = await serve(standIn({ incidents: { ...incidents, list: () => ({ documents: [LARGE] }) } }));
    const lazy: Socket[] = [];
    for (let count = 0; count < 12; count++) {
      const socket = (await dial(server)).pause();
      socket.write(get('/api/v1/incidents'));
      lazy.push(socket);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    try {
      // A reader that reads is served in the meantime: before the others are cut because their time is over.
      const began = performance.now();
      expect((await ask(server, '/api/v1/incidents')).text).to.have.length(LARGE.length + 2);
      expect(performance.now() - began).to.be.below(15_000);
    } finally {
      for (const socket of lazy) socket.destroy();
    }
  });
});
