/**
 * Pages of the unresolved incidents of some states, classes and severities, for notices: each kind's incidents follow
 * each other in an index, so a page reads no others, and costs the same whatever the number of incidents.
 */
import { type IncidentClass, SEVERITIES, type Severity, type State } from '../../machines/vocabulary.ts';
import type { Database, Statement } from './database.ts';

export interface Kinds {
  readonly states: readonly State[];
  readonly classes: readonly IncidentClass[];
  readonly severities: readonly Severity[];
  /** Whether drills are among them. */
  readonly drills: boolean;
}

/** Behind which incident a page begins: which kind, counted through all, and the number of the incident. */
export interface KindCursor {
  readonly kind: number;
  readonly number: number;
}

export interface KindPage {
  /** The JSON text of each incident. */
  readonly documents: readonly string[];
  /** Where the next page begins; undefined when this was the last. */
  readonly next: KindCursor | undefined;
}

/**
 * Only those for which a moment has come: each has one every so many milliseconds from its creation on, and it lies
 * after `from`, and not after `to`. In milliseconds since the epoch.
 */
export interface DueMoments {
  readonly every: number;
  readonly from: number;
  readonly to: number;
}

export class IncidentsOfKinds {
  readonly #page: Statement;
  readonly #duePage: Statement;

  constructor(database: Pick<Database, 'prepare'>) {
    const page = (condition: string): Statement =>
      database.prepare(`
        SELECT number, document FROM incidents INDEXED BY incidents_by_kind
        WHERE state = ?1 AND class = ?2 AND rank = ?3 AND number > ?4 AND drill <= ?5 ${condition}
        ORDER BY number LIMIT ?6`);
    this.#page = page('');
    this.#duePage = page(`
      AND ?8 - created_at >= ?9 AND CAST((?8 - created_at) / ?9 AS INTEGER) > CAST((?7 - created_at) / ?9 AS INTEGER)`);
  }

  /** The incidents behind a cursor, or the first ones, `most` at most. */
  page(
    { states, classes, severities, drills }: Kinds,
    after: KindCursor | undefined,
    most: number,
    due?: DueMoments,
  ): KindPage {
    const kinds = states.flatMap((state) =>
      classes.flatMap((name) => severities.map((severity) => [state, name, SEVERITIES.indexOf(severity)] as const)),
    );
    const documents: string[] = [];
    let number = after?.number ?? 0;
    for (let kind = after?.kind ?? 0; kind < kinds.length; kind += 1) {
      const given = [...kinds[kind]!, number, drills ? 2 : 0, most - documents.length] as const;
      const rows =
        due === undefined ? this.#page.all(...given) : this.#duePage.all(...given, due.from, due.to, due.every);
      for (const row of rows) documents.push(String(row.document));
      if (documents.length >= most) return { documents, next: { kind, number: Number(rows.at(-1)!.number) } };
      number = 0;
    }
    return { documents, next: undefined };
  }
}
