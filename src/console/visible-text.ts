/**
 * Splits foreign text so that nothing in it can act or hide.
 *
 * Characters that change the direction of text, that are invisible, or that control a device become pieces of their own, to
 * be shown by their code point. The rest is ordinary text in any script, to be shown as text and isolated.
 */
import { codePointOf, hiddenCharacters } from '../domain/hidden-characters.ts';

export interface Piece {
  readonly text: string;
  /** The name of a character that must be shown by name: `U+202E right-to-left override`. */
  readonly name?: string;
}

/** Tabs and line feeds are laid out as what they are. */
const HIDDEN = hiddenCharacters({ except: '\t\n' });

const NAMES: Readonly<Record<number, string>> = {
  0x00: 'null',
  0x07: 'bell',
  0x08: 'backspace',
  0x0d: 'carriage return',
  0x1b: 'escape',
  0x7f: 'delete',
  0xad: 'soft hyphen',
  0x61c: 'Arabic letter mark',
  0x200b: 'zero width space',
  0x200e: 'left-to-right mark',
  0x200f: 'right-to-left mark',
  0x2028: 'line separator',
  0x2029: 'paragraph separator',
  0x202a: 'left-to-right embedding',
  0x202b: 'right-to-left embedding',
  0x202c: 'pop directional formatting',
  0x202d: 'left-to-right override',
  0x202e: 'right-to-left override',
  0x2060: 'word joiner',
  0x2066: 'left-to-right isolate',
  0x2067: 'right-to-left isolate',
  0x2068: 'first strong isolate',
  0x2069: 'pop directional isolate',
  0xfeff: 'zero width no-break space',
};

/** Splits text into ordinary text and named characters. */
export const piecesOf = (text: string): readonly Piece[] => {
  const pieces: Piece[] = [];
  let end = 0;
  for (const { 0: character, index } of text.matchAll(HIDDEN)) {
    if (index > end) pieces.push({ text: text.slice(end, index) });
    pieces.push({ text: codePointOf(character), name: nameOf(character) });
    end = index + character.length;
  }
  if (end < text.length || pieces.length === 0) pieces.push({ text: text.slice(end) });
  return pieces;
};

const nameOf = (character: string): string => {
  const name = NAMES[character.codePointAt(0)!] ?? kindOf(character);
  return `${codePointOf(character)} ${name}`;
};

const kindOf = (character: string): string =>
  /\p{M}/u.test(character) ? 'a mark on many others' : 'an invisible character';

/** The first `longest` UTF-16 units of a text, without half a character at the end. */
export const beginning = (text: string, longest: number): string => {
  if (text.length <= longest) return text;
  const cut = text.charCodeAt(longest - 1);
  return text.slice(0, cut >= 0xd800 && cut <= 0xdbff ? longest - 1 : longest);
};
