/** The routes for machines, over HTTP: who is let in, and what is too much. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { request } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { expect } from 'chai';
import { verifierKeyOf } from '../../src/signed-note.ts';
import { digestOf, SIGNATURE_HEADER, signRequest } from '../../src/signed-request.ts';
import { administer, type AdministrationRequest } from '../../src/fleet/administration.ts';
import { readFleetConfig } from '../../src/fleet/config.ts';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { eventually } from '../support/eventually.ts';
import { Engine } from './support/engines.ts';
import { MachineLog } from './support/machine-log.ts';

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Record<string, unknown>;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('the routes for machines', () => {
  const engine = new Engine('PGlite');
  let fleet: Fleet;

  before(async () => {
    fleet = await engine.fleet({ quota: { entriesPerSecond: 10, bytesPerSecond: 1e9 } });
  });

  after(async () => {
    await fleet.stop();
    engine.end();
  });

  const ask = (
    method: string,
    path: string,
    { token, body, headers = {} }: { token?: string; body?: Buffer | object; headers?: Record<string, string> } = {},
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const sent = request(
        { ...fleet.address, method, path, headers: { ...authorization, ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            resolve({
              status: response.statusCode!,
              headers: response.headers,
              body: text === '' ? {} : JSON.parse(text),
            });
          });
        },
      );
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : Buffer.isBuffer(body) ? body : JSON.stringify(body));
    });

  const enrolled = async (machine: string): Promise<string> => {
    const secret = await fleet.enrolment.invite(machine, {}, 'test');
    const token = `token-of-${machine}`;
    const body = { machine, secret, token_sha256: sha256(token), public_key: 'key' };
    expect((await ask('POST', '/api/v1/enrol', { body })).status).to.equal(201);
    return token;
  };

  const entries = (machine: string, log: MachineLog, from = 1): string =>
    `/api/v1/machines/${machine}/logs/${log.id}/entries?from=${from}`;

  it('enrols a machine once, with a secret that is good once', async () => {
    const secret = await fleet.enrolment.invite('e1', { site: 'berlin' }, 'test');
    const body = { machine: 'e1', secret, token_sha256: sha256('t'), public_key: 'key' };
    expect((await ask('POST', '/api/v1/enrol', { body: { ...body, secret: 'wrong' } })).status).to.equal(403);
    expect((await ask('POST', '/api/v1/enrol', { body: { ...body, machine: 'e2' } })).status).to.equal(403);
    expect((await ask('POST', '/api/v1/enrol', { body: { ...body, token_sha256: 'x' } })).status).to.equal(400);
    const { status, body: answer } = await ask('POST', '/api/v1/enrol', { body });
    expect(status).to.equal(201);
    expect(answer).to.deep.equal({ machine: 'e1', fleet: 'fleet.test', fleet_key: verifierKeyOf(fleet.signer) });
    expect((await ask('POST', '/api/v1/enrol', { body })).status).to.equal(410);
    const again = await fleet.enrolment.invite('e1', {}, 'test').catch((error: Error) => error);
    expect(again).to.include({ code: 'conflict' });
  });

  it('takes no secret that was printed before the one that was used, and one use of many at once', async () => {
    const [first, second] = [
      await fleet.enrolment.invite('e3', {}, 'test'),
      await fleet.enrolment.invite('e3', {}, 'test'),
    ];
    const enrol = (secret: string, token: string): Promise<Answer> =>
      ask('POST', '/api/v1/enrol', { body: { machine: 'e3', secret, token_sha256: sha256(token), public_key: 'key' } });
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((token) => enrol(second, token)));
    expect(answers.map(({ status }) => status)).to.have.members([201, 410, 410, 410]);
    expect((await enrol(first, 'e')).status).to.equal(403);
  });

  it('has whoever guesses secrets wait, and nobody else', async () => {
    const secret = await fleet.enrolment.invite('g1', {}, 'test');
    const guess = (machine: string, guessed: string): Promise<Answer> =>
      ask('POST', '/api/v1/enrol', {
        body: { machine, secret: guessed, token_sha256: sha256('t'), public_key: 'key' },
      });
    const answers = [];
    for (let n = 0; n < 22; n++) answers.push(await guess('g1', `guess ${n}`));
    expect(answers.slice(0, 20).every(({ status }) => status === 403)).to.equal(true);
    expect(answers.at(-1)!.status).to.equal(429);
    expect(Number(answers.at(-1)!.headers['retry-after'])).to.be.within(1, 6);
    expect((await guess('g1', secret)).status).to.equal(429);
    const other = await fleet.enrolment.invite('g2', {}, 'test');
    expect((await guess('g2', other)).status).to.equal(201);
  });

  it('gives no machine the name that another is shown with', async () => {
    await enrolled('n1');
    await fleet.enrolment.rename('n1', 'n2', 'test');
    const refused = await fleet.enrolment.invite('n2', {}, 'test').catch((error: Error) => error);
    expect(refused).to.include({ code: 'conflict' });
  });

  it('knows a machine by the name that it is shown with, too, and says what its own is', async () => {
    await enrolled('s1');
    const said: string[] = [];
    const run = (command: AdministrationRequest['command'], name: string, newName = '') =>
      administer(fleet, { command, name, newName, labels: {}, who: 'test' }, (line) => void said.push(line));
    await run('rename', 's1', 'front');
    expect(await run('rotate', 'front')).to.match(/^[\w-]{43}$/);
    expect(said.at(-1)).to.match(/one-time secret, .* ship --enrol --fleet URL --machine s1$/);
    await run('rename', 'front', 'back');
    await run('rebuild', 'back');
    await run('revoke', 'back');
    const row = fleet.db.selectFrom('machines').select(['name', 'revoked_at']).where('machine', '=', 's1');
    const { name, revoked_at } = await row.executeTakeFirstOrThrow();
    expect([name, revoked_at]).to.deep.equal(['back', revoked_at]).and.not.include(null);
    expect(await run('revoke', 'front').catch((error: Error) => error.message)).to.equal(
      'the fleet knows no machine front',
    );
  });

  it('keeps the labels of a machine that is enrolled again without any, and says which label is wrong', async () => {
    const labelsOf = async (): Promise<object | undefined> =>
      (await fleet.db.selectFrom('machines').select('labels').where('machine', '=', 'l1').executeTakeFirst())?.labels;
    const invite = (labels: Record<string, string>) =>
      fleet.enrolment.invite('l1', labels, 'test').catch((error: Error) => error.message);
    await invite({ site: 'berlin' });
    await fleet.enrolment.revoke('l1', 'test');
    await invite({});
    expect(await labelsOf()).to.deep.equal({ site: 'berlin' });
    await invite({ site: 'lisbon' });
    expect(await labelsOf()).to.deep.equal({ site: 'lisbon' });
    expect(await invite({ site: 'München' })).to.match(/^label site=München: its name and its value must be 1 to 63 /);
    expect(await labelsOf()).to.deep.equal({ site: 'lisbon' });
  });

  it('lets in only the machine itself, until it is revoked', async () => {
    const [token, other] = [await enrolled('a1'), await enrolled('a2')];
    const log = new MachineLog('a1');
    const path = entries('a1', log);
    const body = log.body(1);
    expect((await ask('PUT', path, { body })).status).to.equal(401);
    expect((await ask('PUT', path, { body, token: 'nobody' })).status).to.equal(403);
    expect((await ask('PUT', path, { body, token: other })).status).to.equal(403);
    expect((await ask('GET', `/api/v1/machines/a1/logs/${log.id}`, { token })).status).to.equal(404);
    const stored = await ask('PUT', path, { body, token });
    expect(stored.status).to.equal(200);
    expect(stored.body).to.include({ machine: 'a1', log: log.id, through: 1, hash: log.hashOf(1) });
    const held = await ask('GET', `/api/v1/machines/a1/logs/${log.id}`, { token });
    expect(held.body).to.deep.equal({ machine: 'a1', log: log.id, through: 1, hash: log.hashOf(1) });
    // Rotated: the old token is good until the new one is there.
    const secret = await fleet.enrolment.rotate('a1', 'test');
    expect((await ask('PUT', path, { body, token })).status).to.equal(200);
    const enrolment = { machine: 'a1', secret, token_sha256: sha256('second'), public_key: 'key' };
    expect((await ask('POST', '/api/v1/enrol', { body: enrolment })).status).to.equal(201);
    expect((await ask('PUT', path, { body, token })).status).to.equal(403);
    expect((await ask('PUT', path, { body, token: 'second' })).status).to.equal(200);
    await fleet.enrolment.revoke('a1', 'test');
    expect((await ask('PUT', path, { body, token: 'second' })).status).to.equal(403);
  });

  it('lets in nobody under a name that no machine has', async () => {
    const token = await enrolled('a3');
    for (const name of [
      'a%00b',
      '%2e%2e',
      'a3%2Fx',
      '%F0%9F%98%80',
      'a'.repeat(2000),
      '__proto__',
      "a3'--",
      'A3%20',
      '%20a3',
    ])
      for (const [method, path] of [
        ['PUT', 'status'],
        ['GET', 'commands'],
        ['GET', `logs/${'a'.repeat(64)}`],
        ['PUT', `logs/${'a'.repeat(64)}/entries?from=1`],
        ['POST', 'commands/x%00/result'],
      ] as const) {
        const { status, body } = await ask(method, `/api/v1/machines/${name}/${path}`, {
          token,
          ...(method === 'GET' ? {} : { body: {} }),
        });
        expect(status, `${method} ${name} ${path} ${JSON.stringify(body)}`).to.equal(403);
      }
    // Those of a machine, with what no column can hold.
    const result = { status: 200, body: {} };
    const odd = await ask('POST', '/api/v1/machines/a3/commands/x%00/result', { token, body: result });
    expect(odd.status).to.be.within(400, 404);
    expect(
      (await ask('PUT', '/api/v1/machines/a3/status', { token, body: { clock: '+275760-09-13' } })).status,
    ).to.equal(200);
    const far = {
      entries: -(2 ** 53) + 1,
      version: '\ud800\0',
      log: {},
      policy: { digest: [], text: '\0' },
      health: 1,
    };
    expect((await ask('PUT', '/api/v1/machines/a3/status', { token, body: far })).status).to.equal(200);
  });

  it('says in a 409 what is expected', async () => {
    const token = await enrolled('c1');
    const log = new MachineLog('c1').fill(20);
    const { status, body } = await ask('PUT', entries('c1', log, 5), { body: log.body(5), token });
    expect(status).to.equal(409);
    expect(body).to.deep.include({ code: 'unexpected_from', expected: { log: log.id, from: 1, prev_hash: '' } });
    expect(body.error).to.be.a('string');
  });

  it('refuses what is too large, also when it only unpacks to that', async () => {
    const token = await enrolled('l1');
    const log = new MachineLog('l1');
    const path = entries('l1', log);
    const headers = { 'content-encoding': 'gzip' };
    expect((await ask('PUT', path, { body: gzipSync(log.body(1)), headers, token })).status).to.equal(200);
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    expect((await ask('PUT', path, { body: bomb, headers, token })).status).to.equal(413);
    expect((await ask('PUT', path, { body: Buffer.alloc(5 * 1024 * 1024, 'x'), token })).status).to.equal(413);
    expect((await ask('PUT', path, { body: Buffer.from('\n'.repeat(1001)), token })).status).to.equal(413);
    expect((await ask('PUT', path, { body: Buffer.from('no gzip'), headers, token })).status).to.equal(400);
    const other = { 'content-encoding': 'compress' };
    expect((await ask('PUT', path, { body: Buffer.from('x'), headers: other, token })).status).to.equal(415);
  });

  it('unpacks what is usual, and no bomb in any of it', async () => {
    const pack = {
      gzip: gzipSync,
      'X-GZIP': gzipSync,
      deflate: deflateSync,
      br: brotliCompressSync,
      Zstd: zstdCompressSync,
      identity: (body: Buffer) => body,
    };
    for (const [encoding, packed] of Object.entries(pack)) {
      const name = `u-${encoding}`;
      const token = await enrolled(name);
      const log = new MachineLog(name).fill(4);
      const path = entries(name, log);
      const headers = { 'content-encoding': encoding };
      const send = async (body: Buffer): Promise<number> => (await ask('PUT', path, { body, headers, token })).status;
      expect(await send(packed(log.body(1))), encoding).to.equal(200);
      expect(await send(packed(Buffer.alloc(64 * 1024 * 1024))), encoding).to.equal(413);
      if (encoding !== 'identity') expect(await send(Buffer.from('something else')), encoding).to.equal(400);
    }
  });

  it('slows down a machine that floods, and no other', async () => {
    const [token, other] = [await enrolled('f1'), await enrolled('f2')];
    const log = new MachineLog('f1').fill(1000);
    const first = await ask('PUT', entries('f1', log), { body: log.body(1, 900), token });
    expect(first.status).to.equal(200);
    expect(first.body.retry_after_ms).to.be.above(0);
    expect(first.body).not.to.have.property('wait');
    const second = await ask('PUT', entries('f1', log, 901), { body: log.body(901, 1000), token });
    expect(second.status).to.equal(429);
    expect(Number(second.headers['retry-after'])).to.be.above(0);
    const quiet = new MachineLog('f2').fill(10);
    expect((await ask('PUT', entries('f2', quiet), { body: quiet.body(1), token: other })).status).to.equal(200);
  });

  it('counts what it refuses, too', async () => {
    const small = await engine.fleet({ quota: { entriesPerSecond: 1e6, bytesPerSecond: 100_000 } });
    const usual = fleet;
    fleet = small;
    try {
      const token = await enrolled('r1');
      const path = entries('r1', new MachineLog('r1'));
      expect((await ask('PUT', path, { body: Buffer.alloc(4_000_000, 'x'), token })).status).to.equal(409);
      expect((await ask('PUT', path, { body: Buffer.from('x'), token })).status).to.equal(429);
      const other = await enrolled('r2');
      const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
      const headers = { 'content-encoding': 'gzip' };
      const bombed = entries('r2', new MachineLog('r2'));
      expect((await ask('PUT', bombed, { body: bomb, headers, token: other })).status).to.equal(413);
      expect((await ask('PUT', bombed, { body: bomb, headers, token: other })).status).to.equal(429);
    } finally {
      fleet = usual;
      await small.stop();
    }
  });

  it('withholds evidence where that is configured', async () => {
    const restricted = await engine.fleet({ readEvidence: 'restricted' });
    const usual = fleet;
    fleet = restricted;
    try {
      const token = await enrolled('v1');
      const log = new MachineLog('v1');
      log.report({ what: 'a secret' });
      expect((await ask('PUT', entries('v1', log), { body: log.body(1), token })).status).to.equal(200);
      const { status, body } = await ask('GET', '/api/v1/incidents');
      expect(status).to.equal(200);
      expect(JSON.stringify(body)).to.include('v1').and.not.to.include('a secret');
    } finally {
      fleet = usual;
      await restricted.stop();
    }
    expect(readFleetConfig({ FLEET_READ_EVIDENCE: 'restricted' }, '/x').readEvidence).to.equal('restricted');
    expect(readFleetConfig({}, '/x').readEvidence).to.equal('open');
  });

  it('has a machine ask for commands a few times at once, and others unharmed', async () => {
    const [token, other] = [await enrolled('w1'), await enrolled('w2')];
    const answered: number[] = [];
    const poll = async (machine: string, of: string): Promise<number> => {
      const { status } = await ask('GET', `/api/v1/machines/${machine}/commands?wait=60`, { token: of });
      answered.push(status);
      return status;
    };
    const polls = Array.from({ length: 6 }, () => poll('w1', token));
    const others = poll('w2', other);
    await eventually(() => answered.length === 4);
    expect(answered).to.deep.equal([429, 429, 429, 429]);
    // Two of them wait, and the other machine.
    for (const machine of ['w1', 'w2']) await waits(machine, `CMD-${machine}`, 'note', Date.now());
    expect(await others).to.equal(200);
    expect(await Promise.all(polls)).to.have.members([200, 200, 429, 429, 429, 429]);
    expect((await ask('PUT', '/api/v1/machines/w1/status', { body: {}, token })).status).to.equal(200);
  });

  it('takes the state of a machine, and asks for its policy when that is another', async () => {
    const token = await enrolled('s1');
    const status = {
      version: '0.1.0',
      log: 'x',
      entries: 7,
      policy: { digest: 'one', source: 'file' },
      health: { status: 'ok', odd: '\0\ud800' },
      clock: new Date(Date.now() + 60_000).toISOString(),
    };
    const put = (body: object): Promise<Answer> => ask('PUT', '/api/v1/machines/s1/status', { body, token });
    expect((await put(status)).body).to.deep.equal({ policy_wanted: true });
    expect((await put({ ...status, policy: { ...status.policy, text: 'version: 1' } })).body).to.deep.equal({});
    expect((await put(status)).body).to.deep.equal({});
    expect((await put({ ...status, policy: { digest: 'two', source: 'file' } })).body).to.deep.equal({
      policy_wanted: true,
    });
    const row = await fleet.db.selectFrom('machines').selectAll().where('machine', '=', 's1').executeTakeFirstOrThrow();
    expect(row).to.include({ version: '0.1.0', entries: 7, policy_digest: 'two', policy_text: null });
    expect(row.clock_skew_ms).to.be.within(50_000, 70_000);
    expect(row.health).to.include({ status: 'ok' });
  });

  it('gives commands to their machine, and takes their results', async () => {
    const token = await enrolled('o1');
    expect((await ask('GET', '/api/v1/machines/o1/commands', { token })).body).to.deep.equal([]);
    await fleet.db
      .insertInto('commands')
      .values({
        machine: 'o1',
        id: 'CMD-1',
        command: 'acknowledge',
        body: '{}',
        signed: 'note',
        by: 'ada',
        role: 'operator',
        issued_at: new Date(),
        expires_at: new Date(Date.now() + 60_000),
        state: 'pending',
      })
      .execute();
    expect((await ask('HEAD', '/api/v1/machines/o1/commands?wait=30', { token })).status).to.equal(200);
    const given = fleet.db.selectFrom('commands').select('state').where('machine', '=', 'o1');
    expect(await given.execute()).to.deep.equal([{ state: 'pending' }]);
    const waiting = await ask('GET', '/api/v1/machines/o1/commands?wait=30', { token });
    expect(waiting.body).to.deep.equal([{ id: 'CMD-1', command: 'note' }]);
    const result = { status: 409, body: { error: 'resolved already' } };
    const path = '/api/v1/machines/o1/commands/CMD-1/result';
    expect((await ask('POST', path, { body: result, token })).status).to.equal(204);
    const stored = fleet.db.selectFrom('commands').where('machine', '=', 'o1');
    expect(await stored.select(['state', 'status']).execute()).to.deep.equal([{ state: 'refused', status: 409 }]);
    for (const [body, state] of [
      [{ error: 'it is in the archive', archived: { first_seq: 1, last_seq: 9 } }, 'refused'],
      [{ error: 'the command has expired' }, 'expired'],
    ] as const) {
      await ask('POST', path, { body: { status: 410, body }, token });
      expect(await stored.select('state').execute()).to.deep.equal([{ state }]);
    }
    expect((await ask('GET', '/api/v1/machines/o1/commands', { token })).body).to.deep.equal([]);
    expect((await ask('POST', '/api/v1/machines/o1/commands/CMD-2/result', { body: result, token })).status).to.equal(
      404,
    );
  });

  const waits = (machine: string, id: string, signed: string, issued: number) =>
    fleet.db
      .insertInto('commands')
      .values({
        machine,
        id,
        command: 'note',
        body: '{}',
        signed,
        by: 'ada',
        role: 'operator',
        issued_at: new Date(issued),
        expires_at: new Date(Date.now() + 600_000),
        state: 'pending',
      })
      .execute();
  const given = async (machine: string, token: string): Promise<string[]> => {
    const { body } = await ask('GET', `/api/v1/machines/${machine}/commands`, { token });
    return (body as unknown as { id: string }[]).map(({ id }) => id);
  };

  it('gives none to a machine that was revoked, or has another token, while it waited', async () => {
    for (const [name, end] of [
      ['v2', () => fleet.enrolment.revoke('v2', 'test')],
      [
        'v3',
        async () => {
          const secret = await fleet.enrolment.rotate('v3', 'test');
          const body = { machine: 'v3', secret, token_sha256: sha256('another'), public_key: 'key' };
          expect((await ask('POST', '/api/v1/enrol', { body })).status).to.equal(201);
        },
      ],
    ] as const) {
      const token = await enrolled(name);
      const waiting = ask('GET', `/api/v1/machines/${name}/commands?wait=20`, { token });
      await new Promise((resolve) => setTimeout(resolve, 300));
      await end();
      await waits(name, `CMD-${name}`, 'note', Date.now());
      expect((await waiting).status, name).to.equal(403);
      const row = await fleet.db.selectFrom('commands').select('state').where('machine', '=', name).executeTakeFirst();
      expect(row).to.deep.equal({ state: 'pending' });
    }
  });

  it('gives newer commands, too, while many others have no answer', async () => {
    const token = await enrolled('o2');
    const start = Date.now() - 60_000;
    for (let n = 10; n < 80; n++) await waits('o2', `CMD-${n}`, 'note', start + n);
    const first = await given('o2', token);
    expect(first).to.have.length(64).and.deep.equal(first.toSorted());
    await waits('o2', 'CMD-new', 'note', Date.now());
    const seen = new Set([...(await given('o2', token)), ...(await given('o2', token))]);
    expect([...seen])
      .to.include('CMD-new')
      .and.include('CMD-79')
      .and.have.length(71);
  });

  it('gives no more of them at once than a shipper reads', async () => {
    const token = await enrolled('o3');
    const note = '"'.repeat(500_000);
    for (let n = 10; n < 20; n++) await waits('o3', `CMD-${n}`, note, Date.now() + n);
    const seen = new Set<string>();
    for (let n = 0; n < 10; n++) {
      const { body, headers } = await ask('GET', '/api/v1/machines/o3/commands', { token });
      expect(Number(headers['content-length'])).to.be.below(4 * 1024 * 1024);
      for (const { id } of body as unknown as { id: string }[]) seen.add(id);
    }
    expect(seen.size).to.equal(10);
  });

  it('wants a machine that signs its requests to sign all, for what they are and when', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const secret = await fleet.enrolment.invite('k1', {}, 'test');
    const token = 'token-of-k1';
    const public_key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    await ask('POST', '/api/v1/enrol', { body: { machine: 'k1', secret, token_sha256: sha256(token), public_key } });
    const log = new MachineLog('k1').fill(3);
    const path = entries('k1', log);
    const body = log.body(1);
    const signed = (changes: object = {}, key = privateKey): Record<string, string> => {
      const asked = { method: 'PUT', target: path, time: Date.now(), digest: digestOf(body), ...changes };
      return { [SIGNATURE_HEADER]: signRequest(asked, key) };
    };
    const put = async (headers: Record<string, string>, more: object = {}): Promise<Answer> =>
      ask('PUT', path, { body, token, headers, ...more });
    // Until it has signed one, its token is enough.
    expect((await put({})).status).to.equal(200);
    expect((await put(signed())).status).to.equal(200);
    expect((await put({})).status).to.equal(403);
    expect((await ask('GET', '/api/v1/machines/k1/commands', { token })).status).to.equal(403);
    expect((await put(signed({}, generateKeyPairSync('ed25519').privateKey))).status).to.equal(403);
    expect((await put(signed({ target: `${path}0` }))).status).to.equal(403);
    expect((await put(signed({ method: 'POST' }))).status).to.equal(403);
    expect((await put(signed(), { body: Buffer.concat([body, Buffer.from('\n')]) })).status).to.equal(403);
    expect((await put({ [SIGNATURE_HEADER]: 't=1; sha256=; sig=' })).status).to.equal(403);
    const late = await put(signed({ time: Date.now() - 360_000 }));
    expect(late.status).to.equal(401);
    expect(late.body).to.include({ code: 'signed_at_another_time' });
    expect(late.body.now).to.be.closeTo(Date.now(), 60_000);
    expect((await put(signed())).status).to.equal(200);
    // Enrolled again, with a key that can sign nothing.
    const again = await fleet.enrolment.rotate('k1', 'test');
    await ask('POST', '/api/v1/enrol', {
      body: { machine: 'k1', secret: again, token_sha256: sha256(token), public_key: 'key' },
    });
    expect((await put({})).status).to.equal(200);
  });
});
