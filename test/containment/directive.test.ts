import { expect } from 'chai';
import fc from 'fast-check';
import { bodyFor, headersFor } from '../../src/containment/directive.ts';
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
    const evidence = { model_path: '/models/a.gguf', violation_0_path: '/models/b.gguf', model_name: 'a' };
    expect(bodyFor('freeze_agent', incident({ evidence }))).to.deep.equal(plain);
    expect(bodyFor('quarantine_model', incident({ evidence }))).to.deep.equal({
      ...plain,
      model_path: '/models/a.gguf',
      model_name: 'a',
    });
    expect(bodyFor('quarantine_model', incident({ evidence: { violation_0_path: '/models/b.gguf' } }))).to.deep.equal({
      ...plain,
      model_path: '/models/b.gguf',
    });
  });

  for (const [name, evidence] of [
    ['no evidence', undefined],
    ['other evidence', { path: '/models/a.gguf' }],
    ['a path that is no text', { model_path: 7, model_name: ' ' }],
  ] as const) {
    it(`given ${name}, then there is nothing to send about a model, and the reason says so`, () => {
      const found = bodyFor('quarantine_model', incident(evidence === undefined ? {} : { evidence }));
      expect(found).to.equal('the evidence names no model: it has neither model_path, violation_0_path nor model_name');
    });
  }

  it('has a reason of at most 1,024 bytes, whole characters, whatever the description', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), (description) => {
        const body = bodyFor('freeze_agent', incident({ description: description.toWellFormed() }));
        const { reason } = body as { reason: string };
        expect(Buffer.byteLength(reason)).to.be.at.most(1024);
        expect(reason.isWellFormed()).to.equal(true);
        const whole = `manifest_mismatch: ${description.toWellFormed()}`;
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
