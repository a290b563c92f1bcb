import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { CLASSES, SEVERITIES } from '../../../machines/vocabulary.ts';
import { canonicalForm } from '../../../src/json/canonical-form.ts';
import { type Answer, command, serve, stopServing } from '../support/client.ts';
import { incident, standIn } from '../support/dependencies.ts';

const PATH = '/api/v1/incidents/report';
const REQUIRED = 'class, source, and description are required';
const report = { class: 'prompt_injection', source: 'gateway', description: '\u00e9 \u2028 \ud83d\ude00' };
const full = { ...report, severity: 'low', evidence: { b: [1, { a: null }], a: 1.5 }, dedup_key: 'k' };

describe('POST /api/v1/incidents/report', () => {
  afterEach(stopServing);

  it('passes the report on as it was sent, and responds 201 with the incident and its location', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    for (const sent of [report, full]) {
      const { status, headers, body } = await command(server, PATH, sent);
      expect([status, body]).to.deep.equal([201, { id: 'INC-20261122-000000000002', version: 1 }]);
      expect(headers).to.include({ location: '/api/v1/incidents/get?id=INC-20261122-000000000002', etag: '"1"' });
      expect(headers['cache-control']).to.equal('no-store');
      expect(dependencies.reports.at(-1)).to.deep.equal({ report: sent, idempotency: undefined });
    }
  });

  it('answers 200 where there was an incident already, and says whether the report was sent twice', async () => {
    for (const change of ['recurred', 'replayed'] as const) {
      const dependencies = standIn();
      const recorder = { ...dependencies.recorder, report: async () => ({ incident: incident('INC-1', 2), change }) };
      const { status, headers } = await command(await serve({ ...dependencies, recorder }), PATH, report);
      expect([status, headers.location, headers.etag]).to.deep.equal([200, undefined, '"2"']);
      expect(headers['idempotent-replayed']).to.equal(change === 'replayed' ? 'true' : undefined);
    }
  });

  it('takes an optional field that is null or empty as left out', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const fingerprint = createHash('sha256').update(canonicalForm(report)).digest('hex');
    for (const empty of [
      { severity: '' },
      { severity: null },
      { evidence: null },
      { dedup_key: '' },
      { dedup_key: null },
      { severity: '', evidence: '', dedup_key: null },
    ]) {
      const body = { ...report, ...empty };
      expect((await command(server, PATH, body, { 'Idempotency-Key': 'k' })).status, JSON.stringify(empty)).to.equal(
        201,
      );
      // So it is also the same report under the same key.
      expect(dependencies.reports.at(-1)).to.deep.equal({ report, idempotency: { key: 'k', fingerprint } });
    }
    for (const wrong of [{ evidence: [''] }, { evidence: [] }, { severity: ' ' }, { severity: [''] }, { class: null }])
      expect((await command(server, PATH, { ...report, ...wrong })).status, JSON.stringify(wrong)).to.equal(400);
  });

  it('passes the idempotency key on, with the fingerprint of the body', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const reordered =
      '{ "description": "d", "source": "s",\n"class": "tool_call_burst", "evidence": {"b":1, "a":2.0} }';
    const plain = { class: 'tool_call_burst', source: 's', description: 'd', evidence: { a: 2, b: 1 } };
    const fingerprint = createHash('sha256').update(canonicalForm(plain)).digest('hex');
    for (const key of ['k', '"8e03978e-40d5"', '~'.repeat(255)]) {
      for (const body of [reordered, plain]) {
        await command(server, PATH, body, { 'Idempotency-Key': key });
        expect(dependencies.reports.at(-1)?.idempotency).to.deep.equal({ key, fingerprint });
      }
    }
  });

  it('refuses a key that is empty, too long, or not visible ASCII', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    for (const key of ['', ' ', 'a b', 'x'.repeat(256), '\u00e9', ['a', 'b']]) {
      const { status, body } = await command(server, PATH, report, { 'Idempotency-Key': key });
      expect([status, body.error]).to.deep.equal([400, 'Idempotency-Key must be 1 to 255 visible ASCII characters']);
    }
    expect(dependencies.reports).to.deep.equal([]);
  });

  const refusals: readonly (readonly [title: string, body: object, error: string, fields?: object])[] = [
    ['no members', {}, REQUIRED],
    ['no class', { source: 's', description: 'd' }, REQUIRED],
    ['an empty source', { ...report, source: '' }, REQUIRED],
    ['a blank description', { ...report, description: ' \t\n\u00a0' }, REQUIRED],
    ['a class that is no string', { ...report, class: 7 }, REQUIRED],
    ['a source that is null', { ...report, source: null }, REQUIRED],
    ['something missing before an unknown class', { class: 'unknown', source: 's' }, REQUIRED],
    ['something missing before an unknown severity', { severity: 'unknown', source: 's' }, REQUIRED],
    [
      'an unknown class',
      { ...report, class: 'unknown', severity: 'x' },
      'invalid incident class',
      { allowed: CLASSES },
    ],
    [
      'a class in another case',
      { ...report, class: 'PROMPT_INJECTION' },
      'invalid incident class',
      { allowed: CLASSES },
    ],
    ['an unknown severity', { ...report, severity: 'urgent' }, 'invalid severity', { allowed: SEVERITIES }],
    ['evidence that is a list', { ...report, evidence: [] }, 'evidence must be a JSON object'],
    ['evidence that is text', { ...report, evidence: 'text' }, 'evidence must be a JSON object'],
    ['a source of 257 characters', { ...report, source: 'x'.repeat(257) }, 'source must have at most 256 characters'],
    ...[
      ['\u0007', 'U+0007 (a control character)'],
      ['\u0085', 'U+0085 (a control character)'],
      ['\u200b', 'U+200B (a format character)'],
      ['\u202e', 'U+202E (a format character)'],
      ['\ue000', 'U+E000 (a private-use character)'],
      ['\u{f0000}', 'U+F0000 (a private-use character)'],
      ['\uffff', 'U+FFFF (an unassigned character)'],
      ['\u3164', 'U+3164 (a blank or invisible character)'],
      ['\u2800', 'U+2800 (a blank or invisible character)'],
      ['\u00a0', 'U+00A0 (a blank or invisible character)'],
      ['\u2028', 'U+2028 (a blank or invisible character)'],
      ['\ufe00', 'U+FE00 (a blank or invisible character)'],
      ['\u034f', 'U+034F (a blank or invisible character)'],
    ].map(
      ([character, name]) =>
        [
          `a source with ${name}`,
          { ...report, source: `air${character}lock` },
          `source must not hold ${name}`,
        ] as const,
    ),
    [
      'a source with a space at its end',
      { ...report, source: 'airlock ' },
      'source must not begin or end with a space',
    ],
    ['a source with two spaces', { ...report, source: 'air  lock' }, 'source must not hold two spaces in a row'],
    [
      'a dedup_key that is an object with a length',
      { ...report, dedup_key: { length: { toString: 1, valueOf: 1 } } },
      'dedup_key must be a string of 1 to 256 characters',
    ],
    [
      'a long dedup_key',
      { ...report, dedup_key: 'x'.repeat(257) },
      'dedup_key must be a string of 1 to 256 characters',
    ],
  ];
  for (const [title, body, error, fields] of refusals) {
    it(`refuses ${title}`, async () => {
      const dependencies = standIn();
      const answer: Answer = await command(await serve(dependencies), PATH, body);
      expect([answer.status, answer.body]).to.deep.equal([400, { error, ...fields }]);
      expect(dependencies.reports).to.deep.equal([]);
    });
  }

  it('refuses an unknown field before anything else, by its name', async () => {
    const server = await serve(standIn());
    const allowed = ['class', 'source', 'description', 'severity', 'evidence', 'dedup_key'];
    for (const field of ['serverity', 'constructor', 'a"b', 'x'.repeat(64)]) {
      const { status, body } = await command(server, PATH, { [field]: 1, class: 'unknown' });
      const error = `unknown field ${JSON.stringify(field)} (allowed: ${allowed.join(', ')})`;
      expect([status, body]).to.deep.equal([400, { error, allowed }]);
    }
  });
});
