/**
 * Makes the text of incidents safe for a terminal. A reporter chooses the text, and a terminal obeys control characters:
 * each is shown as its escape. So are all others that `hidden-characters.ts` names: what turns the direction of text, what
 * shows as nothing or as a blank, and marks that pile up. Joiners and variation selectors stay where they belong.
 */
import { hiddenCharacters } from '../../domain/hidden-characters.ts';

const UNSAFE = hiddenCharacters();

const NAMES: Readonly<Record<string, string>> = { '\n': String.raw`\n`, '\r': String.raw`\r`, '\t': String.raw`\t` };

/** The text on one line, without anything that a terminal obeys. */
export const printable = (text: string): string =>
  text.replace(UNSAFE, (character) => NAMES[character] ?? escaped(character));

const escaped = (character: string): string => {
  const digits = (character.codePointAt(0) ?? 0).toString(16);
  if (digits.length <= 2) return String.raw`\x${digits.padStart(2, '0')}`;
  return digits.length <= 4 ? String.raw`\u${digits.padStart(4, '0')}` : String.raw`\u{${digits}}`;
};

/** The same for JSON text on one line. It stays JSON with the same value: unsafe characters are in strings only. */
export const printableJson = (json: string): string =>
  json.replace(UNSAFE, (character) =>
    character
      .split('')
      .map((unit) => String.raw`\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );

/** A value as indented JSON, each line printable. */
export const printableLines = (value: unknown): readonly string[] =>
  (JSON.stringify(value, null, 2) ?? '').split('\n').map(printableJson);
