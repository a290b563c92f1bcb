import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { send } from '../../src/containment/http-target.ts';
import { proveResponse } from '../../src/api/middleware/proof.ts';
import { proofKeyIdOf, proofKeyOf } from '../../src/proof.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { SERVICE } from '../support/programs.ts';
import { needs } from '../faults/support/needs.ts';
import { RunningService, ServiceHome, TOKEN } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const PROOF_KEY = proofKeyOf(TOKEN);

describe('a service over https', () => {
  needs('openssl');
  const directory = temporaryDirectories();
  let ca: string;
  let server: Server | undefined;
  let origin: string;
  const received: string[] = [];

  before(async () => {
    const at = directory();
    ca = join(at, 'ca.pem');
    const openssl = (...args: readonly string[]): void => {
      execFileSync('openssl', args, { cwd: at, stdio: 'ignore' });
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test authority');
    const leaf = [
      '-subj',
      '/CN=service',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
    ];
    openssl('req', '-x509', ...key, '-keyout', 'key.pem', '-out', 'cert.pem', ...leaf);
    const [privateKey, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(at, name)));
    const proofs = { proofKey: (id: string) => (id === proofKeyIdOf(PROOF_KEY) ? PROOF_KEY : undefined) };
    server = createServer({ key: privateKey, cert }, (request, response) => {
      received.push(`${request.method} ${request.url}`);
      proveResponse(request, response, proofs, undefined);
      request.resume().on('end', () => response.end('{}'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server?.close());
  beforeEach(() => received.splice(0));

  const sent = (url: string, caPath?: string) =>
    send({
      endpoint: { url: parseTargetUrl(url)! },
      tokenPath: undefined,
      caPath,
      headers: { 'idempotency-key': 'a key' },
      body: {},
      timeout: 20_000,
      signal: new AbortController().signal,
    });

  it('is asked when the named authority certifies it', async () => {
    expect(await sent(`${origin}/freeze`, ca)).to.have.property('kind', 'done');
    expect(received).to.deep.equal(['POST /freeze']);
  });

  it('is not asked when nobody who is trusted certifies it, or for another name', async () => {
    expect(await sent(`${origin}/`))
      .to.deep.include({ kind: 'missed' })
      .and.to.have.property('error')
      .that.includes('ca_path');
    expect(await sent(`${origin}/`, join(directory(), 'none')))
      .to.have.property('error')
      .that.equals("the file of ca_path can't be read (ENOENT)");
    for (const path of ['/dev/zero', directory()]) {
      expect(await sent(`${origin}/`, path))
        .to.have.property('error')
        .that.equals('the file of ca_path is no regular file, or too large');
    }
    expect(await sent(origin.replace('127.0.0.1', 'localhost') + '/', ca))
      .to.have.property('error')
      .that.includes('for another name');
    expect(received).to.deep.equal([]);
  });

  it('is not asked then either when the environment turns the check off', async () => {
    const variable = 'NODE_TLS_REJECT_UNAUTHORIZED';
    const tokenPath = join(directory(), 'token');
    writeFileSync(tokenPath, TOKEN, { mode: 0o600 });
    process.env[variable] = '0';
    try {
      for (const prove of [false, true]) {
        const found = await send({
          endpoint: { url: parseTargetUrl(`${origin}/`)! },
          tokenPath,
          prove,
          headers: { 'idempotency-key': 'a key' },
          body: {},
          timeout: 20_000,
          signal: new AbortController().signal,
        });
        expect(found).to.have.property('kind', 'missed');
      }
    } finally {
      Reflect.deleteProperty(process.env, variable);
    }
    expect(received).to.deep.equal([]);
  });

  it('proves over TLS that it knows the token, where it has to', async () => {
    const tokenPath = join(directory(), 'token');
    for (const [token, kind, seen] of [
      [TOKEN, 'done', ['GET /livez', 'POST /freeze']],
      ['another-token-0123456789', 'missed', ['GET /livez']],
    ] as const) {
      received.splice(0);
      writeFileSync(tokenPath, token, { mode: 0o600 });
      const found = await send({
        endpoint: { url: parseTargetUrl(`${origin}/freeze`)! },
        tokenPath,
        prove: true,
        caPath: ca,
        headers: { 'idempotency-key': 'a key' },
        body: {},
        timeout: 20_000,
        signal: new AbortController().signal,
      });
      expect(found).to.have.property('kind', kind);
      expect(received).to.deep.equal(seen);
    }
  });

  it('gets notices of the hardened service, whose secrets show nowhere, and only under its own name', async () => {
    const home = new ServiceHome(directory());
    const at = (name: string): string => join(home.directory, name);
    const [path, key] = ['/services/T024BE7LD/B5H9A2K1C/x1y2SECRETz3w4', '5ec2e7SECRET4bcdef0123456789abcd'];
    writeFileSync(at('url-path'), `${path}\n`, { mode: 0o600 });
    writeFileSync(at('routing-key'), `${key}\n`, { mode: 0o600 });
    const elsewhere = origin.replace('127.0.0.1', 'localhost');
    const webhooks = [
      `{ url: "${origin}", format: slack, url_path: ${at('url-path')}, ca_path: ${ca}, group_wait: 0s }`,
      `{ url: "${origin}/v2/enqueue", format: pagerduty, routing_key_path: ${at('routing-key')}, ca_path: ${ca} }`,
      `{ url: "${elsewhere}", format: slack, url_path: ${at('url-path')}, ca_path: ${ca}, group_wait: 0s }`,
      `{ url: "${origin}/api/v2/alerts", format: alertmanager }`,
    ];
    writeFileSync(at('policy.yaml'), `version: 1\nnotify:\n${webhooks.map((one) => `  - ${one}\n`).join('')}`);
    const env = { CONTAINMENT_POLICY_PATH: at('policy.yaml'), ALLOW_NON_LOOPBACK: '1', LOG_LEVEL: 'debug' };
    const service = await RunningService.start(home, { env, command: ['--jitless', SERVICE] });
    try {
      await service.report();
      while (new Set(received).size < 2) await once(server!, 'request');
      expect([...new Set(received)].toSorted()).to.deep.equal([`POST ${path}`, 'POST /v2/enqueue'].toSorted());
      const notify = async (): Promise<readonly { status: string; last_error?: string }[]> =>
        (await service.get('/health')).json.notify;
      while ((await notify()).map(({ status }) => status).join() !== 'ok,ok,failing,failing') await setTimeout(50);
      const [slack, pagerduty, wrongName, wrongAuthority] = await notify();
      expect(slack).to.include({ status: 'ok', format: 'slack' });
      expect(pagerduty).to.include({ status: 'ok', format: 'pagerduty' });
      expect(wrongName?.last_error).to.include('for another name');
      expect(wrongAuthority?.last_error).to.include('from nobody who is trusted here').and.include('ca_path');
      for (const shown of ['/health', '/metrics', '/api/v1/policy', '/api/v1/webhooks/skipped']) {
        for (const token of [null, TOKEN]) {
          const { text } = await service.send('GET', shown, { token });
          expect(text, shown).to.not.match(/SECRET|url-path|routing-key/);
        }
      }
    } finally {
      await service.end();
    }
    expect(readFileSync(home.log, 'utf8') + service.output.join('\n') + service.errors).to.not.match(/SECRET/);
  });

  for (const [whose, key] of [
    ['a named authority', () => `, ca_path: ${ca}`],
    ['an authority of the system', () => ''],
  ] as const) {
    it(`gets what the service sends, where other machines may be reached and ${whose} certifies it`, async () => {
      const home = new ServiceHome(directory());
      const policy = join(home.directory, 'policy.yaml');
      writeFileSync(policy, `version: 1\nnotify: [{ url: "${origin}/alerts"${key()} }]\n`);
      // OpenSSL's own variable for the authorities of the system.
      const env = { CONTAINMENT_POLICY_PATH: policy, SSL_CERT_FILE: ca };
      expect((await RunningService.run(home, { env })).errors).to.match(/must be http:.*ALLOW_NON_LOOPBACK=1/);
      const service = await RunningService.start(home, { env: { ...env, ALLOW_NON_LOOPBACK: '1' } });
      try {
        await service.report();
        while (received.length === 0) await once(server!, 'request');
        expect(received[0]).to.equal('POST /alerts');
      } finally {
        await service.end();
      }
    });
  }
});
