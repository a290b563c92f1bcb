/**
 * Which incidents need attention, and which are silenced, as the database answers it.
 *
 * Each row says whether its incident needs attention apart from silences (`domain/attention.ts`), and an index of its own
 * holds those that do. Silences depend on the time, so they are asked for with each read: those by class, severity and
 * source narrow the scans of the list, those by words are asked of the search index, many incidents at a time. The
 * counts ask the same in one statement.
 */
import {
  CLASSES,
  type IncidentClass,
  SEVERITIES,
  type Severity,
  type State,
  STATES,
} from '../../machines/vocabulary.ts';
import type { SilenceMatchers, SilenceOnRecord } from '../domain/silence-terms.ts';
import type { AttentionFilter } from '../query/list-query.ts';
import type { Database, Statement } from './database.ts';
import { FETCH, IndexScan } from './index-scan.ts';
import { Search, searchQuery } from './search.ts';
import { readWords } from '../search/search-words.ts';
import type { Silences } from './silences.ts';

/** The states in which an incident may need attention. */
const ATTENDED: readonly State[] = STATES.filter((state) => state !== 'resolved');
/** With more sources than this, those of a kind are not looked up one by one. */
const MOST_LOOKED_UP = 16;
/** How many incidents are compared with the words of silences at a time: first few, as a page may need no more. */
const FIRST_COMPARED = 64;
const MOST_COMPARED_AT_ONCE = 2048;
/**
 * After how many of them, or after how many queries, a page ends early: no other request is answered meanwhile. They take
 * some 200 ms under `--jitless`, and 500 ms with 64 silences by words.
 */
const MOST_COMPARED = 8192;
const MOST_LOOKS = 32;
const MOST_LOOKS_FOR_BEGINNINGS = 2;
/** With fewer looks than this, each is at many incidents. */
const FEW_LOOKS = 8;
/**
 * With more incidents than this that need attention, their number may be old: by a millisecond for each hundred that are
 * looked at. To look at a hundred takes 10 µs, and 200 µs for silences by words.
 */
const MANY = 20_000;
const LOOKED_AT_PER_MILLISECOND = 100;

/** Numbers of incidents in falling order; returns where to go on when the budget is spent. */
type Numbers = Generator<number, number | undefined>;

/** One kind of incidents, and the numbers that are looked at. */
interface Kind {
  readonly state: State;
  readonly class: IncidentClass;
  readonly rank: number;
  readonly from: number;
  readonly to: number;
}

export class Attention {
  readonly #database: Pick<Database, 'prepare'>;
  readonly #silences: Pick<Silences, 'active'>;
  readonly #position: () => number;
  readonly #search: Search;
  readonly #total: Statement;
  readonly #needing: Statement;
  readonly #needingOf: Statement;
  readonly #ofKind: Statement;
  readonly #ofKindOf: Statement;
  readonly #ofKindWithout: Statement;
  readonly #ofSource: Statement;
  readonly #sources: Statement;
  readonly #prepared = new Map<string, Statement>();
  /** What was counted last: for all active silences, and for each one. */
  readonly #counted = new Map<string, Counted>();

