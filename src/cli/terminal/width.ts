/** The width of printable text on a terminal, in columns, and how to make it fit. */
import { eastAsianWidth } from 'get-east-asian-width';

const ASCII = /^[\x20-\x7e]*$/;
/** Characters drawn over the one before. */
const MARK = /^[\p{Mn}\p{Me}\u200c\u200d]/u;
/** Characters shown as pictures, and flags. The pattern of all emoji takes too long to compile. */
const EMOJI = /\ufe0f|^\p{Regional_Indicator}{2}/u;

let segmenter: Intl.Segmenter | undefined;

/** Yields the characters as people count them, each with its width. */
const measured = function* (text: string): Generator<readonly [character: string, width: number]> {
  segmenter ??= new Intl.Segmenter('en');
  for (const { segment } of segmenter.segment(text)) {
    if (EMOJI.test(segment)) yield [segment, 2];
    else if (MARK.test(segment)) yield [segment, 0];
    else yield [segment, eastAsianWidth(segment.codePointAt(0) ?? 0)];
  }
};

export const widthOf = (text: string): number => {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const [, columns] of measured(text)) width += columns;
  return width;
};

/** The text cut to so many columns, ending in … where it was cut. */
export const fitted = (text: string, columns: number): string => {
  if (widthOf(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const [character, more] of measured(text)) {
    if (width + more > columns - 1) break;
    kept += character;
    width += more;
  }
  return columns < 1 ? '' : `${kept}…`;
};

/** The text padded with spaces to so many columns. */
export const padded = (text: string, columns: number): string =>
  text + ' '.repeat(Math.max(0, columns - widthOf(text)));
