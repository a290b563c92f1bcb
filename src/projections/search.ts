/**
 * Full-text search over the id, the source and the descriptions of each incident (of its first report and its latest), by
 * SQLite's FTS5.
 *
 * The index holds words and which incidents have them, nothing else: no texts, no positions. Beside its words an incident
 * has a mark for its severity and one for its class, so that a search within those skips all others. The marks begin with
 * characters for private use, which no searched word has.
 */
import { CLASSES, type IncidentClass, type Severity } from '../../machines/vocabulary.ts';
import { RecorderError } from '../errors.ts';
import type { Database, Statement } from './database.ts';
import type { Incident } from '../domain/incident.ts';

/** A searched word, whole or as a prefix. */
export interface SearchWord {
  readonly text: string;
  readonly isBeginning: boolean;
}

/** Shorter prefixes match too much. */
const SHORTEST_BEGINNING = 3;
const MOST_WORDS = 16;
/** Each gathers all its matches before the first is given: sixteen take 50 ms among 20,000 incidents. */
const MOST_BEGINNINGS = 4;

/**
 * Reads what a person searches for: words that all have to occur; `agent*` is a prefix. Case and accents do not count.
 * Everything but letters and digits separates words: an id is three words.
 * @throws RecorderError `invalid_request` when there is no word, too many, or too short a beginning
 */
export function readWords(text: string): readonly SearchWord[] {
  const words = [...text.matchAll(/([\p{L}\p{N}\p{M}]+)(\*?)/gu)].map(([, word, star]) => ({
    text: word!,
    isBeginning: star === '*',
  }));
  if (words.length === 0 || words.length > MOST_WORDS) {
    throw new RecorderError('invalid_request', `q must hold 1 to ${MOST_WORDS} words of letters or digits`);
  }
  if (words.filter(({ isBeginning }) => isBeginning).length > MOST_BEGINNINGS) {
    throw new RecorderError('invalid_request', `q: at most ${MOST_BEGINNINGS} words may end in *`);
  }
  if (words.some((word) => word.isBeginning && word.text.length < SHORTEST_BEGINNING)) {
    throw new RecorderError('invalid_request', `q: there must be ${SHORTEST_BEGINNING} characters before a *`);
  }
  return words;
}

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

  /**
   * The numbers of incidents between two that a query finds, in falling order, at most `limit`.
   * @throws RecorderError `invalid_request` for a word that the index takes for several
   */
  find(query: string, from: number, to: number, limit: number): readonly number[] {
    try {
      return this.#find.all(query, from, to, limit).map(({ number }) => Number(number));
    } catch (cause) {
      // In some scripts letters are joined by signs at which the index separates words.
      if (!(cause as Error).message.includes('phrase')) throw cause;
      throw new RecorderError('invalid_request', 'q holds a word that can not be searched for', { cause });
    }
  }
}

const wordsOf = ({ id, source, description, latest_report, severity, class: ofClass }: Incident): string => {
  const latest = latest_report === undefined ? '' : `${latest_report.description} `;
  return `${id} ${source} ${description} ${latest}${severityMark(severity)} ${classMark(ofClass)}`;
};

/** The query of FTS5 for words within a severity and classes, all of them when there are none. */
export function searchQuery(
  words: readonly SearchWord[],
  severity: Severity,
  classes: readonly IncidentClass[],
): string {
  const terms = words.map(({ text, isBeginning }) => `"${text}"${isBeginning ? ' *' : ''}`);
  terms.push(`"${severityMark(severity)}"`);
  if (classes.length > 0 && classes.length < CLASSES.length)
    terms.push(`(${classes.map((one) => `"${classMark(one)}"`).join(' OR ')})`);
  return terms.join(' AND ');
}

const severityMark = (severity: Severity): string => `\uE000${severity}`;
/** An underscore would separate words. */
const classMark = (ofClass: IncidentClass): string => `\uE001${ofClass.replaceAll('_', '')}`;
