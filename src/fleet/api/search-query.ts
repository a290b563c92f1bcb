/**
 * A search as a `tsquery`: the words, terms and people that the recorder asks its own index for. A lexeme of the fleet's
 * index begins with a letter that says what it is of (`lexeme.ts`).
 */
import type { SearchTerm } from '../../search/search-terms.ts';
import type { SearchWord } from '../../search/search-words.ts';
import { pairMark } from '../../search/evidence-words.ts';
import { byMark, resolutionMark, SNOOZED } from '../../search/searched-incident.ts';
import type { ListQuery } from '../../query/list-query.ts';
import { KIND, lexemeOf } from '../lexeme.ts';

/** What of a list's query the search index is asked for. */
export type Searched = Pick<ListQuery, 'words' | 'terms' | 'evidence' | 'by' | 'resolutions' | 'snoozed'>;

/**
 * What is searched for: parts of a `tsquery`. An incident must have all of them, each among the words of its report or among
 * those that were added.
 */
export type Wanted = readonly string[];

/** What only the search index knows of a query; undefined when it asks for nothing of that. */
export function wantedIn({ words = [], terms = [], evidence = false, by = [] }: Searched): Wanted | undefined {
  const wanted = words.map((word) => wordOf(word, evidence ? EVERYWHERE : OWN));
  for (const term of terms) {
    const one = termOf(term);
    if (one !== undefined) wanted.push(one);
  }
  if (by.length > 0) wanted.push(anyOf(by.map(byMark)));
  return wanted.length === 0 ? undefined : wanted;
}

/** The same with what columns know and no index of them: for an index that finds few incidents quickly. */
export function narrowlyWantedIn(query: Searched): Wanted | undefined {
  const { resolutions = [], snoozed } = query;
  const wanted = [...(wantedIn(query) ?? [])];
  if (resolutions.length > 0) wanted.push(anyOf(resolutions.map(resolutionMark)));
  if (snoozed === true) wanted.push(anyOf([SNOOZED]));
  return wanted.length === 0 ? undefined : wanted;
}

/** Incidents with all of some values in their evidence. */
export const pairsQuery = (pairs: readonly { readonly path: string; readonly value: string }[]): string =>
  pairs.map(({ path, value }) => markOf(pairMark(path, value))).join(' & ');

/** The mark of what is indexed in part only. */
export const cutQuery = (mark: string): string => markOf(mark);

function termOf(term: SearchTerm): string | undefined {
  switch (term.of) {
    case 'evidence':
      return anyOf(term.values.map((value) => pairMark(term.path, value)));
    case 'by':
      return markOf(byMark(term.value));
    case 'class':
    case 'source':
    case 'assignee':
    case 'id':
      // Columns know these.
      return undefined;
    default:
      return term satisfies never;
  }
}

const anyOf = (marks: readonly string[]): string =>
  marks.length === 1 ? markOf(marks[0]!) : `(${marks.map(markOf).join(' | ')})`;

const markOf = (mark: string): string => quoted(lexemeOf(KIND.marks, mark));

const OWN = [KIND.words, KIND.people];
const EVERYWHERE = [...OWN, KIND.evidence];

const wordOf = ({ text, isBeginning }: SearchWord, kinds: typeof EVERYWHERE | typeof OWN): string =>
  `(${kinds.map((kind) => quoted(lexemeOf(kind, text)) + (isBeginning ? ':*' : '')).join(' | ')})`;

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
