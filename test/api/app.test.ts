import { expect } from 'chai';
import { RecorderError } from '../../src/errors.ts';
import { ask, command, exchange, serve, stopServing } from './support/client.ts';
import { standIn, TOKEN } from './support/dependencies.ts';

const COMMANDS = ['report', 'contain', 'acknowledge', 'resolve'].map((name) => `/api/v1/incidents/${name}`);
const READS = ['/health', '/api/v1/incidents', '/api/v1/incidents/get', '/api/v1/incidents/history', '/api/v1/stats'];

describe('the API', () => {
  afterEach(stopServing);

  describe('paths and methods', () => {
    it('answers an unknown path with 404, as JSON', async () => {
      const server = await serve(standIn());
      for (const path of ['/api/v1/incidents/', '/API/v1/stats', '/health/', '/%2e%2e/health', '//', '/api/v1/%zz']) {
        const { status, body, headers } = await ask(server, path);
        expect(status, path).to.equal(404);
        expect(body).to.deep.equal({ error: 'no such path' });
        expect(headers['x-content-type-options']).to.equal('nosniff');
        expect(headers['cache-control']).to.equal('no-store');
      }
    });

    it('answers a wrong method with 405 and what is allowed, before it asks for a token', async () => {
      const server = await serve(standIn());
      for (const path of COMMANDS) {
        const { status, body, headers } = await ask(server, path);
        expect(status, path).to.equal(405);
        expect(headers.allow).to.equal('POST, OPTIONS');
        expect(body).to.deep.equal({ error: 'method not allowed', allowed: ['POST'] });
      }
      for (const path of READS) {
        for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'QUERY']) {
          const { status, headers } = await ask(server, path, { method });
          expect(status, `${method} ${path}`).to.equal(405);
          expect(headers.allow).to.equal('HEAD, GET, OPTIONS');
        }
      }
    });

    it('answers OPTIONS with what is allowed and no permission for other origins', async () => {
      const server = await serve(standIn());
      const { status, headers, text } = await ask(server, '/api/v1/incidents', { method: 'OPTIONS' });
      expect([status, headers.allow, text]).to.deep.equal([204, 'HEAD, GET, OPTIONS', '']);
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).to.deep.equal([]);
    });

    it('answers HEAD as GET, without the body', async () => {
      const server = await serve(standIn());
      for (const path of ['/health', '/api/v1/incidents', '/api/v1/incidents/get?id=unknown']) {
        const get = await ask(server, path);
        const head = await ask(server, path, { method: 'HEAD' });
        expect([head.status, head.text]).to.deep.equal([get.status, '']);
        expect(head.headers['content-length']).to.equal(String(get.text.length));
      }
    });

    it('takes a target in absolute form, with its host, and refuses one that is no URL', async () => {
      const server = await serve(standIn());
      const get = (target: string) =>
        exchange(server, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      expect(await get('http://localhost/health')).to.match(/^HTTP\/1.1 200 /);
      expect(await get('http://[::1/health')).to.match(/^HTTP\/1.1 400 .*"error":"malformed URL"/s);
      expect(await get('http://evil.example/health')).to.match(/^HTTP\/1.1 403 /);
      expect(await get('*')).to.match(/^HTTP\/1.1 (400|404) /);
      expect(await get('/#/health')).to.match(/^HTTP\/1.1 404 /);
    });
  });

  describe('authentication', () => {
    const headersWithoutToken = [
      {},
      { Authorization: '' },
      { Authorization: 'Bearer' },
      { Authorization: 'Bearer ' },
      { Authorization: TOKEN },
      { Authorization: `Basic ${TOKEN}` },
      { Authorization: `Bearer ${TOKEN}x` },
      { Authorization: `Bearer x ${TOKEN}` },
    ];

    it('refuses a command without the token, whatever its body', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies);
      for (const path of [...COMMANDS, '/api/v1/reload', '/reload']) {
        for (const headers of headersWithoutToken) {
          const answer = await ask(server, path, { method: 'POST', headers, body: 'no JSON' });
          expect(answer.status, path).to.equal(403);
          expect(answer.body).to.deep.equal({ error: 'forbidden' });
          expect(answer.headers['www-authenticate']).to.equal('Bearer');
        }
      }
      expect([...dependencies.reports, ...dependencies.commands]).to.deep.equal([]);
    });

    it('refuses it before the body has arrived', async () => {
      const server = await serve(standIn());
      const head =
        'POST /api/v1/incidents/report HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 65000\r\n\r\n';
      expect(await exchange(server, head)).to.match(/^HTTP\/1.1 403 /);
    });

    it('takes the scheme in any case', async () => {
      const server = await serve(standIn());
      const { status } = await command(server, '/api/v1/reload', '', { Authorization: `bearer  ${TOKEN}` });
      expect(status).to.equal(200);
    });
  });

  describe('failures', () => {
    const failing = (error: unknown) =>
      standIn({
        health: () => {
          throw error;
        },
      });

    it('shows an internal error to the log, and nothing of it to the client', async () => {
      for (const error of [new Error('the secret'), new RecorderError('damaged_log', 'the secret'), 'the secret']) {
        const dependencies = failing(error);
        const { status, body } = await ask(await serve(dependencies), '/health');
        expect([status, body]).to.deep.equal([500, { error: 'internal error' }]);
        const failure = dependencies.lines.find(({ message }) => message === 'request failed');
        expect([failure?.level, failure?.err]).to.deep.equal(['error', error]);
      }
    });

    it('shows the client the others', async () => {
      const cause = new Error('ENOSPC');
      const error = new RecorderError('log_unavailable', 'the log is full', { fields: { reason: 'disk' }, cause });
      const { status, body, headers } = await ask(await serve(failing(error)), '/health');
      expect([status, body]).to.deep.equal([503, { error: 'the log is full', reason: 'disk' }]);
      expect(headers['retry-after']).to.equal('5');
    });
  });

  describe('the request log', () => {
    it('has one line for each request, with nothing that was said in it', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies);
      const report = { class: 'prompt_injection', source: 'SAID', description: 'SAID', evidence: { SAID: 'SAID' } };
      await command(server, '/api/v1/incidents/report?SAID', report, { 'Idempotency-Key': 'SAID' });
      await ask(server, '/nowhere?SAID=SAID', { headers: { 'X-Other': 'SAID' } });
      expect(dependencies.lines).to.have.length(2);
      const [recorded, lost] = dependencies.lines;
      expect(recorded).to.include({
        level: 'info',
        method: 'POST',
        path: '/api/v1/incidents/report',
        status: 201,
        ms: 1,
        incident: 'INC-20261122-000000000002',
        version: 1,
        state: 'open',
      });
      expect(recorded?.bytes).to.be.greaterThan(20);
      expect(lost).to.include({ level: 'info', method: 'GET', path: '/nowhere', status: 404 });
      expect(lost).not.to.have.any.keys('incident', 'state');
      expect(JSON.stringify(dependencies.lines)).not.to.match(new RegExp(`SAID|${TOKEN}`));
    });

    it('names each request, as its client did where that is a plain word', async () => {
      const dependencies = standIn();
      const server = await serve(dependencies);
      const named = await ask(server, '/health', { headers: { 'X-Request-Id': 'job-7.a_b' } });
      expect(named.headers['x-request-id']).to.equal('job-7.a_b');
      for (const bad of ['a b', 'x'.repeat(65), '<script>']) {
        const { headers } = await ask(server, '/health', { headers: { 'X-Request-Id': bad } });
        expect(headers['x-request-id']).to.match(/^[0-9a-f-]{36}$/);
      }
      expect(dependencies.lines.map(({ id }) => id)[0]).to.equal('job-7.a_b');
    });
  });
});
