import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalForm } from '../../src/json/canonical-form.ts';
import { ExactJsonError, parseExact } from '../../src/json/exact-json.ts';
import { findParsingLoss } from '../../src/json/parsing-loss.ts';
import { exactValue, jsonValue } from './arbitrary-json.ts';

const faultOf = (text: string, options?: { maxDepth: number }): ExactJsonError | undefined => {
  try {
    parseExact(text, options);
    return undefined;
  } catch (error) {
    if (error instanceof ExactJsonError) return error;
    throw error;
  }
};

const KIB = 1024;

/** Text, path of the fault, message. */
const REFUSED: readonly (readonly [string, string, string])[] = [
  ['', '', 'invalid JSON'],
  ['{"a":1,}', '', 'invalid JSON'],
  ['\ufeff{}', '', 'invalid JSON'],
  ['{"a":NaN}', '', 'invalid JSON'],
  ['{"a":1,"a":1}', 'a', 'duplicate key'],
  ['{"a":{"b":[0,{"c":1,"d":2,"c":3}]}}', 'a.b[1].c', 'duplicate key'],
  ['{"a":1,"\\u0061":2}', 'a', 'duplicate key'],
  ['{"":1,"":2}', '[""]', 'duplicate key'],
  ['{"a b":{"7":[{"x":1,"x":1}]}}', '["a b"]["7"][0].x', 'duplicate key'],
  ['{"__proto__":null}', '__proto__', 'the key __proto__ is not allowed'],
  ['{"evidence":{"\\u005f_proto__":{}}}', 'evidence.__proto__', 'the key __proto__ is not allowed'],
  ['"\\ud800"', '', 'lone surrogate in a string'],
  ['["\\ude00\\uD83D"]', '[0]', 'lone surrogate in a string'],
  ['["a\ud800"]', '[0]', 'lone surrogate in a string'],
  ['{"\\uDEAD":1}', '["\\udead"]', 'lone surrogate in a key'],
  ['{"gpu":[{"temp":1e400}]}', 'gpu[0].temp', 'number too large'],
  ['[1, -1e309]', '[1]', 'number too large'],
  ['1e-400', '', 'number too close to zero'],
  ['-0.0000000001e-320', '', 'number too close to zero'],
  ['12345678901234567890', '', 'number with more digits than can be kept'],
  ['9007199254740993', '', 'number with more digits than can be kept'],
  ['0.1000000000000000055', '', 'number with more digits than can be kept'],
  ['{"a":"x","b":[[],{},3.14159265358979323846]}', 'b[2]', 'number with more digits than can be kept'],
];

const ACCEPTED: readonly string[] = [
  '0',
  '-0',
  '-0.0',
  '0e7',
  '1.0',
  '1e2',
  '1E+2',
  '1.50e-1',
  '0.1',
  '0.10000000000000000',
  '9007199254740991',
  '9007199254740992',
  '12345678901234567000',
  '1e23',
  '5e-324',
  '1.7976931348623157e308',
  '100000000000000000000000000000e-29',
  '"\\ud83d\\ude00 \\\\ud800"',
  '"\ud83d\\ude00"',
  '"a\\\\\\"b\\\\"',
  '[{"a":1},{"a":1}]',
  '{"a":{"a":"a"},"b":["a","a"]}',
  '{"proto":"__proto__","constructor":1}',
  ' { "a" : [ 1 , "x" , { } ] , "b" : null } ',
];

/** A body with so many levels of evidence. */
const bodyOf = (levels: number): string => `{"evidence":${'['.repeat(levels)}1${']'.repeat(levels)}}`;

