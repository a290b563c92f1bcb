import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createApp } from '../../../src/api/app.ts';
import { ApiServer, LIMITS } from '../../../src/api/server/api-server.ts';
import { systemClock } from '../../../src/clock.ts';
import { RecorderError } from '../../../src/errors.ts';
import { ask, command, dial, exchange, received, serve, stopServing } from '../support/client.ts';
import { incident, standIn, TOKEN } from '../support/dependencies.ts';

const QUICK = { headersTimeout: 60, requestTimeout: 120, sweepInterval: 20 };
const REPORT = '/api/v1/incidents/report';
const HEAD = `POST ${REPORT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n`;
const HEALTH = 'GET /health HTTP/1.1\r\nHost: localhost\r\n';
const GATEWAY = { class: 'tool_call_burst', source: 'gateway', description: 'x' };

/** The status and the error of an answer as it came over the wire. */
const refusal = (text: string): [number, string] => {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  expect(head)
    .to.match(/^Content-Type: application\/json$/im)
    .and.match(/^Connection: close$/im);
  return [Number(head.split(' ')[1]), JSON.parse(body).error];
};

const failure = async (listening: Promise<ApiServer>): Promise<RecorderError> => {
  const outcome = await listening.catch((error: unknown) => error);
  expect(outcome).to.be.instanceOf(RecorderError);
  return outcome as RecorderError;
};

