/**
 * The incidents whose evidence has the same values under the same keys as that of one: those with the most of them first,
 * then those with rarer ones, then the newest.
 *
 * The search index finds them. For each value the newest incidents that have it are looked at, and the newest that have
 * all: where a value is common, older ones are left out. What is the same is read from the incidents themselves.
 */
import type { Incident } from '../domain/incident.ts';
import type { Database, Statement } from './database.ts';
import { bySimilarity, evidenceOf, type SimilarIncident } from '../query/similar-evidence.ts';
import { type EvidenceValue, LONGEST_TERM } from '../search/evidence-words.ts';
import { Search, searchQuery } from './search.ts';

/** How many values of an incident are looked up. */
const MOST_VALUES_COMPARED = 64;
/** How many incidents are looked at for each value, and how many are compared in all, with how many characters. */
const NEWEST = 256;
const MOST_COMPARED = 256;
const MOST_CHARACTERS_COMPARED = 2 * 1024 * 1024;

/** An incident that may be similar. */
interface Candidate {
  readonly number: number;
  count: number;
  /** The rarer the values, the more. */
  weight: number;
}

export class SimilarIncidents {
  readonly #search: Search;
  readonly #number: Statement;
  readonly #documents: Statement;

  constructor(database: Database) {
    this.#search = new Search(database);
    this.#number = database.prepare('SELECT number, document FROM incidents WHERE id = ?');
    this.#documents = database.prepare(`
      SELECT number, document FROM json_each(?) CROSS JOIN incidents ON number = value ORDER BY key`);
  }

  /** The incidents that are similar to one, at most `limit`; undefined when there is none with this id. */
  find(id: string, limit: number): readonly SimilarIncident[] | undefined {
    const row = this.#number.get(id);
    if (row === undefined) return undefined;
    const own = [...evidenceOf(JSON.parse(String(row.document)) as Incident)];
    const values = own
      .filter(([, { path, value }]) => path.length + String(value).length <= LONGEST_TERM)
      .slice(0, MOST_VALUES_COMPARED);
    const weights = new Map<string, number>();
    const candidates = new Map<number, Candidate>();
    for (const [key, value] of values) {
      const numbers = this.#having([value]);
      const weight = 1 / numbers.length;
      weights.set(key, weight);
      for (const number of numbers) {
        const candidate = candidates.get(number) ?? { number, count: 0, weight: 0 };
        candidate.count += 1;
        candidate.weight += weight;
        candidates.set(number, candidate);
      }
    }
    if (values.length > 1) {
      for (const number of this.#having(values.map(([, value]) => value))) {
        candidates.set(number, { number, count: values.length, weight: 0 });
      }
    }
    candidates.delete(Number(row.number));
    return this.#compared([...candidates.values()].toSorted(bySimilarity).slice(0, MOST_COMPARED), weights, limit);
  }

  /** The newest incidents that have all of some values. */
  #having(values: readonly EvidenceValue[]): readonly number[] {
    const terms = values.map(({ path, value }) => ({ of: 'evidence', path, values: [String(value)] }) as const);
    return this.#search.find(searchQuery({ terms }), 0, Number.MAX_SAFE_INTEGER, NEWEST + 1);
  }

  #compared(
    candidates: readonly Candidate[],
    weights: ReadonlyMap<string, number>,
    limit: number,
  ): readonly SimilarIncident[] {
    const found: (Candidate & SimilarIncident)[] = [];
    let characters = 0;
    for (const row of this.#documents.iterate(JSON.stringify(candidates.map(({ number }) => number)))) {
      const json = String(row.document);
      characters += json.length;
      if (characters > MOST_CHARACTERS_COMPARED && found.length > 0) break;
      const same = [...evidenceOf(JSON.parse(json) as Incident)].filter(([key]) => weights.has(key));
      if (same.length === 0) continue;
      const weight = same.reduce((sum, [key]) => sum + (weights.get(key) ?? 0), 0);
      found.push({
        number: Number(row.number),
        count: same.length,
        weight,
        json,
        same: same.map(([, value]) => value),
      });
    }
    return found.toSorted(bySimilarity).slice(0, limit);
  }
}
