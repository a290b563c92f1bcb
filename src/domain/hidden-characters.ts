/**
 * Characters of foreign text that show as nothing or as a blank, turn the direction of text, or control a device.
 *
 * All of them are control, format, surrogate, private-use and unassigned characters (general category C), separators
 * other than the space, what Unicode calls default-ignorable, and a few that fonts draw as a blank.
 */

/** The characters, for use in a character class of a pattern with the flag `u`. */
const HIDDEN = String.raw`\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{16fe4}\u{1d159}`;

/** Spaces other than U+0020. */
const OTHER_SPACES = String.raw`(?! )\p{Zs}`;

/**
 * Where a hidden character belongs to what is written: a joiner between emoji or between letters of scripts that join, a
 * variation selector behind an emoji, a keycap's base or a Han character, and the tags of a flag.
 */
const JOINING = String.raw`[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Nko}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}]`;
const EMOJI = String.raw`\p{Extended_Pictographic}`;
const BELONGING = [
  String.raw`(?<=${EMOJI}[\u{1f3fb}-\u{1f3ff}]?\ufe0f?)\u200d(?=${EMOJI})`,
  String.raw`(?<=${JOINING})[\u200c\u200d](?=${JOINING})`,
  String.raw`(?<=[${EMOJI}#*0-9])[\ufe0e\ufe0f]`,
  String.raw`(?<=\p{Script=Han})[\ufe00-\ufe02\u{e0100}-\u{e01ef}]`,
  String.raw`(?<=\u{1f3f4}[\u{e0020}-\u{e007e}]*)[\u{e0020}-\u{e007f}]`,
];

/** As many marks as one letter carries in any script; what is beyond would be drawn over its neighbours. */
const MARKS = 4;

/**
 * A pattern for every character that must not be shown as it is, one a match.
 * @param except characters that may
 */
export const hiddenCharacters = ({ except = '' } = {}): RegExp => {
  const spared = except === '' ? '' : `(?![${except}])`;
  const hidden = `[${HIDDEN}]|${OTHER_SPACES}|${String.raw`(?<=\p{M}{${MARKS}})\p{M}`}`;
  return new RegExp(`${spared}(?!${BELONGING.join('|')})(?:${hidden})`, 'gu');
};

let forbidden: RegExp | undefined;

/** What names are made of, as a pattern: words without hidden characters, with single spaces between. */
export const NAME_PATTERN = `^[^${HIDDEN}\\p{Z}]+(?: [^${HIDDEN}\\p{Z}]+)*$`;

/** The first character that a name must not hold; undefined when there is none. */
export const forbiddenInName = (name: string): string | undefined =>
  (forbidden ??= new RegExp(`[${HIDDEN}]|${OTHER_SPACES}`, 'u')).exec(name)?.[0];

/** `U+202E`. */
export const codePointOf = (character: string): string =>
  `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;

let pattern: RegExp | undefined;
/** Made when it is first used: to read its text takes a hundredth of a start. */
const notToBeShown = (): RegExp => (pattern ??= hiddenCharacters());

/** The text with a space in place of every such character. */
export const withoutHidden = (text: string): string => text.replace(notToBeShown(), ' ');

/** The text on one line, with the code point in place of every such character: `[U+202E]`. */
export const withHiddenNamed = (text: string): string =>
  text.replace(notToBeShown(), (character) => (/[\t\n\r]/.test(character) ? ' ' : `[${codePointOf(character)}]`));
