import { expect } from 'chai';
import fc from 'fast-check';
import { ExactJsonError, parseExact } from '../../src/json/exact-json.ts';
import { exactValue } from './arbitrary-json.ts';
import { askPython } from './python.ts';

const PYTHON_INSPECTION = `
from decimal import Decimal

def number(literal):
    mantissa = literal.lower().split('e')[0]
    if mantissa.strip('-0.') and Decimal(literal) != Decimal(repr(float(literal))):
        raise ValueError('number')
    return 0

def members(pairs):
    keys = [key for key, value in pairs]
    if len(set(keys)) != len(keys) or '__proto__' in keys:
        raise ValueError('key')
    return dict(pairs)

def constant(name):
    raise ValueError(name)

def look(value, level):
    if isinstance(value, str):
        value.encode('utf-8')
    elif isinstance(value, (list, dict)):
        if level > 33:
            raise ValueError('depth')
        for item in value:
            look(item, level + 1)
        for item in value.values() if isinstance(value, dict) else ():
            look(item, level + 1)

def verdict(text):
    try:
        value = json.loads(text, object_pairs_hook=members, parse_int=number, parse_float=number, parse_constant=constant)
        look(value, 1)
        return True
    except (ValueError, ArithmeticError):
        return False

answers = [verdict(text) for text in texts]
`;

/** What damages are made of: the ends of tokens, keys that are taken, digits that don't fit. */
const PIECES =
  String.raw`"a":1, "a": "__proto__":1, "\u0061":0, " \ \" \ud83d \ude00 { } [ ] , : 1 9 0 .0 . - e e9 e-320 12345678901`
    .split(' ')
    .concat(' ');

const isTaken = (text: string): boolean => {
  try {
    parseExact(text);
    return true;
  } catch (error) {
    if (error instanceof ExactJsonError) return false;
    throw error;
  }
};

describe('parseExact', () => {
  it('draws the line where Python does with exact decimals, over damaged texts', function () {
    const piece = fc.constantFrom(...PIECES);
    const member = fc.tuple(fc.constantFrom('a', 'b', '\\u0061', '"', 'é'), exactValue);
    const document = fc
      .array(member, { maxLength: 4 })
      .map(
        (members) =>
          `{${members.map(([key, value]) => `"${key === '"' ? '\\"' : key}":${JSON.stringify(value)}`).join(',')}}`,
      );
    const decimal = fc
      .tuple(fc.maxSafeInteger(), fc.nat(10 ** 9), fc.integer({ min: -340, max: 310 }))
      .map(([whole, fraction, power]) => `[${whole}${power % 2 ? '' : `.${fraction}`}${power % 3 ? `e${power}` : ''}]`);
    const damaged = fc
      .tuple(fc.oneof(document, decimal), fc.array(fc.tuple(fc.nat(), fc.nat(2), piece), { maxLength: 2 }))
      .map(([text, damages]) =>
        damages.reduce((whole, [at, cut, insert]) => {
          const place = at % (whole.length + 1);
          return whole.slice(0, place) + insert + whole.slice(place + cut);
        }, text),
      )
      .filter((text) => text.isWellFormed());
    const texts = fc.sample(damaged, 6000);

    const verdicts = askPython(this, PYTHON_INSPECTION, texts);

    expect(new Set(verdicts)).to.deep.equal(new Set([true, false]));
    texts.forEach((text, index) => expect(isTaken(text), JSON.stringify(text)).to.equal(verdicts[index]));
  });
});
