import { expect } from 'chai';
import fc from 'fast-check';
import { beginning, piecesOf } from '../../src/console/visible-text.ts';

const shown = (text: string): string =>
  piecesOf(text)
    .map((piece) => (piece.name === undefined ? piece.text : `[${piece.name}]`))
    .join('');

describe('text that somebody else wrote', () => {
  it('is left as it is when it is ordinary, in any script', () => {
    for (const text of ['', 'plain', 'Zürich', 'שלום עולם', 'مرحبا', '日本語', '👩‍👩‍👧 and ❤️', 'two\nlines\tand a tab']) {
      expect(shown(text)).to.equal(text);
    }
  });

  it('has its controls named', () => {
    expect(shown('a\u0000b')).to.equal('a[U+0000 null]b');
    expect(shown('\u001b[31mred')).to.equal('[U+001B escape][31mred');
    expect(shown('end\r\n')).to.equal('end[U+000D carriage return]\n');
  });

  it('has what turns the direction of text around named', () => {
    expect(shown('\u202egnp.exe')).to.equal('[U+202E right-to-left override]gnp.exe');
    for (const character of '\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069') {
      expect(piecesOf(`a${character}b`)).to.have.length(3);
    }
  });

  it('has what shows as nothing named', () => {
    for (const character of [
      '\u00ad',
      '\u200b',
      '\u2060',
      '\ufeff',
      '\u2028',
      '\u{e0041}',
      '\u3164',
      '\u200d',
      '\ufe00',
      '\u2800',
      '\u00a0',
      '\ue000',
      '\uffff',
    ]) {
      expect(piecesOf(character)[0], character.codePointAt(0)!.toString(16)).to.have.property('name');
    }
  });

  it('loses nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const back = piecesOf(text).map(({ text: piece, name }) =>
          name === undefined ? piece : String.fromCodePoint(Number.parseInt(piece.slice(2), 16)),
        );
        expect(back.join('')).to.equal(text);
      }),
    );
  });

  it('is cut between two characters, not within one', () => {
    expect(beginning('ab😀', 3)).to.equal('ab');
    expect(beginning('ab😀', 4)).to.equal('ab😀');
    expect(beginning('abc', 2)).to.equal('ab');
  });
});
