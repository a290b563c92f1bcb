import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { expect } from 'chai';
import { proofKeyIdOf, proofKeyOf } from '../../../src/proof.ts';
import { ask, dial, received, serve, stopServing } from '../support/client.ts';
import { standIn, TOKEN } from '../support/dependencies.ts';

const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
const AUTHORIZED = `Authorization: Bearer ${TOKEN}\r\n`;
const SLOW_READ = '/api/v1/incidents/history?id=INC-20261122-000000000001';

/** Blocks the process, as a read does that takes long. */
const block = (ms: number): void => {
  const until = performance.now() + ms;
  while (performance.now() < until);
};

describe('new connections', () => {
  afterEach(stopServing);

  /** A server whose reads of history take so many milliseconds. */
  const slowServer = async (ms: number) => {
    const { incidents } = standIn();
    const history: typeof incidents.history = async (...asked) => {
      block(ms);
      return incidents.history(...asked);
    };
    return serve(standIn({ incidents: { ...incidents, history } }));
  };

  it('that carry the token do not wait behind strangers', async () => {
    const server = await slowServer(50);
    const strangers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = (await dial(server)).resume();
        socket.write(get(SLOW_READ));
        return socket;
      }),
    );
    const socket = await dial(server);
    const began = performance.now();
    socket.write(get('/livez', AUTHORIZED));
    expect(String((await once(socket, 'data'))[0])).to.match(/^HTTP\/1.1 200 /);
    expect(performance.now() - began).to.be.below(500);
    for (const one of [socket, ...strangers]) one.destroy();
  });

  it('that ask for a proof with a key that is known do not wait either, a few in each second', async () => {
    const server = await slowServer(50);
    const strangers = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const socket = (await dial(server)).resume();
        socket.write(get(SLOW_READ));
        return socket;
      }),
    );
    const key = proofKeyIdOf(proofKeyOf(TOKEN));
    const challenge = (id: string): string => `Recorder-Challenge: nonce=${'n'.repeat(43)}; key=${id}\r\n`;
    const times = await Promise.all(
      [key, '0'.repeat(16), ...Array<string>(12).fill(key)].map(async (id) => {
        const socket = await dial(server);
        const began = performance.now();
        socket.write(get('/livez', challenge(id)));
        await once(socket, 'data');
        const took = performance.now() - began;
        socket.destroy();
        return took;
      }),
    );
    expect(times[0]).to.be.below(500);
    expect(times[1]).to.be.above(1000);
    expect(times.filter((took) => took < 500)).to.have.length(10);
    for (const one of strangers) one.destroy();
  });

  it('cost nothing when their clients leave before their turn', async () => {
    const dependencies = standIn();
    const { incidents } = dependencies;
    let read = 0;
    const history: typeof incidents.history = async (...asked) => {
      read++;
      block(50);
      return incidents.history(...asked);
    };
    const server = await serve({ ...dependencies, incidents: { ...incidents, history } });
    const sockets: Socket[] = [];
    for (let count = 0; count < 30; count++) {
      const socket = await dial(server);
      socket.write(get(SLOW_READ));
      sockets.push(socket);
    }
    for (const socket of sockets) socket.resetAndDestroy();
    await after(100);
    expect((await ask(server, '/livez')).status).to.equal(200);
    expect(read).to.be.below(15);
  });

  it('are served whole when the head comes in pieces, or the client closes its side behind it', async () => {
    const server = await serve(standIn());
    const slow = await dial(server);
    for (const piece of ['GET /liv', 'ez HTTP/1.1\r\nHost: local', 'host\r\nConnection: close\r\n', '\r\n']) {
      slow.write(piece);
      await after(10);
    }
    expect(await received(slow)).to.match(/^HTTP\/1.1 200 /);
    const halfClosed = await dial(server);
    halfClosed.end(get('/livez'));
    expect(await received(halfClosed)).to.match(/^HTTP\/1.1 200 /);
  });

  it('are closed when they send nothing', async () => {
    const server = await serve(standIn(), { headersTimeout: 50, sweepInterval: 20 });
    expect(await received(await dial(server))).to.match(/^HTTP\/1.1 408 /);
    const ended = await dial(server);
    ended.end();
    expect(await received(ended)).to.equal('');
  });

  it('are closed at once when the server closes, and answered when they have asked', async () => {
    const server = await slowServer(20);
    const silent = await dial(server);
    const silentEnd = received(silent);
    const answers: Promise<string>[] = [];
    for (let count = 0; count < 5; count++) {
      const socket = await dial(server);
      socket.write(get(SLOW_READ));
      answers.push(received(socket));
    }
    const waiting = await dial(server);
    waiting.write(get(SLOW_READ));
    await once(waiting, 'data');
    await server.close(2000);
    expect(await silentEnd).to.equal('');
    for (const answer of await Promise.all(answers)) expect(answer).to.match(/^HTTP\/1.1 200 /);
  });

  it('are refused with Retry-After when those that wait have sent too much', async () => {
    const server = await slowServer(100);
    const large = `GET /livez HTTP/1.1\r\nHost: localhost\r\n${`X-Filler: ${'x'.repeat(4000)}\r\n`.repeat(15)}`;
    const sockets = await Promise.all(Array.from({ length: 120 }, () => dial(server)));
    const answers = sockets.map(async (socket) => {
      socket.write(get(SLOW_READ).slice(0, -2) + large.slice(large.indexOf('X-Filler')));
      const text = await Promise.race([received(socket), after(2000, '')]);
      socket.destroy();
      return text;
    });
    const refused = (await Promise.all(answers)).filter((text) => text.startsWith('HTTP/1.1 503 '));
    expect(refused.length).to.be.above(0);
    expect(refused[0]).to.match(/\r\nRetry-After: 5\r\n/);
    expect((await ask(server, '/livez')).status).to.equal(200);
  });
});
