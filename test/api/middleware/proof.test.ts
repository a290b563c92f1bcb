import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { addressText, bodyDigest, proofKeyIdOf, proofKeyOf, proofOf } from '../../../src/proof.ts';
import { localServices } from '../../support/local-service.ts';
import { TOKEN } from '../../support/service-client.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';

const NONCE = 'bm9uY2Utb2YtMTYtYnl0ZXM';
const KEY = proofKeyOf(TOKEN);
const CHALLENGE = `nonce=${NONCE}; key=${proofKeyIdOf(KEY)}`;

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

describe('the proof of the recorder', () => {
  const directory = temporaryDirectories();
  const start = localServices();

  const setUp = async () => {
    const home = new ServiceHome(directory());
    const socketPath = join(home.directory, 'socket');
    const { port } = await start(home, { env: { BIND_ADDR: `127.0.0.1:0,unix:${socketPath}` } });
    return { tcp: { host: '127.0.0.1', port }, unix: { socketPath } };
  };

  type Where = Awaited<ReturnType<typeof setUp>>['tcp' | 'unix'];

  /** Sends a request with a challenge; gives its answer and the two ends of the connection. */
  const ask = async (where: Where, target: string, { method = 'GET', headers = {}, body }: Asked = {}) => {
    const all = { host: 'localhost', 'recorder-challenge': CHALLENGE, ...headers };
    const sent = request({ ...where, method, path: target, headers: all, agent: false });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const { localAddress = '', localPort = 0 } = response.socket;
    const ends =
      'port' in where
        ? { recorder: `127.0.0.1:${where.port}`, client: addressText(localAddress, localPort) }
        : { recorder: `unix:${where.socketPath}`, client: '-' };
    const expected = (covered: string): string =>
      proofOf(KEY, { nonce: NONCE, method, target, ...ends, status: response.statusCode ?? 0, body: covered });
    return { response, proof: response.headers['recorder-proof'], expected };
  };

  const textOf = async (response: IncomingMessage): Promise<string> => {
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    return text;
  };

  it('covers an answer whatever its status, over TCP and over a unix socket', async () => {
    const { tcp, unix } = await setUp();
    const report = JSON.stringify({ class: 'tool_call_burst', source: 'airlock', description: 'é' });
    const json = { 'content-type': 'application/json' };
    const asked: readonly (readonly [string, number, Asked?])[] = [
      ['/livez', 200],
      ['/api/v1/incidents?limit=1', 200],
      ['/api/v1/openapi.json', 200],
      ['/api/v1/machines/incident?format=svg', 200],
      ['/nothing-here', 404],
      ['/livez', 403, { headers: { host: 'evil.example' } }],
      ['/livez', 200, { method: 'HEAD' }],
      ['/api/v1/incidents/report', 403, { method: 'POST', body: report, headers: json }],
      [
        '/api/v1/incidents/report',
        201,
        { method: 'POST', body: report, headers: { ...json, authorization: `Bearer ${TOKEN}` } },
      ],
    ];
    for (const where of [tcp, unix]) {
      for (const [target, status, options] of asked) {
        const { response, proof, expected } = await ask(where, target, options);
        const text = await textOf(response);
        expect(response.statusCode, target).to.equal(status);
        expect(proof, `${status} ${target}`).to.equal(expected(bodyDigest(text)));
      }
    }
  });

  it('covers an absolute target as it was sent', async () => {
    const { tcp } = await setUp();
    const { response, proof, expected } = await ask(tcp, `http://127.0.0.1:${tcp.port}/livez`);
    expect(proof).to.equal(expected(bodyDigest(await textOf(response))));
  });

  it('covers no body of a 304', async () => {
    const { tcp } = await setUp();
    const { response: first } = await ask(tcp, '/api/v1/containment');
    await textOf(first);
    const headers = { 'if-none-match': first.headers.etag! };
    const { response, proof, expected } = await ask(tcp, '/api/v1/containment', { headers });
    await textOf(response);
    expect(response.statusCode).to.equal(304);
    expect(proof).to.equal(expected(bodyDigest('')));
  });

  it('says `stream` for what has no end yet, and comes before it', async () => {
    const { tcp } = await setUp();
    const { response, proof, expected } = await ask(tcp, '/api/v1/events');
    expect(proof).to.equal(expected('stream'));
    response.destroy();
  });

  it('is not given for another key, a malformed challenge, or none', async () => {
    const { tcp } = await setUp();
    const id = proofKeyIdOf(KEY);
    for (const challenge of [
      `nonce=${NONCE}; key=${proofKeyIdOf(proofKeyOf('another-token'))}`,
      `nonce=short; key=${id}`,
      `nonce=${'n'.repeat(65)}; key=${id}`,
      `nonce=${NONCE}; key=${id.toUpperCase()}x`,
      `nonce=${NONCE}`,
      `${CHALLENGE}, ${CHALLENGE}`,
      '',
    ]) {
      const { response, proof } = await ask(tcp, '/livez', { headers: { 'recorder-challenge': challenge } });
      expect(await textOf(response)).to.not.equal('');
      expect([response.statusCode, proof], challenge).to.deep.equal([200, undefined]);
    }
  });
});
