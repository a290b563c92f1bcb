import { expect } from 'chai';
import { faultOfSource, mixesScripts, skeletonOf } from '../../src/domain/source-name.ts';

describe('the name of a source', () => {
  for (const [what, name, fault] of [
    ['nothing', '', 'must not be empty'],
    ['a space', ' ', 'must not begin or end with a space'],
    ['a space before it', ' a', 'must not begin or end with a space'],
    ['two spaces', 'a  b', 'must not hold two spaces in a row'],
    ['a tab', 'a\tb', 'U+0009 (a control character)'],
    ['an escape', 'a\u001b[2Jb', 'U+001B (a control character)'],
    ['the end of a line', 'a\u0085b', 'U+0085 (a control character)'],
    ['NUL', 'a\0', 'U+0000 (a control character)'],
    ['a direction', 'a\u202eb', 'U+202E (a format character)'],
    ['an isolate', 'a\u2066b', 'U+2066 (a format character)'],
    ['a joiner', 'to\u200dol', 'U+200D (a format character)'],
    ['a joiner of emoji', '\u{1f469}\u200d\u{1f4bb}', 'U+200D (a format character)'],
    ['no width', 'a\u200bb', 'U+200B (a format character)'],
    ['a byte order mark', '\ufeffa', 'U+FEFF (a format character)'],
    ['a soft hyphen', 'a\u00adb', 'U+00AD (a format character)'],
    ['tags', 'a\u{e0041}', 'U+E0041 (a format character)'],
    ['a grapheme joiner', 'a\u034fb', 'U+034F (a blank or invisible character)'],
    ['a variation selector', 'a\ufe0f', 'U+FE0F (a blank or invisible character)'],
    ['a no-break space', 'a\u00a0b', 'U+00A0 (a blank or invisible character)'],
    ['another space', 'a\u3000b', 'U+3000 (a blank or invisible character)'],
    ['a Hangul filler', '\u3164', 'U+3164 (a blank or invisible character)'],
    ['a blank of Braille', 'a\u2800', 'U+2800 (a blank or invisible character)'],
    ['a Khmer vowel that is not drawn', '\u17b4a', 'U+17B4 (a blank or invisible character)'],
    ['the end of a paragraph', 'a\u2029b', 'U+2029 (a blank or invisible character)'],
    ['a private-use character', 'a\u{f0000}b', 'U+F0000 (a private-use character)'],
    ['an unassigned character', 'a\u0378', 'U+0378 (an unassigned character)'],
    ['half a character', 'a\ud800', 'U+D800 (half a character)'],
    ['257 characters', 'a'.repeat(257), 'at most 256 characters'],
  ] as const) {
    it(`is refused when it is or holds ${what}, and the reason names that`, () => {
      expect(faultOfSource(name))
        .to.match(/^source must /)
        .and.to.include(fault);
    });
  }

  it('may have 256 characters of any plane, and be written in any script', () => {
    for (const name of ['\u{1f525}'.repeat(256), 'tool-firewall', 'воздушный шлюз', '气闸 2', 'Überwachung']) {
      expect(faultOfSource(name)).to.equal(undefined);
      expect(mixesScripts(name)).to.equal(false);
    }
  });

  for (const [what, name] of [
    ['Cyrillic within Latin', '\u0430irlock'],
    ['Armenian within Latin', 't\u0585ol'],
    ['Hebrew within Latin', '\u05d0tool'],
    ['full width', '\uff54\uff4f\uff4f\uff4c'],
    ['bold letters of mathematics', '\u{1d42d}ool-firewall'],
    ['a ligature', '\ufb01rewall'],
    ['a Roman numeral', '\u217cog'],
    ['a raised letter', '\u1d57ool'],
    ['foreign digits', 'tool\u0660'],
    ['a mark without a letter', '\u0301'],
    ['a mark behind a space', 'a \u0301b'],
    ['piled marks', `a${'\u0301'.repeat(5)}`],
  ] as const) {
    it(`is suspicious with ${what}, also when nothing like it is on record`, () => {
      expect(faultOfSource(name)).to.equal(undefined);
      expect(mixesScripts(name)).to.equal(true);
    });
  }

  it('looks like one that differs in case, digits, dashes, or letters that are drawn alike', () => {
    for (const name of [
      'T00l-F1rewall',
      'tool_firewall',
      'too1\u2011firewall',
      'tool\u2013flrewall',
      '\u0442ool-firewall',
    ]) {
      expect(skeletonOf(name), name).to.equal(skeletonOf('tool-firewall'));
    }
    expect(skeletonOf('tool.firewall')).to.not.equal(skeletonOf('tool-firewall'));
  });
});
