/**
 * Full-text search over the id, the source, the descriptions, the evidence (of the first report and the latest), the notes
 * and the people of each incident, by SQLite's FTS5.
 *
 * The index holds words and which incidents have them, nothing else: no texts, no positions. It has four columns, so that a
 * search by somebody who may not see evidence never looks at the words of evidence, and a silence looks at the words of the
 * incident itself only, not at those of notes and people. The last are marks: for an incident's
 * severity, class, source and resolution, for who has acted on it and who works it, for each value in its evidence with the
 * path to it. So a search within those skips all others.
 *
 * Of long evidence and of many notes a part is indexed. Such an incident has a mark as well, so that an answer can say that
 * a search was not complete.
 *
 * Each commit adds a part to the index, and a search looks into every part. `mergeSome` makes few parts of many, a few
 * milliseconds at a time.
 */
import { CLASSES, type IncidentClass, type Resolution, SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import type { Database, Statement } from './database.ts';
import { pairMark } from '../search/evidence-words.ts';
import {
  ASSIGNED,
  assigneeMark,
  byMark,
  classMark,
  CUT_EVIDENCE,
  CUT_NOTES,
  resolutionMark,
  severityMark,
  SNOOZED,
  sourceMark,
  wordsOf,
} from '../search/searched-incident.ts';
import type { Incident } from '../domain/incident.ts';
import type { SearchWord } from '../search/search-words.ts';
import type { SearchTerm } from '../search/search-terms.ts';

/** How many pages of 4 KiB a merge writes in a row: five milliseconds, and more where incidents have left. */
const MERGED_PAGES = 48;

export class Search {
  readonly #insert: Statement;
  readonly #replace: Statement;
  readonly #find: Statement;
  readonly #merge: Statement;
  readonly #changes: Statement;
  /** Whether there may be something to merge. */
  #isGrown = true;

  constructor(database: Database) {
    this.#insert = database.prepare(
      'INSERT INTO search (rowid, words, people, evidence, marks) VALUES (?, ?, ?, ?, ?)',
    );
    this.#replace = database.prepare(
      'INSERT OR REPLACE INTO search (rowid, words, people, evidence, marks) VALUES (?, ?, ?, ?, ?)',
    );
    this.#find = database.prepare(`
      SELECT rowid AS number FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?`);
    this.#merge = database.prepare(`INSERT INTO search (search, rank) VALUES ('merge', ${MERGED_PAGES})`);
    this.#changes = database.prepare('SELECT total_changes() AS count');
  }

  add(number: number, incident: Incident): void {
    this.#isGrown = true;
    this.#insert.run(number, ...wordsOf(incident));
  }

  /** Indexes an incident again whose words have changed. */
  replace(number: number, incident: Incident): void {
    this.#isGrown = true;
    this.#replace.run(number, ...wordsOf(incident));
  }

  /** The numbers of incidents between two that a query finds, in falling order, at most `limit`. */
  find(query: string, from: number, to: number, limit: number): readonly number[] {
    return this.#find.all(query, from, to, limit).map(({ number }) => Number(number));
  }

  /** Merges some of the parts of the index, in a transaction. @returns whether there was something to merge */
  mergeSome(): boolean {
    if (!this.#isGrown) return false;
    const before = Number(this.#changes.get()!.count);
    this.#merge.run();
    // The command itself counts as one (sqlite.org/fts5.html, 6.8).
    this.#isGrown = Number(this.#changes.get()!.count) - before > 1;
    return this.#isGrown;
  }

  /** Whether a part only of some incident's evidence, or of its notes, is indexed. */
  isCut(of: 'evidence' | 'notes'): boolean {
    return this.find(mark(of === 'evidence' ? CUT_EVIDENCE : CUT_NOTES), 0, Number.MAX_SAFE_INTEGER, 1).length > 0;
  }
}

/** What a search looks for. An empty list stands for all. */
export interface SearchFilter {
  readonly words?: readonly SearchWord[] | undefined;
  readonly terms?: readonly SearchTerm[] | undefined;
  readonly severities?: readonly Severity[] | undefined;
  readonly classes?: readonly IncidentClass[] | undefined;
  readonly resolutions?: readonly Resolution[] | undefined;
  readonly sources?: readonly string[] | undefined;
  /** Who has acted on them. */
  readonly by?: readonly string[] | undefined;
  /** Who works them; null for nobody. */
  readonly assignees?: readonly (string | null)[] | undefined;
  readonly snoozed?: boolean | undefined;
  /** Whether words may be found in evidence: only for whoever may see it. */
  readonly evidence?: boolean | undefined;
  /** Whether words are found in the text of the incident only: not in notes, names of people, and evidence. */
  readonly isOwnText?: boolean;
}

/** The query of FTS5 for what a search looks for. */
export function searchQuery(filter: SearchFilter): string {
  const { words = [], terms = [], severities = [], classes = [], resolutions = [], sources = [], by = [] } = filter;
  const wanted = words.map((word) => wordQuery(word, columnsFor(filter)));
  // Which incident an id names, the list finds out.
  for (const term of terms) if (term.of !== 'id') wanted.push(termQuery(term));
  const anyOf = (marks: readonly string[]): void => {
    if (marks.length > 0) wanted.push(orOf(marks.map(mark)));
  };
  if (classes.length < CLASSES.length) anyOf(classes.map(classMark));
  anyOf(resolutions.map(resolutionMark));
  anyOf(sources.map(sourceMark));
  anyOf(by.map(byMark));
  if (filter.snoozed === true) anyOf([SNOOZED]);
  // What is left out needs something that it is left out of.
  anyOf((severities.length === 0 && needsAll(filter, wanted) ? SEVERITIES : severities).map(severityMark));
  const { assignees = [] } = filter;
  const names = assignees.filter((name) => name !== null);
  let query = wanted.join(' AND ');
  if (assignees.includes(null)) {
    const nobodys = `(${query}) NOT ${mark(ASSIGNED)}`;
    query =
      names.length === 0
        ? nobodys
        : `(${nobodys}) OR ((${query}) AND ${orOf(names.map((name) => mark(assigneeMark(name))))})`;
  } else if (names.length > 0) {
    query = [...(query === '' ? [] : [query]), orOf(names.map((name) => mark(assigneeMark(name))))].join(' AND ');
  }
  return filter.snoozed === false ? `(${query}) NOT ${mark(SNOOZED)}` : query;
}

const needsAll = ({ assignees = [], snoozed }: SearchFilter, wanted: readonly string[]): boolean =>
  wanted.length === 0 && (assignees.includes(null) || snoozed === false);

const orOf = (terms: readonly string[]): string => (terms.length === 1 ? terms[0]! : `(${terms.join(' OR ')})`);

/** Where words may be found, as FTS5 takes it. */
const columnsFor = ({ evidence = false, isOwnText = false }: SearchFilter): string =>
  isOwnText ? 'words' : evidence ? '{words people evidence}' : '{words people}';

const wordQuery = ({ text, isBeginning }: SearchWord, columns: string): string =>
  `${columns} : "${text}"${isBeginning ? ' *' : ''}`;

function termQuery(term: Exclude<SearchTerm, { readonly of: 'id' }>): string {
  switch (term.of) {
    case 'evidence':
      return orOf(term.values.map((value) => mark(pairMark(term.path, value))));
    case 'class':
      return mark(classMark(term.value));
    case 'source':
      return mark(sourceMark(term.value));
    case 'by':
      return mark(byMark(term.value));
    case 'assignee':
      return mark(assigneeMark(term.value));
    default:
      return term satisfies never;
  }
}

/** The query for a mark. */
const mark = (text: string): string => `marks : "${text}"`;