describe('the server of the API', () => {
  afterEach(stopServing);

  it('has the limits that are promised', () => {
    expect(LIMITS).to.include({ headersTimeout: 5000, requestTimeout: 10_000, idleTimeout: 60_000, connections: 256 });
  });

  describe('at the door', () => {
    it('answers what is no HTTP with 400 and nothing of it', async () => {
      const server = await serve(standIn());
      const bodies = [
        'ECHO\r\n\r\n',
        '\x16\x03\x01\x02',
        'GET ECHO HTTP/1.1\r\n\r\n',
        'GET / HTTP/1.1\r\nE CHO: 1\r\n\r\n',
      ];
      const smuggled = `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nECHO\r\n`;
      for (const bytes of [...bodies, smuggled, `${HEAD}Content-Length: -1\r\n\r\n`, 'GET /\0 HTTP/1.1\r\n\r\n']) {
        const text = await exchange(server, bytes);
        expect(refusal(text), bytes).to.deep.equal([400, 'malformed HTTP request']);
        expect(text).not.to.contain('ECHO');
      }
    });

    it('answers headers that are too long with 431', async () => {
      const server = await serve(standIn());
      const long = 'x'.repeat(17_000);
      for (const bytes of [`${HEALTH}X: ${long}\r\n\r\n`, `GET /?${long} HTTP/1.1\r\nHost: localhost\r\n\r\n`]) {
        expect(refusal(await exchange(server, bytes))).to.deep.equal([431, 'headers too long']);
      }
    });

    it('answers clients that are too slow with 408: with their headers, their body, or from the start', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies, QUICK);
      for (const bytes of ['', 'GET /health HT', HEALTH, `${HEAD}Content-Length: 100\r\n\r\n{"class":`]) {
        expect(refusal(await exchange(server, bytes)), bytes).to.deep.equal([408, 'request took too long to arrive']);
      }
      expect(dependencies.reports).to.deep.equal([]);
    });

    it('does not hold against a client that another request has held it up', async () => {
      const { recorder } = standIn();
      const report: typeof recorder.report = (...asked) => {
        inTime.write(`${HEALTH}Connection: close\r\n\r\n`);
        const end = performance.now() + 3 * QUICK.requestTimeout;
        while (performance.now() < end);
        return recorder.report(...asked);
      };
      const server = await serve(standIn({ recorder: { ...recorder, report } }), QUICK);
      const inTime = await dial(server);
      const answer = received(inTime);
      expect((await command(server, REPORT, GATEWAY)).status).to.equal(201);
      expect(await answer).to.match(/^HTTP\/1.1 200 /);
    });

    it('cuts a connection that stays idle', async () => {
      const server = await serve(standIn(), { idleTimeout: 50 });
      expect(await exchange(server, `${HEALTH}\r\n`)).to.match(/^HTTP\/1.1 200 /);
    });

    it('answers an expectation that it does not know with 417', async () => {
      const server = await serve(standIn());
      const { status, body } = await ask(server, '/health', { headers: { Expect: 'a-miracle' } });
      expect([status, body]).to.deep.equal([417, { error: 'expectation not supported' }]);
    });

    it('asks for a body that waits to be asked for', async () => {
      const server = await serve(standIn());
      const socket = await dial(server);
      const body = JSON.stringify(GATEWAY);
      socket.write(`${HEAD}Connection: close\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
      const [asked] = await once(socket, 'data');
      expect(String(asked)).to.match(/^HTTP\/1.1 100 /);
      socket.write(body);
      expect(await received(socket)).to.match(/^HTTP\/1.1 201 /);
    });

    it('serves 256 connections and turns a flood away', async () => {
      const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
      const { promise: allTaken, resolve: nowTaken } = Promise.withResolvers<void>();
      let taken = 0;
      const { recorder } = standIn();
      const dependencies = standIn({
        recorder: {
          ...recorder,
          report: (report) => {
            if (++taken === 256) nowTaken();
            return held.then(() => recorder.report(report));
          },
        },
      });
      const server = await serve(dependencies);
      const body = JSON.stringify(GATEWAY);
      const inside: Socket[] = [];
      for (let count = 0; count < 256; count++) {
        const socket = await dial(server);
        socket.write(`${HEAD}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        inside.push(socket);
      }
      const answers = inside.map((socket) => received(socket));
      await allTaken;
      const outside = await Promise.all(Array.from({ length: 44 }, () => exchange(server, `${HEALTH}\r\n`)));
      expect(outside.filter((text) => text !== '')).to.deep.equal([]);

      letGo();
      for (const text of await Promise.all(answers)) expect(text).to.match(/^HTTP\/1.1 201 /);
      expect((await ask(server, '/health')).status).to.equal(200);

      await stopServing();
      const [turnedAway] = dependencies.lines.filter(({ level }) => level === 'warn');
      expect(turnedAway).to.include({ message: 'connections turned away', dropped: 44, limit: 256 });
    });

    it('lets those that rest give way to those that come, the longest rested first', async () => {
      const server = await serve(standIn(), { connections: 32 });
      const resting: Socket[] = [];
      for (let count = 0; count < 32; count++) resting.push((await dial(server)).resume());
      // The first has asked and got its answer meanwhile: it has rested the shortest.
      const answered = once(resting[0]!, 'data');
      resting[0]!.write(`${HEALTH}\r\n`);
      await answered;
      const closed = Promise.all(resting.slice(1, 5).map((socket) => once(socket, 'close')));

      for (let count = 0; count < 3; count++) resting.push((await dial(server)).resume());
      expect((await ask(server, '/health')).status).to.equal(200);
      await closed;

      expect([resting[0]!, ...resting.slice(5)].some((socket) => socket.closed)).to.equal(false);
      for (const socket of resting) socket.destroy();
    });

    it('cuts a connection that asks and asks without waiting for answers', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies);
      const asked = `${HEALTH}\r\n`.repeat(15) + `${HEALTH}Connection: close\r\n\r\n`;
      expect((await exchange(server, asked)).match(/HTTP\/1.1 200 /g)).to.have.length(16);
      expect(await exchange(server, `${HEALTH}\r\n`.repeat(500))).to.equal('');
      expect((await ask(server, '/health')).status).to.equal(200);
      await stopServing();
      // One request of a stranger is handled at a time: the connection that is cut had one.
      expect(dependencies.lines.filter(({ message }) => message === 'request')).to.have.length(16 + 1 + 1);
    });
  });

  describe('on a unix socket', () => {
    let directory: string;
    let path: string;
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'recorder-'));
      path = join(directory, 'api.sock');
    });
    afterEach(async () => {
      await stopServing();
      rmSync(directory, { recursive: true });
    });

    const serveThere = (): Promise<ApiServer> => serve(standIn({ overUnixSocket: true }), {}, { kind: 'unix', path });

    it('serves who may write to its file, which goes when it closes', async () => {
      const server = await serveThere();
      expect(server.address).to.deep.equal({ kind: 'unix', path });
      expect(statSync(path).mode & 0o777).to.equal(0o660);
      expect((await ask(server, '/health', { headers: { Host: 'unix' } })).status).to.equal(200);
      await stopServing();
      expect(existsSync(path)).to.equal(false);
    });

    it('replaces a file that nobody listens on any more', async () => {
      const killed = createNetServer().listen(path);
      await once(killed, 'listening');
      // A process that is killed leaves its file behind, which closing does not: it is put aside meanwhile.
      const aside = `${path}.aside`;
      renameSync(path, aside);
      killed.close();
      await once(killed, 'close');
      renameSync(aside, path);
      expect((await ask(await serveThere(), '/health')).status).to.equal(200);
    });

    it('leaves a socket in use, and a file that is none, alone', async () => {
      const server = await serveThere();
      expect((await failure(serveThere())).message).to.match(/^can't listen on .*api\.sock: .*; set BIND_ADDR/);
      expect((await ask(server, '/health')).status).to.equal(200);
      await stopServing();

      writeFileSync(path, 'somebody else wrote this');
      chmodSync(path, 0o600);
      expect((await failure(serveThere())).code).to.equal('config');
      expect(statSync(path)).to.include({ size: 24, mode: 0o100600 });
    });
  });

  it('listens at several addresses with one limit, or at none of them', async () => {
    const dependencies = { ...standIn(), clock: systemClock };
    const application = createApp(dependencies).callback();
    const free = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
    const both = await ApiServer.listen(application, [free, free], dependencies, { ...LIMITS, connections: 2 });
    try {
      const [first, second] = both.addresses.map((one) => (one.kind === 'tcp' ? one.port : 0)) as [number, number];
      expect(first).to.not.equal(second);
      const sockets: Socket[] = [];
      for (const port of [first, second, second]) {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        sockets.push(socket);
        await once(socket, 'connect');
      }
      // The third takes the place of the first, which is at the other address.
      await once(sockets[0]!.resume(), 'close');
      for (const socket of sockets) socket.destroy();
      const taken = { ...free, port: second };
      const bound = createNetServer().listen(0, '127.0.0.1');
      await once(bound, 'listening');
      const { port } = bound.address() as AddressInfo;
      bound.close();
      await once(bound, 'close');
      await failure(ApiServer.listen(application, [{ ...free, port }, taken], dependencies));
      const again = await ApiServer.listen(application, [{ ...free, port }], dependencies);
      await again.close(0);
    } finally {
      await both.close(0);
    }
  });

  it('says so when the port is taken', async () => {
    const dependencies = standIn();
    const { address } = await serve(dependencies);
    expect((await failure(serve(dependencies, {}, address))).message).to.match(
      /^can't listen on 127\.0\.0\.1 port \d+: .*EADDRINUSE/,
    );
  });

  describe('closing', () => {
    /** A server with one report in flight, which is recorded when `record` is called. */
    const withReportInFlight = async () => {
      const { promise: recorded, resolve: record } = Promise.withResolvers<void>();
      const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
      const dependencies = standIn();
      const report = async () => {
        arrive();
        await recorded;
        return { incident: incident('INC-20261122-000000000002'), change: 'created' as const };
      };
      const server = await serve({ ...dependencies, recorder: { ...dependencies.recorder, report } });
      return { server, record, arrived };
    };

    it('cuts idle connections at once and takes no new ones', async () => {
      const server = await serve(standIn());
      const { address } = server;
      const idle = await dial(server);
      idle.write(`${HEALTH}\r\n`);
      await once(idle, 'data');
      const gone = received(idle);
      await server.close(60_000);
      await gone;
      const late = await dial({ address } as ApiServer).catch((error: NodeJS.ErrnoException) => error.code);
      expect(late).to.equal('ECONNREFUSED');
    });

    it('lets a request in flight be answered, and ends its connection with that', async () => {
      const { server, record, arrived } = await withReportInFlight();
      const body = JSON.stringify(GATEWAY);
      const socket = await dial(server);
      socket.write(`${HEAD}Content-Length: ${body.length}\r\n\r\n${body}`);
      await arrived;
      const text = received(socket);
      const closed = server.close(60_000);
      record();
      expect(await text).to.match(/^HTTP\/1.1 201 /);
      await closed;
    });

    it('cuts at the deadline what is left, and may be asked twice', async () => {
      const { server, record, arrived } = await withReportInFlight();
      const body = JSON.stringify(GATEWAY);
      const socket = await dial(server);
      socket.write(`${HEAD}Content-Length: ${body.length}\r\n\r\n${body}`);
      await arrived;
      const text = received(socket);
      await Promise.all([server.close(20), server.close(20)]);
      expect(await text).to.equal('');
      record();
    });
  });

  it('answers one request after the other on the same connection', async () => {
    const server = await serve(standIn());
    const { address } = server;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    for (let count = 0; count < 3; count++) {
      const outgoing = request({
        host: '127.0.0.1',
        port: address.kind === 'tcp' ? address.port : 0,
        path: '/health',
        agent,
      });
      outgoing.end();
      const [incoming] = await once(outgoing, 'response');
      ports.add(outgoing.socket?.localPort);
      expect(incoming.headers).to.include({ connection: 'keep-alive', 'keep-alive': 'timeout=60' });
      await once(incoming.resume(), 'end');
    }
    agent.destroy();
    expect(ports.size).to.equal(1);
  });
});
