/**
 * A search as a `tsquery`: the words, terms and people that the recorder asks its own index for. The index of the fleet
 * holds the words of an incident with the weight A, those of people and notes B, those of evidence C, and marks D.
 */
import type { SearchTerm } from '../../search/search-terms.ts';
import type { SearchWord } from '../../search/search-words.ts';
import { pairMark } from '../../search/evidence-words.ts';
import { byMark, resolutionMark, SNOOZED } from '../../search/searched-incident.ts';
import type { ListQuery } from '../../query/list-query.ts';
import { lexemeOf } from '../lexeme.ts';

/** What of a list's query the search index is asked for. */
export type Searched = Pick<ListQuery, 'words' | 'terms' | 'evidence' | 'by' | 'resolutions' | 'snoozed'>;

/** What only the search index knows of a query; undefined when it asks for nothing of that. */
export function tsqueryOf({ words = [], terms = [], evidence = false, by = [] }: Searched): string | undefined {
  const wanted = words.map((word) => wordOf(word, evidence ? 'ABC' : 'AB'));
  for (const term of terms) {
    const one = termOf(term);
    if (one !== undefined) wanted.push(one);
  }
  if (by.length > 0) wanted.push(anyOf(by.map(byMark)));
  return wanted.length === 0 ? undefined : wanted.join(' & ');
}

/** The same with what columns know and no index of them: for an index that finds few incidents quickly. */
export function narrowTsqueryOf(query: Searched): string | undefined {
  const { resolutions = [], snoozed } = query;
  const wanted: string[] = [];
  const searched = tsqueryOf(query);
  if (searched !== undefined) wanted.push(searched);
  if (resolutions.length > 0) wanted.push(anyOf(resolutions.map(resolutionMark)));
  if (snoozed === true) wanted.push(anyOf([SNOOZED]));
  return wanted.length === 0 ? undefined : wanted.join(' & ');
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

const markOf = (mark: string): string => `${quoted(lexemeOf(mark))}:D`;

const wordOf = ({ text, isBeginning }: SearchWord, weights: string): string =>
  `${quoted(lexemeOf(text))}:${isBeginning ? '*' : ''}${weights}`;

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
