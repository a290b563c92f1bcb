/** Text of incidents, as it goes into the messages of vendors: on one line, with hidden characters named, and bounded. */
import { withHiddenNamed } from '../../domain/hidden-characters.ts';
import type { Incident } from '../../domain/incident.ts';

/**
 * The beginning of a text, with `…` where something is left out.
 * @param most in UTF-16 units of the result
 * @param written how one character is written
 */
export function bounded(text: string, most: number, written = (character: string): string => character): string {
  // Naming hidden characters makes text longer, never shorter.
  const shown = withHiddenNamed(text.slice(0, most).replace(/[\uD800-\uDBFF]$/, ''));
  const pieces: string[] = [];
  let length = 0;
  let isWhole = text.length <= most;
  for (const character of shown) {
    const piece = written(character);
    if (length + piece.length > most - 1) {
      isWhole = false;
      break;
    }
    pieces.push(piece);
    length += piece.length;
  }
  return isWhole ? pieces.join('') : `${pieces.join('')}…`;
}

/** The address of an incident in the console; undefined when the policy does not say where that is. */
export const linkTo = (console: string | undefined, id: string): string | undefined =>
  console === undefined ? undefined : `${console.replace(/\/+$/, '')}/#/incidents/${encodeURIComponent(id)}`;

/** What an incident is about, in a few words: `prompt_injection from web-gateway`. */
export const topicOf = ({ class: name, source }: Pick<Incident, 'class' | 'source'>): string =>
  `${name} from ${source}`;
