import { expect } from 'chai';
import fc from 'fast-check';
import { bodyFor, headersFor } from '../../src/containment/directive.ts';
import { withoutHidden } from '../../src/domain/hidden-characters.ts';
import type { Incident } from '../../src/domain/incident.ts';

const incident = (said: Partial<Incident> = {}): Incident => ({
  id: 'INC-20261122-000000000001',
  created_at: '2026-11-22T07:12:00.123Z',
  updated_at: '2026-11-22T07:12:00.123Z',
  class: 'manifest_mismatch',
  severity: 'high',
  state: 'contained',
  source: 'integrity-monitor',
  description: 'a digest differs',
  occurrences: 1,
  version: 1,
  hash: '00',
  ...said,
});

describe('what is sent to a service', () => {
  it('is the incident and a reason, and for a model also which', () => {
    const plain = { incident_id: 'INC-20261122-000000000001', reason: 'manifest_mismatch: a digest differs' };
    const evidence = { model_path: 'models/a.gguf', violation_0_path: 'models/b.gguf', model_name: 'a' };
    expect(bodyFor('freeze_agent', incident({ evidence }))).to.deep.equal(plain);
    expect(bodyFor('quarantine_model', incident({ evidence }))).to.deep.equal({
      ...plain,
      model_path: 'models/a.gguf',
      model_name: 'a',
    });
    expect(bodyFor('quarantine_model', incident({ evidence: { violation_0_path: 'models/b.gguf' } }))).to.deep.equal({
      ...plain,
      model_path: 'models/b.gguf',
    });
  });

  it('names the model of the latest report when the first names none', () => {
    const latest_report = { severity: 'high', description: 'd', evidence: { model_path: 'models/b.gguf' } } as const;
    expect(bodyFor('quarantine_model', incident({ latest_report }))).to.include({ model_path: 'models/b.gguf' });
    const evidence = { model_path: 'models/a.gguf' };
    expect(bodyFor('quarantine_model', incident({ evidence, latest_report }))).to.include(evidence);
  });

  for (const [name, evidence] of [
    ['no evidence', undefined],
    ['other evidence', { path: 'models/a.gguf' }],
    ['a path that is no text', { model_path: 7, model_name: ' ' }],
  ] as const) {
    it(`given ${name}, then there is nothing to send about a model, and the reason says so`, () => {
      const found = bodyFor('quarantine_model', incident(evidence === undefined ? {} : { evidence }));
      expect(found).to.equal('the evidence names no model: it has neither model_path, violation_0_path nor model_name');
    });
  }

  for (const [fault, evidence] of [
    ['the path of the model has ".." in it', { model_path: '../../etc/secure-ai/policy' }],
    ['the path of the model has ".." in it', { violation_0_path: 'a/..' }],
    ['the path of the model is not relative', { model_path: '/models/a.gguf' }],
    ['the path of the model is not relative', { model_path: '~root/a' }],
    ['the path of the model is not relative', { model_path: String.raw`..\a` }],
    ['the path of the model is not relative', { model_path: 'file:a' }],
    ['the path of the model begins with a hyphen, like an option', { model_path: '--force' }],
    ['the path of the model holds characters that can not be seen', { model_path: 'a\nb' }],
    ['the path of the model holds characters that can not be seen', { model_path: 'a\u202eb' }],
    ['the path of the model has ".." in it', { model_path: 'a/\uff0e\uff0e/b' }],
    ['the path of the model has ".." in it', { model_path: 'a/\u2025/b' }],
    ['the path of the model has ".." in it', { model_path: 'a\uff0f.\u2024\uff0fb' }],
    ['the path of the model has ".." in it', { model_path: 'a/.. /b' }],
    ['the path of the model has ".." in it', { model_path: 'a/./../b' }],
    ['the path of the model holds encoded characters', { model_path: '%2e%2e/%2E%2E/etc' }],
    ['the path of the model holds encoded characters', { model_path: 'a%2fb' }],
    ['the path of the model holds encoded characters', { model_path: 'a/%252e' }],
    ['the path of the model holds encoded characters', { model_path: 'a%00.gguf' }],
    ['the path of the model holds a sign that looks like a slash', { model_path: 'a\u2215b' }],
    ['the path of the model is not relative', { model_path: '\uff0fetc/passwd' }],
    ['the path of the model is not relative', { model_path: ' /etc/passwd' }],
    ['the path of the model is not relative', { model_path: 'a\uff3cb' }],
    ['the path of the model is not relative', { model_path: 'C:/models' }],
    ['the path of the model holds characters that can not be seen', { model_path: 'a\0b' }],
    ['the path of the model holds characters that can not be seen', { model_path: 'a\u00a0b' }],
    ['the path of the model holds characters that can not be seen', { model_path: 'a\u{e002e}b' }],
    ['the name of the model holds signs that a name has not', { model_name: 'a/../b' }],
    ['the name of the model holds signs that a name has not', { model_name: 'a\\b' }],
    ['the name of the model holds signs that a name has not', { model_name: 'a/\uff0e\uff0e' }],
    ['the name of the model holds signs that a name has not', { model_name: '~root' }],
    ['the path of the model has more than 1024 bytes', { model_path: 'a'.repeat(1025) }],
    ['the name of the model holds characters that can not be seen', { model_path: 'a', model_name: 'b\u200b' }],
    ['the name of the model holds signs that a name has not', { model_name: '$(reboot)' }],
    ['the name of the model holds signs that a name has not', { model_name: '--force' }],
    ['the name of the model has more than 256 bytes', { model_name: 'a'.repeat(257) }],
  ] as const) {
    it(`given ${JSON.stringify(evidence).slice(0, 60)}, then it is not passed on, and the reason says so`, () => {
      const found = bodyFor('quarantine_model', incident({ evidence }));
      expect(found).to.equal(`the evidence can't be passed on: ${fault}; a person has to name the model`);
    });
  }

  it('is passed on for the names that models have', () => {
    for (const model_name of ['coder-7b', 'meta-llama/Llama-3.1-8B-Instruct', 'qwen2.5:7b', 'モデル 1']) {
      expect(bodyFor('quarantine_model', incident({ evidence: { model_name } }))).to.include({ model_name });
    }
  });

  it('is passed on for the paths that models have', () => {
    for (const model_path of [
      'models/a.gguf',
      'a..b/c...d',
      '100%/a',
      'モデル/1.gguf',
      'a b/c',
      '.cache/hub/models--a--b/x',
    ]) {
      expect(bodyFor('quarantine_model', incident({ evidence: { model_path } }))).to.include({ model_path });
    }
  });

  it('has a reason of at most 1,024 bytes, whole characters, whatever the description', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), (description) => {
        const body = bodyFor('freeze_agent', incident({ description: description.toWellFormed() }));
        const { reason } = body as { reason: string };
        expect(Buffer.byteLength(reason)).to.be.at.most(1024);
        expect(reason.isWellFormed()).to.equal(true);
        // oxlint-disable-next-line no-control-regex -- they are what this is about
        expect(reason).not.to.match(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/);
        const whole = withoutHidden(`manifest_mismatch: ${description.toWellFormed()}`);
        if (Buffer.byteLength(whole) <= 1024) expect(reason).to.equal(whole);
        else expect(whole.startsWith(reason.slice(0, -1))).to.equal(true);
      }),
    );
  });

  it('carries all else in headers, under a key that tells deliveries apart', () => {
    const name = { incident: 'INC-20261122-000000000001', action: 'freeze_agent', directive: 'release' } as const;
    expect(headersFor(name, incident())).to.deep.equal({
      'idempotency-key': 'INC-20261122-000000000001-freeze_agent-release',
      'containment-directive': 'release',
      'incident-class': 'manifest_mismatch',
      'incident-severity': 'high',
    });
  });
});
