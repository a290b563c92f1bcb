import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chmodSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { judge, send } from '../../src/containment/http-target.ts';
import type { AttemptResult } from '../../src/containment/attempt-result.ts';
import { parseTargetUrl } from '../../src/policy/target-url.ts';
import { answering, dyingInMidAnswer, hanging, listeningTargets, Target } from '../support/target.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const answer = (status: number, body = '', headers = {}, final?: readonly number[], doneWhen?: readonly number[]) =>
  judge({ status, body, headers, denies: false }, final, doneWhen);

describe('an answer of a service', () => {
  for (const status of [200, 201, 202, 204, 299]) {
    it(`of ${status} confirms`, () => {
      expect(answer(status, 'done')).to.deep.equal({ kind: 'done', receipt: { by: 'answer', status, body: 'done' } });
    });
  }

  for (const status of [301, 304, 401, 403, 404, 405, 407, 408, 409, 425, 429, 451, 500, 502, 503, 504, 599]) {
    it(`of ${status} may be another the next time`, () => {
      expect(answer(status, 'busy')).to.deep.equal({ kind: 'missed', error: `answered ${status}: busy` });
    });
  }

  for (const status of [400, 410, 413, 422]) {
    it(`of ${status} is one for good`, () => {
      expect(answer(status)).to.deep.equal({ kind: 'refused', error: `answered ${status}` });
    });
  }

  it('is one for good where the policy says so, and nowhere else', () => {
    expect(answer(404, '', {}, [404])).to.have.property('kind', 'refused');
    expect(answer(503, '', {}, [503])).to.have.property('kind', 'refused');
    expect(answer(400, '', {}, [404])).to.have.property('kind', 'missed');
    expect(answer(400, '', {}, [])).to.have.property('kind', 'missed');
    expect(answer(200, '', {}, [200])).to.have.property('kind', 'done');
  });

  it('says that it is carried out already where the policy says so, also where others take it for a failure', () => {
    for (const status of [404, 400]) {
      const receipt = { by: 'answer', status, body: 'model not found' };
      expect(answer(status, 'model not found', {}, undefined, [404, 400])).to.deep.equal({ kind: 'done', receipt });
    }
    expect(answer(409, '', {}, undefined, [404])).to.have.property('kind', 'missed');
  });

  for (const [header, pause] of [
    ['3', 3000],
    ['0', 0],
    ['300', 300_000],
    ['3600', 300_000],
    ['999999', 300_000],
    ['soon', undefined],
    ['-1', undefined],
  ] as const) {
    it(`with Retry-After: ${header} asks for ${pause === undefined ? 'no pause' : `${pause} ms`}`, () => {
      const found = answer(503, '', { 'retry-after': header });
      expect(found).to.deep.equal({
        kind: 'missed',
        error: 'answered 503',
        ...(pause === undefined ? {} : { retryAfter: pause }),
      });
    });
  }

  it('with a Retry-After that names a time far ahead asks for five minutes', () => {
    const later = new Date(Date.now() + 86_400_000).toUTCString();
    expect(answer(403, '', { 'retry-after': later })).to.have.property('retryAfter', 300_000);
  });

  it('with a Retry-After that names a time asks for the pause until then', () => {
    const later = new Date(Date.now() + 20_000).toUTCString();
    expect(answer(429, '', { 'retry-after': later }))
      .to.have.property('retryAfter')
      .within(15_000, 20_000);
  });
});

