import fc from 'fast-check';
import type { JsonValue } from '../../src/json/exact-json.ts';

/** Every double, and more of those near where whole numbers stop being safe and notations change. */
const jsonNumber: fc.Arbitrary<number> = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
  fc.integer({ min: -999, max: 999 }),
  fc.tuple(fc.maxSafeInteger(), fc.integer({ min: -12, max: 25 })).map(([digits, power]) => digits * 10 ** power),
  fc.constantFrom(-0, 2 ** 53, -(2 ** 53), 1e16, 1e20, 1e21, 1e22, 1e-4, 1e-5, 1e-6, 1e-7, 0.1, 5e-324, 1.5e300),
);

/** Characters of every length, of both sides of the surrogates, and those with an escape of their own. */
const character = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...'ab/"\\\b\t\n\f\r\0\u001f~\u007f\u0080\u0085\u2028\u2029\ud7ff\ue000\uffff',
      '\u{10000}',
      '\u{1f600}',
      '\u{10ffff}',
    ),
  },
);

const loneSurrogate = fc.constantFrom('\ud800', '\udbff', '\udc00', '\udfff');

const jsonOver = (text: fc.Arbitrary<string>): fc.Arbitrary<JsonValue> => {
  const leaf: fc.Arbitrary<JsonValue> = fc.oneof(jsonNumber, text, fc.boolean(), fc.constant(null));
  return fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 5 }),
      fc
        .uniqueArray(fc.tuple(text, tie('value')), { maxLength: 5, selector: ([key]) => key })
        .map((members) => Object.fromEntries(members)),
    ),
  })).value;
};

/** Any value that `JSON.parse` can give. */
export const jsonValue = jsonOver(fc.string({ unit: fc.oneof({ weight: 9, arbitrary: character }, loneSurrogate) }));

/** Any value that can be kept exactly. */
export const exactValue = jsonOver(fc.string({ unit: character }).filter((text) => text !== '__proto__'));