  /**
   * @param silences those on record
   * @param position `seq` of the last entry that was applied
   */
  constructor(database: Database, silences: Pick<Silences, 'active'>, position: () => number) {
    this.#database = database;
    this.#silences = silences;
    this.#position = position;
    this.#search = new Search(database);
    this.#total = database.prepare(
      'SELECT count(*) AS count FROM incidents INDEXED BY incidents_needing_attention WHERE attention = 1',
    );
    const scan = (index: string, condition: string): Statement =>
      database.prepare(`
        SELECT number FROM incidents INDEXED BY ${index}
        WHERE state = ? AND class = ? AND rank = ? AND number BETWEEN ? AND ? AND ${condition}
        ORDER BY number DESC LIMIT ${FETCH}`);
    this.#needing = scan(
      'incidents_needing_attention',
      'attention = 1 AND source NOT IN (SELECT value FROM json_each(?))',
    );
    this.#needingOf = scan(
      'incidents_needing_attention',
      'attention = 1 AND source IN (SELECT value FROM json_each(?))',
    );
    this.#ofKind = scan('incidents_by_kind', '1');
    this.#ofKindOf = scan('incidents_by_kind', 'source IN (SELECT value FROM json_each(?))');
    this.#ofKindWithout = scan('incidents_by_kind', 'source NOT IN (SELECT value FROM json_each(?))');
    this.#ofSource = database.prepare(`
      SELECT number FROM incidents INDEXED BY incidents_by_source
      WHERE source = ? AND state = ? AND class = ? AND rank = ? AND number BETWEEN ? AND ?
      ORDER BY number DESC LIMIT ${FETCH}`);
    this.#sources = database.prepare('SELECT number, source FROM json_each(?) CROSS JOIN incidents ON number = value');
  }

  /** How many incidents need attention. With very many, the number may be some seconds old. @param at milliseconds */
  count(at: number): number {
    const active = this.#silences.active(at);
    const silences = active.map(({ silence }) => silence).join();
    return this.#remembered('', silences, active, at, (total) =>
      active.length === 0 || total === 0 ? total : total - this.#countMatching(active),
    );
  }

  /**
   * How many incidents that would need attention without it a silence matches. With very many, the number may be some
   * seconds old.
   */
  matches(silence: SilenceMatchers & { readonly silence: string }, at: number): number {
    return this.#remembered(silence.silence, '', [silence], at, () => this.#countMatching([silence]));
  }

  #remembered(
    key: string,
    silences: string,
    asked: readonly SilenceMatchers[],
    at: number,
    read: (total: number) => number,
  ): number {
    const known = this.#counted.get(key);
    const position = this.#position();
    const isSame = known !== undefined && known.silences === silences;
    if (isSame && (known.position === position || Math.abs(at - known.at) < known.keptFor)) return known.count;
    const total = Number(this.#total.get()?.count ?? 0);
    const words = asked.filter(({ q }) => q !== undefined).length;
    const keptFor = total <= MANY ? 0 : (total * (1 + 2 * words)) / LOOKED_AT_PER_MILLISECOND;
    const count = read(total);
    if (this.#counted.size >= MOST_COUNTED) this.#counted.clear();
    this.#counted.set(key, { position, silences, at, keptFor, count });
    return count;
  }

  #countMatching(silences: readonly SilenceMatchers[]): number {
    const values: string[] = [];
    const conditions = silences.map((silence) => conditionOf(silence, values));
    const sql = `
      SELECT count(*) AS count FROM incidents INDEXED BY incidents_needing_attention
      WHERE attention = 1 AND (${conditions.join(' OR ')})`;
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      if (this.#prepared.size >= MOST_PREPARED) this.#prepared.clear();
      statement = this.#database.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return Number(statement.get(...values)?.count ?? 0);
  }

  /** The filter of a list, with the silences that are active at its time; undefined when it admits everything. */
  of({ needed = false, silenced, at }: AttentionFilter): ListedAttention | undefined {
    if (!needed && silenced === undefined) return undefined;
    // What is silenced needs no attention.
    const isEmpty = needed && silenced === true;
    return new ListedAttention(this, isEmpty ? undefined : this.#silences.active(at), needed, silenced === true);
  }

  /** The scans over the incidents of one kind that a filter admits, apart from silences by words. */
  scans(
    kind: Kind,
    needed: boolean,
    sources: readonly string[],
    silences: KindSilences,
    silenced: boolean,
  ): readonly IndexScan[] {
    const scan = (statement: Statement, ...more: string[]): IndexScan =>
      new IndexScan(kind.to, (to) =>
        statement.all(kind.state, kind.class, kind.rank, kind.from, to, ...more).map(({ number }) => Number(number)),
      );
    const ofSources = (names: readonly string[]): readonly IndexScan[] =>
      needed
        ? [scan(this.#needingOf, JSON.stringify(names))]
        : names.map(
            (source) =>
              new IndexScan(kind.to, (to) =>
                this.#ofSource
                  .all(source, kind.state, kind.class, kind.rank, kind.from, to)
                  .map(({ number }) => Number(number)),
              ),
          );
    if (needed && !ATTENDED.includes(kind.state)) return [];
    if (silenced) {
      const asked = silences.candidates;
      if (asked === undefined) return sources.length === 0 ? [scan(this.#ofKind)] : ofSources(sources);
      const names = sources.length === 0 ? [...asked] : sources.filter((source) => asked.has(source));
      if (names.length > MOST_LOOKED_UP) return [scan(this.#ofKindOf, JSON.stringify(names))];
      return names.length === 0 ? [] : ofSources(names);
    }
    if (silences.all) return [];
    const hidden = silences.sources;
    if (sources.length > 0) {
      const names = sources.filter((source) => !hidden.has(source));
      return names.length === 0 ? [] : ofSources(names);
    }
    if (needed) return [scan(this.#needing, JSON.stringify([...hidden]))];
    return [hidden.size === 0 ? scan(this.#ofKind) : scan(this.#ofKindWithout, JSON.stringify([...hidden]))];
  }

  /** Which of these incidents silences match. @param rank that of their severity; undefined for several severities */
  matching(
    numbers: readonly number[],
    rank: number | undefined,
    silences: readonly SilenceOnRecord[],
  ): ReadonlySet<number> {
    const [highest, lowest] = [Math.max(...numbers), Math.min(...numbers)];
    const matched = new Set<number>();
    let sources: ReadonlyMap<number, string> | undefined;
    const sourceOf = (number: number): string | undefined => {
      sources ??= new Map(
        this.#sources.all(JSON.stringify(numbers)).map(({ number: one, source }) => [Number(one), String(source)]),
      );
      return sources.get(number);
    };
    const isAsked = new Set(numbers);
    for (const silence of silences) {
      const query = queryOf(silence, rank === undefined ? silence.severity : [SEVERITIES[rank]!]);
      for (const number of this.#search.find(query, lowest, highest, -1)) {
        if (!isAsked.has(number) || matched.has(number)) continue;
        if (silence.source.length === 0 || silence.source.includes(sourceOf(number) ?? '')) matched.add(number);
      }
    }
    return matched;
  }
}

/** How many statements are kept; silences seldom change. */
const MOST_PREPARED = 16;
/** How many counts are kept: more than there are silences. */
const MOST_COUNTED = 256;

/** A number that was counted, and what it was counted from. */
interface Counted {
  readonly position: number;
  /** Their identifiers. */
  readonly silences: string;
  /** When: milliseconds since the epoch. */
  readonly at: number;
  /** For how long it is given although entries have come since, in milliseconds. */
  readonly keptFor: number;
  readonly count: number;
}

/** What of an incident on record says whether it is listed. */
interface Attendable extends Pick<Kind, 'class' | 'rank'> {
  readonly source: string;
  /** Whether it needs attention apart from silences: 1 or 0. */
  readonly attention: number;
}

/** The silences that may match incidents of one class and severity. */
interface KindSilences {
  /** Whether one of them matches all of these incidents. */
  readonly all: boolean;
  /** The sources that are silenced, whatever the words. */
  readonly sources: ReadonlySet<string>;
  /** The sources that may be silenced; undefined for any. */
  readonly candidates: ReadonlySet<string> | undefined;
}

/** The filter of one list by attention and silences. */
export class ListedAttention {
  readonly #attention: Attention;
  readonly #silences: readonly SilenceOnRecord[] | undefined;
  readonly #needed: boolean;
  readonly #silenced: boolean;

  /**
   * @param silences those that are active; undefined when nothing is to be listed
   * @param needed whether only what needs attention is listed
   * @param silenced whether what they match is listed, or the others
   */
  constructor(
    attention: Attention,
    silences: readonly SilenceOnRecord[] | undefined,
    needed: boolean,
    silenced: boolean,
  ) {
    this.#attention = attention;
    this.#silences = silences;
    this.#needed = needed;
    this.#silenced = silenced;
  }

  /** The scans over the incidents of one kind. @param sources only these; all when there are none */
  scans(kind: Kind, sources: readonly string[]): readonly IndexScan[] {
    if (this.#silences === undefined) return [];
    const silences = silencesOfKind(this.#admitting(kind.rank, kind.class));
    return this.#attention.scans(kind, this.#needed, sources, silences, this.#silenced);
  }

  /** Whether an incident is admitted, apart from silences by words. */
  admits({ class: ofClass, rank, source, attention }: Attendable): boolean {
    if (this.#silences === undefined || (this.#needed && attention !== 1)) return false;
    const matching = this.#admitting(rank, ofClass).filter(
      ({ source: sources }) => sources.length === 0 || sources.includes(source),
    );
    return this.#silenced ? matching.length > 0 : matching.every(({ q }) => q !== undefined);
  }

  /** Those of some numbers, in any order, that silences by words do not exclude. */
  keptOf(numbers: readonly number[]): readonly number[] {
    const asked = this.#askedOf(this.#admitting());
    if (asked.length === 0 || numbers.length === 0) return numbers;
    const matched = this.#attention.matching(numbers, undefined, asked);
    return numbers.filter((number) => matched.has(number) === this.#silenced);
  }

  /** How many times a page may look for numbers that silences by words exclude. */
  get looks(): number {
    return looksFor(this.#askedOf(this.#admitting()));
  }

  /** Of some silences, those that are asked for by words; none when no words decide anything. */
  #askedOf(admitting: readonly SilenceOnRecord[]): readonly SilenceOnRecord[] {
    const worded = admitting.filter(({ q }) => q !== undefined);
    // Those without words have narrowed the scans, unless one with words widens them.
    return worded.length > 0 && this.#silenced ? admitting : worded;
  }

  /**
   * Leaves out of the numbers, in falling order, what silences by words exclude.
   * @param rank that of the severity of all of them; undefined for several severities
   */
  *kept(numbers: Numbers, rank: number | undefined): Numbers {
    const asked = this.#askedOf(this.#admitting(rank));
    if (asked.length === 0) return yield* numbers;
    const looks = looksFor(asked);
    let size = looks < FEW_LOOKS ? MOST_COMPARED_AT_ONCE : FIRST_COMPARED;
    for (let compared = 0, look = 1; ; look++) {
      const { taken, end } = take(numbers, size);
      if (taken.length > 0) {
        const matched = this.#attention.matching(taken, rank, asked);
        for (const number of taken) if (matched.has(number) === this.#silenced) yield number;
      }
      if (end !== undefined) return end.paused;
      compared += taken.length;
      if (compared >= MOST_COMPARED || look >= looks) return taken.at(-1)! - 1;
      size = Math.min(2 * size, MOST_COMPARED_AT_ONCE);
    }
  }

  #admitting(rank?: number, ofClass?: IncidentClass): readonly SilenceOnRecord[] {
    return (this.#silences ?? []).filter(
      ({ class: classes, severity: severities }) =>
        (rank === undefined || severities.length === 0 || severities.includes(SEVERITIES[rank]!)) &&
        (ofClass === undefined || classes.length === 0 || classes.includes(ofClass)),
    );
  }
}

/** A beginning of a word gathers all its matches at each look, and each silence is a query of its own: then few looks. */
function looksFor(asked: readonly SilenceOnRecord[]): number {
  if (asked.length === 0) return Infinity;
  const isBeginning = asked.some(({ q }) => q !== undefined && readWords(q).some((word) => word.isBeginning));
  return isBeginning ? MOST_LOOKS_FOR_BEGINNINGS : Math.max(1, Math.floor(MOST_LOOKS / asked.length));
}

function silencesOfKind(silences: readonly SilenceOnRecord[]): KindSilences {
  const plain = silences.filter(({ q }) => q === undefined);
  const isAny = silences.some(({ source }) => source.length === 0);
  return {
    all: plain.some(({ source }) => source.length === 0),
    sources: new Set(plain.flatMap(({ source }) => source)),
    candidates: isAny ? undefined : new Set(silences.flatMap(({ source }) => source)),
  };
}

/** The next numbers, and where to go on when these were the last. */
function take(numbers: Numbers, count: number): { taken: number[]; end?: { readonly paused: number | undefined } } {
  const taken: number[] = [];
  while (taken.length < count) {
    const next = numbers.next();
    if (next.done === true) return { taken, end: { paused: next.value } };
    taken.push(next.value);
  }
  return { taken };
}

/** The query of FTS5 for what a silence matches of some severities, apart from its sources. */
const queryOf = ({ q, class: classes }: SilenceMatchers, severities: readonly Severity[]): string =>
  searchQuery({
    words: q === undefined ? [] : readWords(q),
    isOwnText: true,
    severities: severities.length === 0 ? SEVERITIES : severities,
    classes,
  });

/** A silence as a condition of SQL; adds its values to those of the statement. */
function conditionOf({ class: classes, severity: severities, source: sources, q }: SilenceMatchers, values: string[]) {
  const conditions: string[] = [];
  const among = (column: string, list: readonly (string | number)[]): void => {
    if (list.length === 0) return;
    conditions.push(`${column} IN (SELECT value FROM json_each(?))`);
    values.push(JSON.stringify(list));
  };
  among('class', classes.length === CLASSES.length ? [] : classes);
  among(
    'rank',
    severities.map((severity) => SEVERITIES.indexOf(severity)),
  );
  among('source', sources);
  if (q !== undefined) {
    conditions.push('number IN (SELECT rowid FROM search WHERE search MATCH ?)');
    values.push(searchQuery({ words: readWords(q), isOwnText: true }));
  }
  return conditions.length === 0 ? '1' : `(${conditions.join(' AND ')})`;
}
