import { expect } from 'chai';
import fc from 'fast-check';
import { InvalidReport } from '../../src/client/index.ts';
import { reportText, requireKey } from '../../src/client/report-text.ts';
import { parseExact } from '../../src/json/exact-json.ts';

const REPORT = { class: 'tool_call_burst', source: 'tool-firewall', description: 'a burst' };

/** The evidence inside so many levels. */
const nested = (levels: number): object => (levels === 1 ? {} : { inner: nested(levels - 1) });

describe('reportText', () => {
  it('writes text that the recorder reads as the same values', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noNullPrototype: true } as object), (value) => {
        const evidence = { value };
        fc.pre(!JSON.stringify(evidence).includes('__proto__') && JSON.stringify(evidence).isWellFormed());
        const text = (() => {
          try {
            return reportText({ ...REPORT, evidence });
          } catch (error) {
            // Strings may hold half a character.
            expect(error).to.be.instanceOf(InvalidReport);
            return undefined;
          }
        })();
        if (text !== undefined) expect(parseExact(text)).to.deep.equal({ ...REPORT, evidence });
      }),
    );
  });

  it('keeps the sign of zero, and leaves out what is undefined', () => {
    expect(reportText({ ...REPORT, evidence: { zero: -0, none: undefined, at: new Date(0) } })).to.equal(
      '{"class":"tool_call_burst","source":"tool-firewall","description":"a burst",' +
        '"evidence":{"zero":-0,"at":"1970-01-01T00:00:00.000Z"}}',
    );
    expect(reportText({ ...REPORT, evidence: nested(32) })).to.include('inner');
  });

  for (const [what, evidence, message] of [
    ['a number that is not finite', { gpu: [{ temp: Number.NaN }] }, 'evidence.gpu[0].temp is NaN'],
    ['infinity', { load: Number.POSITIVE_INFINITY }, 'evidence.load is Infinity'],
    ['half a character', { text: 'a\ud800' }, 'evidence.text holds half a character'],
    ['half a character in a key', { '\udc00': 1 }, 'a key in evidence holds half a character'],
    ['the key __proto__', JSON.parse('{"__proto__":1}'), 'evidence has the key __proto__'],
    ['a big integer', { count: 1n }, 'evidence.count is a bigint'],
    ['a function', { run: () => 1 }, 'evidence.run is a function'],
    ['a map', { 'a b': new Map([[1, 2]]) }, 'evidence["a b"] is [object Map]'],
    ['an error', { error: new Error('lost') }, 'evidence.error is [object Error]'],
    ['a hole in a list', { list: [1, undefined] }, 'evidence.list[1] is undefined'],
    ['33 levels', nested(33), 'is nested too deeply'],
    ['no object', ['a'], 'evidence must be an object'],
    ['what is written as no object', new Date(0), 'evidence must be an object'],
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(() => reportText({ ...REPORT, evidence })).to.throw(InvalidReport, message);
    });
  }

  for (const [what, fields, message] of [
    ['without a description', { description: undefined }, 'description must be a string that is not blank'],
    ['with a blank source', { source: ' ' }, 'source must be a string that is not blank'],
    ['with a source that is too long', { source: 'x'.repeat(257) }, 'source must have at most 256 characters'],
    ['with an unknown field', { evidense: {} }, 'unknown field "evidense"'],
    ['with a number as dedup_key', { dedup_key: 1 }, 'dedup_key must be a string'],
    ['with a list as severity', { severity: [] }, 'severity must be a string'],
  ] as const) {
    it(`refuses a report ${what}`, () => {
      expect(() => reportText({ ...REPORT, ...fields })).to.throw(InvalidReport, message);
    });
  }

  it('refuses what is in a circle', () => {
    const evidence: Record<string, unknown> = {};
    evidence.self = evidence;
    expect(() => reportText({ ...REPORT, evidence })).to.throw(InvalidReport, 'nested too deeply');
  });
});

describe('requireKey', () => {
  it('refuses a key that no header can carry', () => {
    for (const key of ['注入-1', '', 'a b', 'a\r\nX: y', 'x'.repeat(256), 'é', undefined])
      expect(() => requireKey(key), String(key)).to.throw(InvalidReport);
    for (const key of ['a', '~!', 'x'.repeat(255)]) expect(() => requireKey(key)).not.to.throw();
  });
});
