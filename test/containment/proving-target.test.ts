/** Targets that must prove that they know their token, by the description in `src/client/README.md`. */
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { relayed } from '../client/support/squatter.ts';
import { send } from '../../src/containment/http-target.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { until } from '../faults/support/until.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const TOKEN = 'the-token-of-the-target';

const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest();

interface Seen {
  readonly path: string;
  readonly token: string | undefined;
  readonly body: string;
}

/** What a request holds. */
async function seen(request: IncomingMessage): Promise<Seen> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  return { path: request.url ?? '', token: request.headers.authorization, body };
}

/** A target that knows a token, and proves that to who asks. */
function proving(received: Seen[], token = TOKEN): RequestListener {
  const key = sha256(token);
  return (request, response) =>
    void seen(request).then((one) => {
      received.push(one);
      const text = request.method === 'POST' ? '{"success":true}' : '{"error":"no such path"}';
      const status = request.method === 'POST' ? 200 : 404;
      const [, nonce, id] = /^nonce=([\w-]+); key=(\w+)$/.exec(String(request.headers['recorder-challenge'])) ?? [];
      if (nonce !== undefined && id === sha256(key).toString('hex').slice(0, 16)) {
        const { localAddress, localPort, remoteAddress, remotePort } = request.socket;
        const ends = [`${localAddress}:${localPort}`, `${remoteAddress}:${remotePort}`];
        const lines = [
          'recorder-proof-1',
          nonce,
          request.method,
          request.url,
          ...ends,
          status,
          sha256(text).toString('hex'),
        ];
        response.setHeader('Recorder-Proof', createHmac('sha256', key).update(lines.join('\n')).digest('hex'));
      }
      response.writeHead(status, { 'content-length': text.length }).end(text);
    });
}

/** Answers everything as if it were the target. */
const squatting =
  (received: Seen[]): RequestListener =>
  (request, response) =>
    void seen(request).then((one) => {
      received.push(one);
      response.writeHead(200, { 'content-length': 2, 'recorder-proof': 'a'.repeat(64) }).end('{}');
    });

