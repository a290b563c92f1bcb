import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalForm, inKeptOrder, spell, writeExact } from '../../src/json/canonical-form.ts';
import type { JsonValue } from '../../src/json/exact-json.ts';
import { jsonValue } from './arbitrary-json.ts';

/** Made with Python 3.11: `json.dumps(value, sort_keys=True, separators=(",", ":"))`. */
const VECTORS: readonly (readonly [JsonValue, string])[] = [
  [null, 'null'],
  [[true, false], '[true,false]'],
  [{}, '{}'],
  [[], '[]'],
  [{ b: 1, a: { d: [{}], c: null } }, '{"a":{"c":null,"d":[{}]},"b":1}'],
  [{ 10: 'ten', 9: 'nine', a: 'a' }, '{"10":"ten","9":"nine","a":"a"}'],
  [{ '\u{10000}': 1, '\uffff': 2, '\ue000': 3, z: 4 }, '{"z":4,"\\ue000":3,"\\uffff":2,"\\ud800\\udc00":1}'],
  [{ '\ud83d\ue000': 1, '\u{1f600}': 2, '\ud83d': 3 }, '{"\\ud83d":3,"\\ud83d\\ue000":1,"\\ud83d\\ude00":2}'],
  ['a/b "c" \\', '"a/b \\"c\\" \\\\"'],
  ['\b\t\n\f\r\0\u001f', '"\\b\\t\\n\\f\\r\\u0000\\u001f"'],
  ['~\u007f\u0080é', '"~\\u007f\\u0080\\u00e9"'],
  [
    { b: '"10":', a: ['\u{1f600}":', { c: '😀' }] },
    '{"a":["\\ud83d\\ude00\\":",{"c":"\\ud83d\\ude00"}],"b":"\\"10\\":"}',
  ],
  ['\u2028 \u{1f600} \udead', '"\\u2028 \\ud83d\\ude00 \\udead"'],
  [0, '0'],
  [-0, '-0.0'],
  [-17, '-17'],
  [9007199254740991, '9007199254740991'],
  [9007199254740992, '9007199254740992.0'],
  [-9007199254740994, '-9007199254740994.0'],
  [9999999999999998, '9999999999999998.0'],
  [1e16, '1e+16'],
  [123456789012345680000, '1.2345678901234568e+20'],
  [1e21, '1e+21'],
  [1.5e300, '1.5e+300'],
  [0.1, '0.1'],
  [-2.5, '-2.5'],
  [0.0001, '0.0001'],
  [0.00001, '1e-05'],
  [0.0000123, '1.23e-05'],
  [1e-7, '1e-07'],
  [5e-324, '5e-324'],
  [1.7976931348623157e308, '1.7976931348623157e+308'],
];

describe('canonicalForm', () => {
  for (const [value, form] of VECTORS) {
    it(`gives ${form}`, () => {
      expect(canonicalForm(value)).to.equal(form);
    });
  }

  it('leaves out members that are undefined', () => {
    expect(canonicalForm({ a: 1, b: undefined } as unknown as JsonValue)).to.equal('{"a":1}');
  });

  for (const value of [NaN, Infinity, -Infinity, undefined, () => 1]) {
    it(`refuses ${String(value)} in a list`, () => {
      expect(() => canonicalForm([value as JsonValue])).to.throw(TypeError, 'JSON has no');
    });
  }
});

describe('writeExact', () => {
  it('is JSON.stringify where that will do', () => {
    const value = { z: [1, 0.5, 1e-7, 1e21], a: 'é "/" 😀 127.0.0.1 e+16', 2: null };
    expect(writeExact(value)).to.equal(JSON.stringify(value));
  });

  it('writes as floats what JavaScript holds as floats', () => {
    expect(writeExact({ z: -0, a: [2 ** 53, 1e16, 1e-5, 7] })).to.equal(
      '{"z":-0.0,"a":[9007199254740992.0,1e+16,1e-05,7]}',
    );
  });

  it('is one line to every reader', () => {
    expect(writeExact('\u0085é\u2028\u2029\n')).to.equal('"\\u0085é\\u2028\\u2029\\n"');
  });

  it('is read back as the identical value, in the same order', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const text = writeExact(value);
        const back = JSON.parse(text) as JsonValue;
        // Also -0 is the same, which Chai tells by dividing.
        expect(isDeepStrictEqual(back, value), text).to.equal(true);
        expect(writeExact(back)).to.equal(text);
        expect(canonicalForm(back)).to.equal(canonicalForm(value));
        expect(text).not.to.match(/[\r\n\u0085\u2028\u2029]/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('spell', () => {
  it('gives both texts', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const { canonical, exact, isAscii } = spell(value);
        expect({ canonical, exact }).to.deep.equal({ canonical: canonicalForm(value), exact: writeExact(value) });
        if (isAscii) expect(exact).to.match(/^[\0-\x7e]*$/);
      }),
      { numRuns: 2000 },
    );
  });

  it('writes numbers as JavaScript does where that will do', () => {
    expect(spell({ b: 1e-7, a: 1 })).to.deep.equal({
      canonical: '{"a":1,"b":1e-07}',
      exact: '{"b":1e-7,"a":1}',
      isAscii: true,
    });
  });

  it('gives the same texts for a value whose order is kept', () => {
    fc.assert(
      fc.property(jsonValue, fc.array(jsonValue), (value, list) => {
        const before = spell({ value, list });
        expect(spell({ value, list: inKeptOrder(list) })).to.deep.equal(before);
        expect(spell({ value, list: inKeptOrder(list) })).to.deep.equal(before);
      }),
      { numRuns: 500 },
    );
  });
});
