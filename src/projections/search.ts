/**
 * Full-text search over the id, the source and the descriptions of each incident (of its first report and its latest), by
 * SQLite's FTS5.
 *
 * The index holds words and which incidents have them, nothing else: no texts, no positions. Beside its words an incident
 * has a mark for its severity, one for its class, and one for its resolution when it has one, so that a search within
 * those skips all others. The marks begin with characters for private use, which no searched word has.
 */
import { CLASSES, type IncidentClass, type Resolution, type Severity } from '../../machines/vocabulary.ts';
import type { Database, Statement } from './database.ts';
import type { Incident } from '../domain/incident.ts';
import { indexedWords, type SearchWord } from './search-words.ts';

export class Search {
  readonly #insert: Statement;
  readonly #replace: Statement;
  readonly #find: Statement;

  constructor(database: Database) {
    this.#insert = database.prepare('INSERT INTO search (rowid, words) VALUES (?, ?)');
    this.#replace = database.prepare('INSERT OR REPLACE INTO search (rowid, words) VALUES (?, ?)');
    this.#find = database.prepare(`
      SELECT rowid AS number FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?`);
  }

  add(number: number, incident: Incident): void {
    this.#insert.run(number, wordsOf(incident));
  }

  /** Indexes an incident again whose words have changed. */
  replace(number: number, incident: Incident): void {
    this.#replace.run(number, wordsOf(incident));
  }

  /** The numbers of incidents between two that a query finds, in falling order, at most `limit`. */
  find(query: string, from: number, to: number, limit: number): readonly number[] {
    return this.#find.all(query, from, to, limit).map(({ number }) => Number(number));
  }
}

/** What of an incident is searched for words. */
export const searchedText = ({
  id,
  source,
  description,
  latest_report: latest,
}: Pick<Incident, 'id' | 'source' | 'description' | 'latest_report'>): string =>
  `${id} ${source} ${description} ${latest === undefined ? '' : latest.description}`;

const wordsOf = (incident: Incident): string => {
  const { severity, class: ofClass, resolution } = incident;
  return `${indexedWords(searchedText(incident))} ${severityMark(severity)} ${classMark(ofClass)}${
    resolution === undefined ? '' : ` ${resolutionMark(resolution)}`
  }`;
};

/** The query of FTS5 for words, whatever the severity. */
export const wordQuery = (words: readonly SearchWord[]): string =>
  words.map(({ text, isBeginning }) => `"${text}"${isBeginning ? ' *' : ''}`).join(' AND ');

/** The query of FTS5 for words within a severity, and within classes and resolutions unless none are given. */
export function searchQuery(
  words: readonly SearchWord[],
  severity: Severity,
  classes: readonly IncidentClass[],
  resolutions: readonly Resolution[] = [],
): string {
  const terms = words.length === 0 ? [] : [wordQuery(words)];
  terms.push(`"${severityMark(severity)}"`);
  if (classes.length > 0 && classes.length < CLASSES.length)
    terms.push(`(${classes.map((one) => `"${classMark(one)}"`).join(' OR ')})`);
  if (resolutions.length > 0) terms.push(`(${resolutions.map((one) => `"${resolutionMark(one)}"`).join(' OR ')})`);
  return terms.join(' AND ');
}

const severityMark = (severity: Severity): string => `\uE000${severity}`;
/** An underscore would separate words. */
const classMark = (ofClass: IncidentClass): string => `\uE001${ofClass.replaceAll('_', '')}`;
const resolutionMark = (resolution: Resolution): string => `\uE002${resolution.replaceAll('_', '')}`;