describe('parseExact', () => {
  for (const text of ACCEPTED) {
    it(`takes ${JSON.stringify(text)}`, () => {
      expect(parseExact(text)).to.deep.equal(JSON.parse(text));
    });
  }

  for (const [text, path, message] of REFUSED) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const fault = faultOf(text);
      expect([fault?.path, fault?.message]).to.deep.equal([path, message]);
    });
  }

  it('takes a body with 32 levels of evidence in it, and no more', () => {
    expect(faultOf(bodyOf(32))).to.equal(undefined);
    expect(faultOf(bodyOf(33))?.message).to.equal('nested too deeply');
    expect(faultOf(bodyOf(33))?.path).to.equal(`evidence${'[0]'.repeat(32)}`);
  });

  it('counts the depth and not the number of objects', () => {
    expect(faultOf('[[],[],[{}]]', { maxDepth: 3 })).to.equal(undefined);
    expect(faultOf('[[],[],[{}]]', { maxDepth: 2 })?.path).to.equal('[2][0]');
  });

  it('cuts a long key short in the path', () => {
    const key = 'k'.repeat(1000);
    expect(faultOf(`{"${key}":1e999}`)?.path).to.equal(`${'k'.repeat(64)}…`);
  });

  it('gives back every exact value, however it is spaced and escaped', () => {
    fc.assert(
      fc.property(exactValue, fc.constantFrom('', ' ', '\t', '\r\n'), (value, space) => {
        expect(parseExact(JSON.stringify([value], null, space))).to.deep.equal(JSON.parse(JSON.stringify([value])));
        expect(parseExact(canonicalForm(value))).to.deep.equal(value);
      }),
      { numRuns: 500 },
    );
  });

  it('names the path of a fault wherever it lies', () => {
    const name = fc.stringMatching(/^[a-z]{1,3}$/);
    const fault = fc.constantFrom('1e999', '1e-999', '0.1000000000000000055', '"\\udead"');
    fc.assert(
      fc.property(fc.array(fc.oneof(name, fc.nat(3)), { maxLength: 20 }), fault, exactValue, (path, at, sibling) => {
        const other = JSON.stringify(sibling);
        const text = path.reduceRight<string>(
          (inner, step) =>
            typeof step === 'number'
              ? `[${[...Array<string>(step).fill(other), inner, other].join(', ')}]`
              : `{"0":${other}, "${step}":${inner}, "1":${other}}`,
          at,
        );
        const written = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
        expect(faultOf(text, { maxDepth: 100 })?.path).to.equal(written.replace(/^\./, ''));
      }),
      { numRuns: 300 },
    );
  });

  for (const [name, text] of Object.entries({
    'open brackets': '['.repeat(64 * KIB),
    'open objects': '{"a":'.repeat(13 * KIB),
    'nested lists': '['.repeat(32 * KIB) + ']'.repeat(32 * KIB),
    'nested objects': `${'{"a":'.repeat(10 * KIB)}1${'}'.repeat(10 * KIB)}`,
    'one digit and zeros': `[0.${'0'.repeat(32 * KIB)}1${'0'.repeat(32 * KIB)}]`,
    'an unclosed string': `["${'\\"'.repeat(32 * KIB)}`,
  })) {
    it(`refuses 64 KiB of ${name}`, () => {
      expect(faultOf(text)).to.be.instanceOf(ExactJsonError);
    });
  }

  for (const [name, text] of Object.entries({
    backslashes: `["${'\\\\'.repeat(32 * KIB)}"]`,
    'escaped quotes': `["${'\\"'.repeat(32 * KIB)}"]`,
    zeros: `1${'0'.repeat(32 * KIB)}e-${32 * KIB}`,
    blanks: `[${' '.repeat(64 * KIB)}]`,
    keys: `{${Array.from({ length: 7 * KIB }, (_, index) => `"${index}":1`).join()}}`,
  })) {
    it(`takes 64 KiB of ${name}`, () => {
      expect(faultOf(text)).to.equal(undefined);
    });
  }

  it('finds in text that JSON.stringify has written what there is to be found', () => {
    fc.assert(
      fc.property(fc.oneof(jsonValue, exactValue), fc.integer({ min: 1, max: 4 }), (value, maxDepth) => {
        const text = JSON.stringify(value);
        const loss = findParsingLoss(text, maxDepth);
        const fault = faultOf(text, { maxDepth });
        expect(fault?.message).to.equal(loss?.message);
        expect(fault?.path).to.equal(loss?.path);
      }),
      { numRuns: 2000 },
    );
  });

  for (const text of ['{"__proto__":1}', '"\\ud83d"', '[[[]]]', '{"a":{"b":{}}}']) {
    it(`refuses ${text} although JSON.stringify writes it so`, () => {
      expect(JSON.stringify(JSON.parse(text))).to.equal(text);
      expect(faultOf(text, { maxDepth: 2 })).to.be.instanceOf(ExactJsonError);
    });
  }
});
