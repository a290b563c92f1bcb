import { expect } from 'chai';
import fc from 'fast-check';
import { printable, printableJson, printableLines } from '../../../src/cli/terminal/printable.ts';

/** What a terminal may obey, or what turns the direction of text: C0, DEL, C1, bidirectional controls, separators. */
// oxlint-disable-next-line no-control-regex -- they are what this is about
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/u;

const text = fc.string({ unit: 'binary' });
const hostile = fc
  .array(fc.constantFrom('\u001b', '\u009b', '\u0007', '\u202e', '\u2066', '\r', '\n', '\u007f', 'a', '\ud800'))
  .map((parts) => parts.join(''));

describe('printable', () => {
  it('leaves nothing that a terminal would obey', () => {
    fc.assert(
      fc.property(fc.oneof(text, hostile), (given) => {
        expect(printable(given)).not.to.match(DANGEROUS);
      }),
    );
  });

  it('shows what was there', () => {
    expect(printable('\u001b[31mred\u202e\r\n\u{e0041}')).to.equal(String.raw`\x1b[31mred\u202e\r\n\u{e0041}`);
    expect(printable('Grüße, 你好 👩‍💻')).to.equal('Grüße, 你好 👩‍💻');
  });

  for (const [name, character] of Object.entries({
    'zero width joiner': '\u200d',
    'zero width non-joiner': '\u200c',
    'combining grapheme joiner': '\u034f',
    'Hangul filler': '\u3164',
    'halfwidth Hangul filler': '\uffa0',
    'Khmer vowel inherent': '\u17b4',
    'variation selector': '\ufe00',
    'variation selector supplement': '\u{e0100}',
    'Mongolian variation selector': '\u180b',
    'braille blank': '\u2800',
    'no-break space': '\u00a0',
    'private use': '\ue000',
    'supplementary private use': '\u{f0000}',
    noncharacter: '\uffff',
    'object replacement': '\ufffc',
    tag: '\u{e0041}',
  })) {
    it(`escapes a ${name} among letters`, () => {
      expect(printable(`a${character}b`)).to.match(/^a\\[xu]\S+b$/);
    });
  }

  it('escapes marks that pile up, and leaves those that letters carry', () => {
    expect(printable(`a${'\u0301'.repeat(30)}`).match(/\\u0301/g)).to.have.length(26);
    for (const name of ['Việt Nam', 'हिन्दी', 'می\u200cخواهم', '❤️ 1️⃣ 👨‍👩‍👧', '葛\u{e0100}'])
      expect(printable(name)).to.equal(name);
  });

  it('leaves JSON the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), hostile, (value, more) => {
        const json = printableJson(JSON.stringify([value, more]));
        expect(json).not.to.match(DANGEROUS);
        expect(JSON.parse(json)).to.deep.equal(JSON.parse(JSON.stringify([value, more])));
      }),
    );
  });

  it('indents values, each line harmless', () => {
    expect(printableLines({ a: '\u009b\n' })).to.deep.equal(['{', String.raw`  "a": "\u009b\n"`, '}']);
  });
});
