import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalForm, escaped } from '../../src/json/canonical-form.ts';
import { ExactJsonError, type JsonValue } from '../../src/json/exact-json.ts';
import { sortedText } from '../../src/json/sorted-text.ts';
import { jsonValue } from './arbitrary-json.ts';

/** Of any value without numbers, which the two texts may write differently. */
const withoutNumbers = (value: JsonValue): JsonValue => {
  if (typeof value === 'number') return null;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutNumbers);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withoutNumbers(member)]));
};

describe('the sorted text', () => {
  for (const [text, expected] of [
    [' { "b" : 1 , "a" : [ { "d" : 2 , "c" : null } ] } ', '{"a":[{"c":null,"d":2}],"b":1}'],
    ['{"10":1,"9":2,"a":3}', '{"10":1,"9":2,"a":3}'],
    ['{"\u{1f600}":1,"\uffff":2}', '{"\uffff":2,"\u{1f600}":1}'],
    ['[1.0,-0,1E5,0.10,12345678901234567890,1e999]', '[1.0,-0,1E5,0.10,12345678901234567890,1e999]'],
    ['"\\u00e9\\/\\u0041<"', '"é/A<"'],
    ['true', 'true'],
    ['{}', '{}'],
    ['[]', '[]'],
  ] as const) {
    it(`of ${text} is ${expected}`, () => {
      expect(sortedText(text)).to.equal(expected);
    });
  }

  it('replaces members of the outermost object that are there, and no others', () => {
    expect(sortedText('{"b":{"a":1},"a":2}', { replaced: { a: '', c: '' } })).to.equal('{"a":"","b":{"a":1}}');
    expect(sortedText('[1]', { replaced: { a: '' } })).to.equal('[1]');
  });

  for (const [text, message] of [
    ['{"a":1,"a":1}', 'duplicate key'],
    ['{"x":{"a":1,"\\u0061":2}}', 'duplicate key'],
    ['{"__proto__":1}', 'the key __proto__ is not allowed'],
    ['["\\ud800"]', 'lone surrogate in a string'],
    ['{"a":1}x', 'invalid JSON'],
    ['', 'invalid JSON'],
    ['[[[[]]]]', 'nested too deeply'],
    ['[1,2,3,4,5,6,7,8,9]', 'too many values'],
  ] as const) {
    it(`refuses ${text}`, () => {
      expect(() => sortedText(text, { maxDepth: 3, most: 8 })).to.throw(ExactJsonError, message);
    });
  }

  it('in ASCII is the canonical form of a value without numbers', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const plain = withoutNumbers(value);
        const text = JSON.stringify(plain);
        if (!text.isWellFormed() || text.includes('\\ud') || text.includes('__proto__')) return;
        expect(escaped(sortedText(text))).to.equal(canonicalForm(plain));
      }),
    );
  });
});
