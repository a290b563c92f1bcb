import { expect } from 'chai';
import fc from 'fast-check';
import { CLASSES, SEVERITIES } from '../../../machines/vocabulary.ts';
import { plainReport } from '../../../src/api/incidents/plain-report.ts';
import { REPORT_REQUIRED, reportSchema } from '../../../src/api/incidents/requests.ts';
import { validate } from '../../../src/api/request/validate.ts';

/** What the schema makes of a body; undefined when it refuses it. */
const bySchema = (body: unknown): unknown => {
  try {
    return validate(reportSchema, structuredClone(body), 'field', REPORT_REQUIRED);
  } catch {
    return undefined;
  }
};

const plain = { class: 'tool_call_burst', source: 'tool-firewall', description: 'too many calls' };

describe('plainReport', () => {
  it('gives for any body what the schema gives, or leaves it to the schema', () => {
    const odd = fc.constantFrom<unknown>('', ' ', null, 0, true, [], {}, 'x'.repeat(257), '\u200b', 'a  b', 'Ärger', {
      length: 3,
    });
    const body = fc.record(
      {
        class: fc.oneof(fc.constantFrom<unknown>(...CLASSES), odd),
        source: fc.oneof(fc.constantFrom<unknown>('airlock', 'Tür 7'), fc.string({ maxLength: 5 }), odd),
        description: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 5 }), odd),
        severity: fc.oneof(fc.constantFrom<unknown>(...SEVERITIES), odd),
        evidence: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), odd),
        dedup_key: fc.oneof(fc.string({ maxLength: 5 }), odd),
        constructor: odd,
        toString: odd,
      },
      { requiredKeys: [] },
    );
    const usual = fc
      .record(
        {
          severity: fc.constantFrom(...SEVERITIES),
          evidence: fc.dictionary(fc.string(), fc.jsonValue()),
          dedup_key: fc.string({ maxLength: 5 }),
        },
        { requiredKeys: [] },
      )
      .map((members) => ({ ...members, ...plain }));
    let taken = 0;
    fc.assert(
      fc.property(fc.oneof(body, usual, fc.jsonValue()), (given) => {
        const report = plainReport(given);
        if (report === undefined) return;
        taken += 1;
        // Also the order of the members, in which they are written.
        expect(JSON.stringify(report)).to.equal(JSON.stringify(bySchema(given)));
      }),
      { numRuns: 3000 },
    );
    expect(taken).to.be.greaterThan(100);
  });

  it('takes reports as services send them', () => {
    for (const given of [
      plain,
      { evidence: { calls: 12 }, severity: 'low', ...plain, dedup_key: 'a' },
      { ...plain, description: 'Überlauf' },
    ]) {
      expect(plainReport(given)).to.deep.equal(bySchema(given));
    }
  });

  for (const [what, given] of Object.entries<unknown>({
    'a member that counts as left out': { ...plain, severity: null, evidence: '' },
    'an unknown member': { ...plain, host: 'a' },
    'an unknown class': { ...plain, class: 'toString' },
    'a blank description': { ...plain, description: ' \n' },
    'evidence that is no object': { ...plain, evidence: [] },
    'an empty dedup_key': { ...plain, dedup_key: '' },
    'a source with two spaces': { ...plain, source: 'a  b' },
    'no object': 'text',
  })) {
    it(`leaves ${what} to the schema`, () => {
      expect(plainReport(given)).to.equal(undefined);
    });
  }
});
