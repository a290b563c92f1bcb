import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { ask, exchange, serve, stopServing } from '../support/client.ts';
import { standIn, TOKEN } from '../support/dependencies.ts';

describe('the guard of the host', () => {
  afterEach(stopServing);
  const directory = temporaryDirectories();

  it('takes the names of the loopback, with any port', async () => {
    const server = await serve(standIn());
    for (const Host of ['localhost', 'LocalHost:8515', '127.0.0.1', '127.9.8.7:1', '[::1]', '[::1]:65535']) {
      expect((await ask(server, '/health', { headers: { Host } })).status, Host).to.equal(200);
    }
  });

  it('refuses any other name', async () => {
    const server = await serve(standIn());
    const hosts = [
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'localhost@evil.example',
      'evil.example#localhost',
      '10.0.0.1',
      '[::2]',
      '0.0.0.0',
      'localhost:',
      'localhost, evil.example',
      'unix',
    ];
    for (const Host of hosts) {
      const { status, body } = await ask(server, '/health', { headers: { Host } });
      expect(status, Host).to.equal(403);
      expect(body.error).to.match(/^Host must be the loopback/);
    }
  });

  it('wants exactly one Host', async () => {
    const server = await serve(standIn());
    for (const host of ['', 'Host:\r\n', 'Host: localhost\r\nHost: localhost\r\n']) {
      const answer = await exchange(server, `GET /health HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
      expect(answer).to.match(/^HTTP\/1.1 400 .*"error":"exactly one Host header required"/s);
    }
  });

  it('wants none in HTTP/1.0, whatever is asked for', async () => {
    const server = await serve(standIn());
    const old = (line: string, headers = '') => exchange(server, `${line} HTTP/1.0\r\n${headers}\r\n`);
    for (const path of ['/livez', '/readyz', '/health', '/metrics', '/api/v1/incidents', '/api/v1/stats']) {
      expect(await old(`GET ${path}`), path).to.match(/^HTTP\/1.1 200 /);
    }
    expect(await old('OPTIONS /livez')).to.match(/^HTTP\/1.1 204 /);
    const body = JSON.stringify({ class: 'prompt_injection', source: 's', description: 'd' });
    const headers = `Authorization: Bearer ${TOKEN}\r\nContent-Length: ${body.length}\r\n`;
    const answer = await exchange(server, `POST /api/v1/incidents/report HTTP/1.0\r\n${headers}\r\n${body}`);
    expect(answer).to.match(/^HTTP\/1.1 201 /);
    expect(await old('GET /livez', 'Host: evil.example\r\n')).to.match(/^HTTP\/1.1 403 /);
    expect(await old('GET /livez', 'Host: localhost\r\nHost: localhost\r\n')).to.match(/^HTTP\/1.1 400 /);
    expect(await old('GET /livez', 'Origin: http://localhost\r\n')).to.match(/^HTTP\/1.1 403 /);
  });

  it('takes every name where the service is meant to be reached from elsewhere', async () => {
    const server = await serve(standIn({ allowNonLoopback: true }));
    expect((await ask(server, '/health', { headers: { Host: 'recorder.example' } })).status).to.equal(200);
  });

  it('takes no name at all over a unix socket, and still no foreign one', async () => {
    const path = join(directory(), 'socket');
    const server = await serve(standIn({ overUnixSocket: true }), {}, { kind: 'unix', path });
    const get = (host: string) => exchange(server, `GET /health HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
    for (const host of ['', 'Host:\r\n', 'Host: unix\r\n', 'Host: localhost\r\n']) {
      expect(await get(host), host).to.match(/^HTTP\/1.1 200 /);
    }
    expect(await get('Host: evil.example\r\n')).to.match(/^HTTP\/1.1 403 /);
  });

  it('takes no such name over TCP, also where it serves a unix socket too', async () => {
    const server = await serve(standIn({ overUnixSocket: true }));
    const get = (host: string) => exchange(server, `GET /health HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
    expect(await get('Host: unix\r\n')).to.match(/^HTTP\/1.1 403 /);
    expect(await get('')).to.match(/^HTTP\/1.1 400 /);
  });

  it('refuses other origins and requests that another site is behind', async () => {
    const server = await serve(standIn({ allowNonLoopback: true }));
    const status = async (headers: Record<string, string>) =>
      (await ask(server, '/health', { headers: { Host: 'localhost:8515', ...headers } })).status;
    expect(await status({ Origin: 'http://localhost:8515' })).to.equal(200);
    expect(await status({ 'Sec-Fetch-Site': 'same-origin' })).to.equal(200);
    expect(await status({ 'Sec-Fetch-Site': 'none' })).to.equal(200);
    for (const Origin of ['null', '', 'http://localhost', 'https://localhost:8515', 'http://evil.example']) {
      expect(await status({ Origin }), Origin).to.equal(403);
    }
    expect(await status({ 'Sec-Fetch-Site': 'cross-site' })).to.equal(403);
    // A page on another port of this machine.
    expect(await status({ 'Sec-Fetch-Site': 'same-site' })).to.equal(403);
  });

  it('lets a link from elsewhere open the console, and nothing else', async () => {
    const server = await serve(standIn());
    const link = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Dest': 'document' };
    expect((await ask(server, '/', { headers: link })).body.error).to.match(/not built/);
    expect((await ask(server, '/api/v1/incidents', { headers: link })).status).to.equal(403);
    expect((await ask(server, '/', { headers: { ...link, 'Sec-Fetch-Dest': 'iframe' } })).status).to.equal(403);
    expect((await ask(server, '/', { headers: { ...link, Origin: 'http://evil.example' } })).status).to.equal(403);
    expect((await ask(server, '/', { method: 'POST', headers: link })).status).to.equal(403);
  });
});
