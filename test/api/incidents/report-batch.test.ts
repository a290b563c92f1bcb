import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { expect } from 'chai';
import { EVERY_ROLE, type Principal } from '../../../src/access/principal.ts';
import { RecorderError } from '../../../src/errors.ts';
import { canonicalForm } from '../../../src/json/canonical-form.ts';
import { eventually } from '../../support/eventually.ts';
import { command, dial, serve, stopServing } from '../support/client.ts';
import { incident, standIn, TOKEN } from '../support/dependencies.ts';

const PATH = '/api/v1/incidents/reports';
const LINES = { 'Content-Type': 'application/x-ndjson' };
const report = { class: 'prompt_injection', source: 'gateway', description: 'é \u2028 😀' };
const full = { ...report, severity: 'low', evidence: { b: [1, { a: null }], a: 1.5 }, dedup_key: 'k' };
const CREATED = { status: 201, incident: { id: 'INC-20261122-000000000002', version: 1 } };
const REQUIRED = { status: 400, error: 'class, source, and description are required' };

describe('POST /api/v1/incidents/reports', () => {
  afterEach(stopServing);

  it('passes the reports of an array on as they were sent, and answers with an item for each in order', async () => {
    for (const text of [JSON.stringify([report, full]), JSON.stringify([report, full], null, 2)]) {
      const dependencies = standIn();
      const { status, headers, body } = await command(await serve(dependencies), PATH, text);
      expect([status, body]).to.deep.equal([200, [CREATED, CREATED]]);
      expect(headers).to.include({ 'content-type': 'application/json', 'cache-control': 'no-store' });
      expect(dependencies.reports.map((passed) => passed.report)).to.deep.equal([report, full]);
    }
  });

  it('takes a report from each line of NDJSON; blank lines, and one without an end, do no harm', async () => {
    for (const text of [
      `${JSON.stringify(report)}\n${JSON.stringify(full)}\n`,
      `${JSON.stringify(report)}\r\n\n  \n{ "idempotency_key": null, ${JSON.stringify(full, null, ' ').replaceAll('\n', '').slice(1)}`,
    ]) {
      for (const type of ['application/x-ndjson', 'Application/X-NDJSON; charset=utf-8']) {
        const dependencies = standIn();
        const answer = await command(await serve(dependencies), PATH, text, { 'Content-Type': type });
        expect([answer.status, answer.body]).to.deep.equal([200, [CREATED, CREATED]]);
        expect(dependencies.reports.map((passed) => passed.report)).to.deep.equal([report, full]);
      }
    }
  });

  it('answers for each line that is not blank in JSON, so that nobody is given the answer of another line', async () => {
    for (const odd of ['\ufeff', '\u3000 ', '\u000b']) {
      const text = [odd, ' \t\r', JSON.stringify(report)].join('\n');
      const { body } = await command(await serve(standIn()), PATH, text, LINES);
      expect(body).to.have.length(2);
      expect(body[0]).to.deep.equal({ status: 400, error: 'invalid JSON' });
      expect(body[1]).to.include({ status: 201 });
    }
  });

  it('refuses a bad report alone', async () => {
    const bad: readonly (readonly [text: string, item: object])[] = [
      ['{}', REQUIRED],
      [JSON.stringify({ ...report, class: 'unknown' }), { status: 400, error: 'invalid incident class' }],
      [`{"class":"prompt_injection","class":"prompt_injection"}`, { status: 400, error: 'class: duplicate key' }],
      [
        JSON.stringify({ ...report, evidence: { n: 1 } }).replace('1}', '1e400}'),
        { status: 400, error: 'evidence.n: number too large' },
      ],
      [
        JSON.stringify({ ...report, evidence: { n: 1 } }).replace('1}', '0.1000000000000000055}'),
        { status: 400, error: 'evidence.n: number with more digits than can be kept' },
      ],
      [
        `{"class":"prompt_injection", "evidence": {"__proto__": {}}}`,
        { status: 400, error: 'evidence.__proto__: the key __proto__ is not allowed' },
      ],
      [
        JSON.stringify({ ...report, description: 'x' }).replace('x', '\\ud800'),
        { status: 400, error: 'description: lone surrogate in a string' },
      ],
      [
        `{"evidence":${'['.repeat(60)}${']'.repeat(60)}}`,
        { status: 400, error: `evidence${'[0]'.repeat(32)}: nested too deeply` },
      ],
      ['7', { status: 400, error: 'invalid JSON' }],
      ['null', { status: 400, error: 'invalid JSON' }],
      ['"text, with ] and ,"', { status: 400, error: 'invalid JSON' }],
      ['[{"a":[1]}, 2]', { status: 400, error: 'invalid JSON' }],
      ['-1.50', { status: 400, error: 'invalid JSON' }],
      [
        JSON.stringify({ ...report, idempotency_key: 'a b' }),
        { status: 400, error: 'idempotency_key must be 1 to 255 visible ASCII characters' },
      ],
      [JSON.stringify({ ...report, idempotency_key: 7 }), { status: 400 }],
      [
        JSON.stringify({ ...report, serverity: 'low' }),
        {
          status: 400,
          error:
            'unknown field "serverity" (allowed: class, source, description, severity, evidence, dedup_key, idempotency_key)',
        },
      ],
    ];
    const good = JSON.stringify(report);
    for (const [text, item] of bad) {
      for (const [body, headers] of [
        [`[${good},${text},${good}]`, {}],
        [`[ ${good} ,\n${text}\t, ${JSON.stringify(report, null, 1)}\n]`, {}],
        [`${good}\n${text}\n${good}\n`, LINES],
      ] as const) {
        const dependencies = standIn();
        const { status, body: items } = await command(await serve(dependencies), PATH, body, headers);
        expect(status, text).to.equal(200);
        expect(items, text).to.have.length(3);
        expect([items[0], items[2]]).to.deep.equal([CREATED, CREATED]);
        expect(items[1], text).to.deep.include(item);
        expect(dependencies.reports).to.have.length(2);
      }
    }
  });

  it('refuses a line that is no JSON, or no UTF-8, alone', async () => {
    const good = Buffer.from(JSON.stringify(report));
    for (const wrong of [
      Buffer.from('{"class":'),
      Buffer.from('{"description":"\xff"}', 'latin1'),
      Buffer.from('\xff', 'latin1'),
    ]) {
      const body = Buffer.concat([good, Buffer.from('\n'), wrong, Buffer.from('\n'), good]);
      const answer = await command(await serve(standIn()), PATH, body, LINES);
      expect(answer.body).to.deep.equal([CREATED, { status: 400, error: 'invalid JSON' }, CREATED]);
    }
  });

  it('refuses the whole when it is no batch', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const asked = async (body: unknown, headers = {}) => {
      const answer = await command(server, PATH, body, headers);
      return [answer.status, answer.body.error];
    };
    const noBatch = 'a batch is a JSON array of reports, or NDJSON';
    expect(await asked('[{"class":]')).to.deep.equal([400, 'invalid JSON']);
    expect(await asked('')).to.deep.equal([400, 'invalid JSON']);
    expect(await asked(Buffer.from('["\xff"]', 'latin1'))).to.deep.equal([400, 'invalid JSON']);
    expect(await asked(report)).to.deep.equal([400, noBatch]);
    expect(await asked('7')).to.deep.equal([400, noBatch]);
    const tooMany = [413, 'a batch has at most 100 reports'];
    expect(await asked(Array.from({ length: 101 }, () => report))).to.deep.equal(tooMany);
    expect(await asked(`${JSON.stringify(report)}\n`.repeat(101), LINES)).to.deep.equal(tooMany);
    expect(await asked([{ ...report, description: 'x'.repeat(2 ** 18) }])).to.deep.equal([
      413,
      'body longer than 256 KiB',
    ]);
    expect(await asked([report], { 'Content-Type': 'text/plain' })).to.deep.equal([
      415,
      'Content-Type must be application/json or application/x-ndjson, in UTF-8',
    ]);
    expect(await asked([report], { 'Content-Encoding': 'gzip' })).to.include(415);
    expect(await asked([report], { 'Idempotency-Key': 'k' })).to.deep.equal([
      400,
      'a batch has no Idempotency-Key: give each report its own idempotency_key',
    ]);
    expect(dependencies.reports).to.deep.equal([]);
  });

  it('takes 100 reports, and none', async () => {
    const server = await serve(standIn());
    expect(
      (
        await command(
          server,
          PATH,
          Array.from({ length: 100 }, () => report),
        )
      ).body,
    ).to.have.length(100);
    expect((await command(server, PATH, `${JSON.stringify(report)}\n`.repeat(100), LINES)).body).to.have.length(100);
    expect((await command(server, PATH, [])).body).to.deep.equal([]);
    expect((await command(server, PATH, '\n', LINES)).body).to.deep.equal([]);
  });

  it('gives each report its own key, with the fingerprint of the report alone', async () => {
    const dependencies = standIn();
    const fingerprint = createHash('sha256').update(canonicalForm(full)).digest('hex');
    await command(await serve(dependencies), PATH, [
      { idempotency_key: 'k', ...full },
      { ...full, idempotency_key: '' },
    ]);
    expect(dependencies.reports).to.deep.equal([
      { report: full, idempotency: { key: 'k', fingerprint } },
      { report: full, idempotency: undefined },
    ]);
  });

  it('refuses what the principal is not bound to alone, with what would be allowed', async () => {
    const bound: Principal = { name: 'gateway', roles: ['reporter'], sources: ['gateway'] };
    const access = { principalOf: () => bound, proofKey: () => undefined };
    const { body } = await command(await serve(standIn({ access })), PATH, [report, { ...report, source: 'airlock' }]);
    expect(body[0]).to.deep.equal(CREATED);
    expect(body[1]).to.deep.include({ status: 403, sources: ['gateway'], needs: ['reporter'] });
  });

  it('answers each as the report alone would be', async () => {
    const dependencies = standIn();
    const recorder = {
      ...dependencies.recorder,
      reportAll: async () => [
        { incident: incident('INC-1', 2), change: 'recurred' as const },
        { incident: incident('INC-2', 3), change: 'replayed' as const },
        new RecorderError('idempotency_mismatch', 'this Idempotency-Key was used with another report'),
        new RecorderError('quota_exceeded', 'too much', { fields: { retry_after: 7 } }),
        new RecorderError('internal', 'a secret'),
      ],
    };
    const { body } = await command(
      await serve({ ...dependencies, recorder }),
      PATH,
      Array.from({ length: 5 }, () => report),
    );
    expect(body).to.deep.equal([
      { status: 200, incident: { id: 'INC-1', version: 2 } },
      { status: 200, replayed: true, incident: { id: 'INC-2', version: 3 } },
      { status: 422, error: 'this Idempotency-Key was used with another report' },
      { status: 429, error: 'too much', retry_after: 7 },
      { status: 500, error: 'internal error' },
    ]);
  });

  it('withholds the evidence of what is on record from who may not see it, and not that of a new incident', async () => {
    const reporter: Principal = { name: 'gateway', roles: ['reporter'] };
    const known = { id: 'INC-1', version: 2, state: 'open' as const, json: '{"id":"INC-1","evidence":{"a":1}}' };
    for (const principal of [reporter, EVERY_ROLE]) {
      const dependencies = standIn({
        access: { principalOf: () => principal, proofKey: () => undefined },
        readEvidence: 'restricted',
      });
      const recorder = {
        ...dependencies.recorder,
        reportAll: async () => [
          { incident: known, change: 'created' as const },
          { incident: known, change: 'recurred' as const },
        ],
      };
      const { body } = await command(await serve({ ...dependencies, recorder }), PATH, [report, report]);
      expect(body[0].incident.evidence).to.deep.equal({ a: 1 });
      expect(body[1].incident.evidence).to.deep.equal(principal === EVERY_ROLE ? { a: 1 } : undefined);
    }
  });

  it('refuses the whole with 503 when nothing can be recorded', async () => {
    const dependencies = standIn();
    const recorder = {
      ...dependencies.recorder,
      reportAll: () => Promise.reject(new RecorderError('log_unavailable', 'ENOSPC')),
    };
    const { status, headers, body } = await command(await serve({ ...dependencies, recorder }), PATH, [report]);
    expect([status, body]).to.deep.equal([503, { error: 'ENOSPC' }]);
    expect(headers['retry-after']).to.equal('5');
  });

  it('keeps half of the room for bodies free of batches', async () => {
    const dependencies = standIn();
    const free = Promise.withResolvers<void>();
    const recorder = {
      ...dependencies.recorder,
      reportAll: async () => {
        await free.promise;
        return [{ incident: incident('INC-1', 1), change: 'created' as const }];
      },
    };
    const server = await serve({ ...dependencies, recorder });
    const large = [{ ...report, description: 'x'.repeat(200 * 1024) }];
    const waiting = [command(server, PATH, large), command(server, PATH, large)];
    let refused = await command(server, PATH, large);
    // One of them may have come before those that wait.
    while (refused.status !== 503) refused = await command(server, PATH, large);
    expect(refused.body.error).to.equal('too many bodies at once; try again');
    expect((await command(server, '/api/v1/incidents/report', large[0])).status).to.equal(201);
    free.resolve();
    for (const answer of await Promise.all(waiting)) expect(answer.status).to.equal(200);
  });

  it('counts a batch whose client has left until it is recorded', async () => {
    const dependencies = standIn();
    const free = Promise.withResolvers<void>();
    let begun = 0;
    const recorder = {
      ...dependencies.recorder,
      reportAll: async () => {
        if (++begun <= 2) await free.promise;
        return [{ incident: incident('INC-1', 1), change: 'created' as const }];
      },
    };
    const server = await serve({ ...dependencies, recorder });
    const text = JSON.stringify([{ ...report, description: 'x'.repeat(200 * 1024) }]);
    for (const count of [1, 2]) {
      const leaving = await dial(server);
      leaving.write(`POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n`);
      leaving.write(`Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
      await eventually(() => begun >= count);
      leaving.destroy();
      await once(leaving, 'close');
    }
    const third = command(server, PATH, [report]);
    const { status, body } = await command(server, PATH, text);
    expect([status, body]).to.deep.equal([503, { error: 'too many bodies at once; try again' }]);
    expect(begun).to.equal(2);
    free.resolve();
    expect((await third).status).to.equal(200);
    expect((await command(server, PATH, text)).status).to.equal(200);
  });

  it('asks for the token before any of it is read', async () => {
    const { status } = await command(await serve(standIn()), PATH, [report], { Authorization: `Bearer not-${TOKEN}` });
    expect(status).to.equal(403);
  });
});