describe('a service over HTTP', () => {
  const directory = temporaryDirectories();
  const listen = listeningTargets();
  const stopping = new AbortController();

  const sent = (
    url: string,
    {
      tokenPath,
      secretPath,
      timeout = 20_000,
      confirm,
    }: { tokenPath?: string; secretPath?: string; timeout?: number; confirm?: 'answer' | 'callback' | 'status' } = {},
  ) =>
    send({
      endpoint: { url: parseTargetUrl(url)! },
      tokenPath,
      secretPath,
      headers: { 'idempotency-key': 'a key' },
      body: { action: 'freeze', incident_id: 'INC-1', reason: 'a reason' },
      timeout,
      signal: stopping.signal,
      confirm,
    });

  it('is asked by a POST with a JSON body on a connection of its own', async () => {
    const target = await listen();
    expect(await sent(target.url('/freeze?now=1'))).to.have.property('kind', 'done');
    const [received] = await target.receives(1);
    expect(received).to.deep.include({
      method: 'POST',
      path: '/freeze?now=1',
      body: { action: 'freeze', incident_id: 'INC-1', reason: 'a reason' },
    });
    expect(received?.headers).to.include({
      host: `127.0.0.1:${target.port}`,
      'content-type': 'application/json',
      'content-length': '61',
      connection: 'close',
      'idempotency-key': 'a key',
    });
    expect(received?.headers).to.not.have.property('authorization');
  });

  it('is found as localhost on either address', async () => {
    const server = createServer((request, response) => void request.resume().on('end', () => response.end()));
    server.listen(0, '::1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      expect(await sent(`http://localhost:${port}/`)).to.have.property('kind', 'done');
    } finally {
      server.close();
      server.closeAllConnections();
    }
    const target = await listen();
    expect(await sent(`http://localhost:${target.port}/`)).to.have.property('kind', 'done');
    expect(await sent(`http://LocalHost:${target.port}/`)).to.have.property('kind', 'done');
  });

  it('gets a signature under the secret of the file, as it is at each attempt', async () => {
    const target = await listen();
    const secretPath = join(directory(), 'secret');
    const secrets = ['one', 'another'].map((text) => Buffer.from(text.padEnd(32, '.')));
    for (const secret of secrets) {
      writeFileSync(secretPath, `whsec_${secret.toString('base64')}\n`, { mode: 0o600 });
      expect(await sent(target.url('/'), { secretPath })).to.have.property('kind', 'done');
    }
    const received = await target.receives(2);
    for (const [index, { headers, body }] of received.entries()) {
      expect(headers['webhook-id']).to.equal('a key');
      expect(Number(headers['webhook-timestamp']) * 1000).to.be.closeTo(Date.now(), 30_000);
      const text = `a key.${String(headers['webhook-timestamp'])}.${JSON.stringify(body)}`;
      const hmac = createHmac('sha256', secrets[index]!).update(text).digest('base64');
      expect(headers['webhook-signature']).to.equal(`v1,${hmac}`);
    }
  });

  for (const [what, content, mode, error] of [
    ['is not there', undefined, 0o600, /^the file of secret_path is not there$/],
    ['is of another form', 'a plain secret', 0o600, /^the file of secret_path holds no secret of the form whsec_/],
    ['is too short', 'whsec_c2hvcnQ=', 0o600, /holds no secret/],
    ['can be read by everybody', `whsec_${'MfKQ'.repeat(8)}`, 0o604, /is open to every user/],
  ] as const) {
    it(`given a secret's file that ${what}, then nothing is sent, and the error names no path`, async () => {
      const target = await listen();
      const secretPath = join(directory(), 'secret');
      if (content !== undefined) writeFileSync(secretPath, content);
      if (content !== undefined) chmodSync(secretPath, mode);
      const found = await sent(target.url('/'), { secretPath });
      expect(found).to.have.property('kind', 'missed');
      expect(found).to.have.property('error').that.matches(error).and.does.not.include(secretPath);
      expect(target.received).to.deep.equal([]);
    });
  }

  for (const body of [
    '{"success":false,"error":"agent not found"}',
    '{"error":"agent not found","success":false}',
    '\uFEFF\r\n { "success" : false }\n',
    `{"success":false,"agents":["${'x'.repeat(60_000)}"]}`,
    `{"agents":["${'x'.repeat(5000)}"],"success":false}`,
  ]) {
    it(`that says 200 and ${body.slice(0, 40)} has not confirmed`, async () => {
      for (const status of [200, 202]) {
        for (const confirm of ['answer', 'callback'] as const) {
          const target = await listen(0, answering(status, body));
          expect(await sent(target.url('/'), { confirm })).to.deep.equal({
            kind: 'missed',
            error: `answered ${status}: ${body.slice(0, 200)}`,
          });
        }
      }
    });
  }

  it('is believed by its status alone where that is what is asked for', async () => {
    const target = await listen(0, answering(200, '{"success":false}'), answering(400));
    expect(await sent(target.url('/'), { confirm: 'status' })).to.have.property('kind', 'done');
    expect(await sent(target.url('/'), { confirm: 'status' })).to.have.property('kind', 'missed');
  });

  for (const body of [
    '',
    'success: false',
    '[{"success":false}]',
    '{"success":true}',
    '{"success":"false"}',
    '{"result":{"success":false}}',
    '{"success":null}',
    'null',
  ]) {
    it(`that says 200 and ${JSON.stringify(body)} has confirmed`, async () => {
      const target = await listen(0, answering(200, body));
      expect(await sent(target.url('/'))).to.have.property('kind', 'done');
    });
  }

  it('is asked over a unix socket in the same way', async () => {
    const socket = join(directory(), 'agent.sock');
    const target = await listen(socket);
    expect(await sent(`unix:${socket}:/api/v1/freeze`)).to.have.property('kind', 'done');
    const [received] = await target.receives(1);
    expect(received?.path).to.equal('/api/v1/freeze');
    expect(received?.headers.host).to.equal('localhost');
  });

  it('gets a signature over a unix socket as well', async () => {
    const at = directory();
    const target = await listen(join(at, 'agent.sock'));
    const secretPath = join(at, 'secret');
    writeFileSync(secretPath, `whsec_${'MfKQ'.repeat(8)}`, { mode: 0o600 });
    expect(await sent(`unix:${at}/agent.sock:/freeze`, { secretPath })).to.have.property('kind', 'done');
    const [received] = await target.receives(1);
    expect(received?.headers['webhook-signature']).to.match(/^v1,[\w+/]{43}=$/);
  });

  it('gets the token of the file as it is at each attempt', async () => {
    const target = await listen();
    const tokenPath = join(directory(), 'token');
    writeFileSync(tokenPath, 'the-first\n', { mode: 0o600 });
    await sent(target.url('/'), { tokenPath });
    writeFileSync(tokenPath, 'the-second');
    await sent(target.url('/'), { tokenPath });
    const tokens = (await target.receives(2)).map(({ headers }) => headers.authorization);
    expect(tokens).to.deep.equal(['Bearer the-first', 'Bearer the-second']);
  });

  for (const [what, content, mode, error] of [
    ['is not there', undefined, 0o600, /is not there/],
    ['is empty', '\n', 0o600, /holds no token/],
    ['holds two lines', 'one\r\nX-Other: two', 0o600, /holds no token/],
    ['can be written by everybody', 'a-token', 0o606, /can be written by every user/],
  ] as const) {
    it(`given a token's file that ${what}, then nothing is sent, and that may pass`, async () => {
      const target = await listen();
      const tokenPath = join(directory(), 'token');
      if (content !== undefined) writeFileSync(tokenPath, content);
      if (content !== undefined) chmodSync(tokenPath, mode);
      const { kind, error: found } = (await sent(target.url('/'), { tokenPath })) as Extract<
        AttemptResult,
        { kind: 'missed' }
      >;
      expect(kind).to.equal('missed');
      expect(found).to.match(error);
      expect(target.received).to.deep.equal([]);
    });
  }

  it('that is slow is waited for', async () => {
    const target = await listen(0, (response) => void setTimeout(() => response.writeHead(204).end(), 300));
    expect(await sent(target.url('/'))).to.deep.equal({ kind: 'done', receipt: { by: 'answer', status: 204 } });
  });

  for (const [what, behaviour] of [
    ['hangs', hanging],
    ['never ends its answer', (response: ServerResponse) => void response.writeHead(200).write('half of it')],
  ] as const) {
    it(`that ${what} is waited for as long as it is given`, async () => {
      const target = await listen(0, behaviour);
      expect(await sent(target.url('/'), { timeout: 300 })).to.deep.equal({
        kind: 'missed',
        error: 'no answer within 300 ms',
      });
    });
  }

  for (const [what, behaviour] of [
    ['dies in the middle of its answer', dyingInMidAnswer],
    ['closes the connection', (response: ServerResponse) => void response.socket?.destroy()],
    ['answers in another language', (response: ServerResponse) => void response.socket?.end('SSH-2.0\r\n')],
    [
      'answers with headers without end',
      (response: ServerResponse) => void response.writeHead(200, { x: 'y'.repeat(70_000) }).end(),
    ],
  ] as const) {
    it(`that ${what} is asked again`, async () => {
      const target = await listen(0, behaviour);
      const outcome = await sent(target.url('/'));
      expect(outcome.kind).to.equal('missed');
    });
  }

  it('that nobody is behind is asked again, and the reason says so', async () => {
    const target = await Target.listen();
    const [url, byName] = [target.url('/'), `http://localhost:${target.port}/`];
    await target.close();
    expect(await sent(byName)).to.deep.equal({ kind: 'missed', error: 'nobody listens there (ECONNREFUSED)' });
    expect(await sent(url)).to.deep.equal({ kind: 'missed', error: 'nobody listens there (ECONNREFUSED)' });
    expect(await sent(`unix:${directory()}/agent.sock:/`)).to.deep.equal({
      kind: 'missed',
      error: 'there is no such socket (ENOENT)',
    });
  });

  it('is not followed elsewhere', async () => {
    const other = await listen();
    const target = await listen(0, answering(307, '', { location: other.url('/') }));
    expect(await sent(target.url('/'))).to.deep.equal({ kind: 'missed', error: 'answered 307' });
    expect(other.received).to.deep.equal([]);
  });

  it('may say much, and 200 whole characters of it are kept', async () => {
    const target = await listen(
      0,
      answering(404, `${'a'.repeat(199)}\u{1f512}`.padEnd(100_000, 'b')),
      answering(404, 'ü'.repeat(5000)),
    );
    expect(await sent(target.url('/'))).to.deep.equal({ kind: 'missed', error: `answered 404: ${'a'.repeat(199)}` });
    expect(await sent(target.url('/'))).to.deep.equal({ kind: 'missed', error: `answered 404: ${'ü'.repeat(200)}` });
  });

  it('that is asked when the recorder stops is left alone', async () => {
    const target = await listen(0, hanging);
    const outcome = sent(target.url('/')).catch((error: unknown) => error);
    await target.receives(1);
    stopping.abort();
    expect(await outcome).to.have.property('name', 'AbortError');
  });
});
