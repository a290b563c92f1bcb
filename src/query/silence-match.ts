/**
 * Which incidents silences match: an incident as it is now, by class, source, severity and words. Pure. The list and the
 * counts ask the database the same (`attention.ts`).
 */
import type { Incident } from '../domain/incident.ts';
import { silenceState } from '../domain/silence.ts';
import type { SilenceMatchers, SilenceOnRecord } from '../domain/silence-terms.ts';
import { searchedText } from '../search/searched-incident.ts';
import { indexedWords, readWords, type SearchWord } from '../search/search-words.ts';

/** What of an incident a silence looks at. */
export type Silenceable = Pick<Incident, 'id' | 'class' | 'severity' | 'source' | 'description' | 'latest_report'>;

/**
 * The silences that are active and match an incident.
 *
 *     const isNotified = silencesFor(incident, current().silences(clock.now()), clock.now()).length === 0;
 *
 * @param at milliseconds since the epoch
 */
export function silencesFor(
  incident: Silenceable,
  silences: readonly SilenceOnRecord[],
  at: number,
): readonly SilenceOnRecord[] {
  return silencesMatching(
    incident,
    silences.filter((silence) => silenceState(silence, at) === 'active'),
  );
}

/** The silences that match an incident, whether or not it is their time. */
export function silencesMatching(
  incident: Silenceable,
  silences: readonly SilenceOnRecord[],
): readonly SilenceOnRecord[] {
  if (silences.length === 0) return silences;
  let words: readonly string[] | undefined;
  const hasWords = (q: string): boolean => {
    words ??= wordsIn(searchedText(incident));
    return readWords(q).every((word) => isAmong(word, words!));
  };
  return silences.filter((silence) => admits(silence, incident) && (silence.q === undefined || hasWords(silence.q)));
}

/** Whether an active silence matches an incident. @param at milliseconds since the epoch */
export const isSilenced = (incident: Silenceable, silences: readonly SilenceOnRecord[], at: number): boolean =>
  silencesFor(incident, silences, at).length > 0;

/**
 * Whether a silence that matches an incident held when an entry was written, though it may be over by now.
 * @param written the entry: its place in the log, and its time in milliseconds since the epoch
 */
export function wasSilenced(
  incident: Silenceable,
  silences: readonly SilenceOnRecord[],
  written: { readonly seq: number; readonly at: number },
): boolean {
  const holding = silences.filter(
    ({ seq, from, until, ended }) =>
      seq < written.seq &&
      written.seq < (ended?.seq ?? Infinity) &&
      Date.parse(from) <= written.at &&
      written.at < Date.parse(until),
  );
  return silencesMatching(incident, holding).length > 0;
}

/** Whether a silence matches an incident, apart from words. */
export function admits(
  { class: classes, severity: severities, source: sources }: SilenceMatchers,
  { class: ofClass, severity, source }: Pick<Silenceable, 'class' | 'severity' | 'source'>,
): boolean {
  return among(classes, ofClass) && among(severities, severity) && among(sources, source);
}

/** Whether a list holds a value; an empty one stands for all. */
const among = <Value>(values: readonly Value[], value: Value): boolean => values.length === 0 || values.includes(value);

/** How the index splits what `indexedWords` gives: at all ASCII characters but letters and digits. */
const INDEXED = /[0-9a-z\u0080-\u{10ffff}]+/gu;

/** The words that the search index has of a text. */
const wordsIn = (text: string): readonly string[] => lowered(indexedWords(text)).match(INDEXED) ?? [];

/** The index lower-cases ASCII only; everything else is in its form already. */
const lowered = (text: string): string => text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());

function isAmong({ text, isBeginning }: SearchWord, words: readonly string[]): boolean {
  const wanted = lowered(text);
  return isBeginning ? words.some((word) => word.startsWith(wanted)) : words.includes(wanted);
}