describe('a target that has to prove itself', () => {
  const directory = temporaryDirectories();
  const start = localServices();
  const servers: Server[] = [];
  let home: ServiceHome;
  let tokenPath: string;

  beforeEach(() => {
    home = new ServiceHome(directory());
    tokenPath = join(home.directory, 'target-token');
    writeFileSync(tokenPath, `${TOKEN}\n`, { mode: 0o600 });
  });
  afterEach(() => servers.splice(0).forEach(end));

  const listen = async (listener: RequestListener, where: number | string = 0): Promise<Server> => {
    const server = createServer(listener);
    if (typeof where === 'string') server.listen(where);
    else server.listen(where, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return server;
  };
  const portOf = (server: Server): number => (server.address() as AddressInfo).port;

  function end(server: Server): void {
    server.close();
    server.closeAllConnections();
  }

  const sent = (url: string, { timeout = 20_000, signal = new AbortController().signal } = {}) =>
    send({
      endpoint: { url: parseTargetUrl(url)! },
      tokenPath,
      prove: true,
      headers: { 'idempotency-key': 'a key' },
      body: { action: 'freeze' },
      timeout,
      signal,
    });

  it('gets the token and the directive on the connection on which it has proved itself', async () => {
    const received: Seen[] = [];
    const server = await listen(proving(received));
    let connections = 0;
    server.on('connection', () => (connections += 1));
    expect(await sent(`http://127.0.0.1:${portOf(server)}/freeze`)).to.have.property('kind', 'done');
    expect(received).to.deep.equal([
      { path: '/livez', token: undefined, body: '' },
      { path: '/freeze', token: `Bearer ${TOKEN}`, body: '{"action":"freeze"}' },
    ]);
    expect(connections).to.equal(1);
  });

  for (const [what, listener, fault] of [
    ['makes a proof up', squatting, 'the Recorder-Proof in its answer is wrong'],
    ['has another token', (to: Seen[]) => proving(to, 'another-token-0123456789'), 'no Recorder-Proof in its answer'],
  ] as const) {
    it(`gets nothing when it ${what}, and the delivery says that it is an impostor`, async () => {
      const received: Seen[] = [];
      const server = await listen(listener(received));
      expect(await sent(`http://127.0.0.1:${portOf(server)}/freeze`)).to.deep.equal({
        kind: 'missed',
        error: `impostor: what answers there has not proved that it knows the token (${fault})`,
      });
      expect(received).to.deep.equal([{ path: '/livez', token: undefined, body: '' }]);
    });
  }

  it('gets nothing through a relay', async () => {
    const received: Seen[] = [];
    const server = await listen(proving(received));
    const relay = await listen((request, response) => {
      void relayed(request, { port: portOf(server) }).then(({ status, headers, text }) =>
        response.writeHead(status, headers).end(text),
      );
    });
    expect(await sent(`http://127.0.0.1:${portOf(relay)}/freeze`))
      .to.have.property('error')
      .that.matches(/^impostor: /);
    expect(received.map(({ token }) => token)).to.deep.equal([undefined]);
  });

  it('is waited for as long as it is given, in which it has to prove itself too', async () => {
    const server = await listen(() => {});
    const found = await sent(`http://127.0.0.1:${portOf(server)}/`, { timeout: 200 });
    expect(found).to.deep.equal({ kind: 'missed', error: 'no answer within 200 ms' });
  });

  it('is left alone when the recorder stops', async () => {
    const stopping = new AbortController();
    const server = await listen(() => stopping.abort());
    const { signal } = stopping;
    const found = await sent(`http://127.0.0.1:${portOf(server)}/`, { signal }).catch((error: unknown) => error);
    expect(found).to.have.property('name', 'AbortError');
  });

  it('that nobody is behind is asked again, and the reason says so', async () => {
    const server = await listen(() => {});
    const port = portOf(server);
    end(server);
    const error = 'nobody listens there (ECONNREFUSED)';
    expect(await sent(`http://127.0.0.1:${port}/`)).to.deep.equal({ kind: 'missed', error });
  });

  it('need not on a unix socket, whose directory says who may listen', async () => {
    const received: Seen[] = [];
    const socket = join(home.directory, 'agent.sock');
    await listen(squatting(received), socket);
    expect(await sent(`unix:${socket}:/freeze`)).to.have.property('kind', 'done');
    expect(received.map(({ path, token }) => [path, token])).to.deep.equal([['/freeze', `Bearer ${TOKEN}`]]);
  });

  describe('of a running service', () => {
    const policyWith = (target: string, webhook = ''): Record<string, string> => {
      const policy = join(home.directory, 'policy.yaml');
      writeFileSync(policy, `version: 1\n${target}${webhook}`);
      return { CONTAINMENT_POLICY_PATH: policy };
    };
    const deliveryOf = async (service: LocalService) =>
      (await service.get('/api/v1/containment/freeze_agent')).json.delivery;

    it('gets the directive once it is back in place of the impostor', async () => {
      const [stolen, received]: [Seen[], Seen[]] = [[], []];
      const squatter = await listen(squatting(stolen));
      const port = portOf(squatter);
      const env = policyWith(
        `targets: { freeze_agent: { engage: { url: "http://127.0.0.1:${port}/freeze", action: freeze }, ` +
          `token_path: ${tokenPath}, prove: true } }\n`,
      );
      const service = await start(home, { env });
      const { id } = (await service.report({ class: 'tool_call_burst' })).json;
      await until(async () => (await deliveryOf(service)).attempts > 0);
      const found = await deliveryOf(service);
      expect(found).to.include({ status: 'delivering', incident: id });
      expect(found.last_error).to.match(/^impostor: /);
      end(squatter);
      await listen(proving(received), port);
      await until(async () => (await deliveryOf(service)).status === 'confirmed');
      expect(received.at(-1)).to.include({ path: '/freeze', token: `Bearer ${TOKEN}` });
      for (const one of stolen) expect(one).to.deep.equal({ path: '/livez', token: undefined, body: '' });
    });

    it('and a webhook that has to prove itself gets no entry before it has', async () => {
      const [stolen, received]: [Seen[], Seen[]] = [[], []];
      const squatter = await listen(squatting(stolen));
      const port = portOf(squatter);
      const url = `http://127.0.0.1:${port}/hook`;
      const env = policyWith(`notify: [{ url: "${url}", token_path: ${tokenPath}, prove: true }]\n`);
      const service = await start(home, { env });
      await service.report();
      await until(async () => (await service.get('/health')).json.notify[0].last_error !== undefined);
      expect((await service.get('/health')).json.notify[0].last_error).to.match(/^impostor: /);
      end(squatter);
      await listen(proving(received), port);
      await until(async () => received.some(({ path }) => path === '/hook'));
      for (const one of stolen) expect(one).to.deep.equal({ path: '/livez', token: undefined, body: '' });
    });
  });
});
