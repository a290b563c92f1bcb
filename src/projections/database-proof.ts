/**
 * Proves the database against the log, entry by entry, while the log is verified: whoever can write the database could
 * resolve an incident in it, or release an action.
 *
 * - Each entry about an incident is indexed where it stands, and nothing else is.
 * - Each incident has the version, state and hash of its last entry.
 * - Each unresolved incident is what its entries make of it, with its deliveries; and the posture counts these. The
 *   same for the resolved ones, later.
 * - The statistics count them, and findings, webhooks and the latest reports stand as the log says.
 *
 * Works while entries are applied: what came after the proven part is the work of this process.
 */
import { ACTIONS, CLASSES, SEVERITIES, STATES } from '../../machines/vocabulary.ts';
import { rangesOf } from '../audit/archived-ranges.ts';
import type { ReadableLog } from '../audit/log.ts';
import {
  type ArchivedRange,
  type IncidentEntry,
  isAboutIncident,
  isOpening,
  type StoredEntry,
} from '../domain/entries.ts';
import type { MissingEntries } from '../audit/verify-chain.ts';
import type { Database, Statement } from './database.ts';
import type { EntryPlaces } from './entry-places.ts';
import type { Incidents } from './incidents.ts';
import { IncidentProof } from './incident-proof.ts';
import { RELEASED_EARLY, WAITS } from '../domain/posture.ts';
import type { Posture } from './posture.ts';
import type { Snoozes } from './snoozes.ts';
import { type SmallTables, TablesProof } from './tables-proof.ts';
import type { RecentReports } from './recent-reports.ts';
import { ReportsProof } from './reports-proof.ts';
import type { Statistics } from './statistics.ts';
import type { Kind } from '../query/statistics.ts';

/** How many incidents are counted at a time. */
const CHUNK = 5000;
/** How many missing incidents are remembered; there are some only where segments were archived and are still there. */
const MOST_ABSENT = 100_000;
/** How often an incident is read again because it has changed meanwhile. */
const MOST_ATTEMPTS = 5;

export interface DatabaseProofParts {
  readonly database: Database;
  readonly incidents: Incidents;
  readonly posture: Posture;
  readonly places: EntryPlaces;
  readonly snoozes: Pick<Snoozes, 'difference'>;
  readonly statistics: Statistics;
  readonly reports: RecentReports;
  readonly log: ReadableLog;
  /** The small tables as the start has found them; undefined when it has not read all of the log. */
  readonly tables: SmallTables | undefined;
  /** Whether the projections have all that is in the log. */
  readonly isCurrent: () => boolean;
}

export class DatabaseProof {
  readonly #parts: DatabaseProofParts;
  readonly #incident: IncidentProof;
  readonly #place: Statement;
  readonly #latest: Statement;
  readonly #count: Statement;
  readonly #unproven: Statement;
  readonly #last: Statement;
  readonly #unresolved: Statement;
  readonly #holders: Statement;
  readonly #overdue: Statement;
  readonly #strays: Statement;
  readonly #population: Statement;
  readonly #following: Statement;
  readonly #tables = new TablesProof();
  readonly #reports: ReportsProof;
  readonly #archived: ArchivedRange[] = [];
  readonly #absent: number[] = [];
  /** Entries that are not indexed: those of incidents that were carried over, before. */
  readonly #unindexed: number[] = [];
  #difference: string | undefined;
  #entries = 0;
  #head = 0;

  constructor(parts: DatabaseProofParts) {
    this.#parts = parts;
    this.#incident = new IncidentProof(parts);
    const { database } = parts;
    this.#reports = new ReportsProof(database, parts.reports, parts.incidents);
    this.#place = database.prepare(`
      SELECT seq, offset, length FROM entries
      WHERE incident = (SELECT number FROM incidents WHERE id = ?) AND version = ?`);
    this.#latest = database.prepare(`
      SELECT number, version, base, state, class, rank, document ->> '$.hash' AS hash, document ->> '$.state' AS shown
      FROM incidents WHERE id = ?`);
    this.#count = database.prepare(`
      SELECT count(*) AS count FROM entries WHERE incident > ? AND incident <= ? AND seq BETWEEN ? AND ?`);
    this.#unproven = database.prepare(`
      SELECT id FROM incidents WHERE number > ? AND number <= ?
      AND version IS NOT (SELECT max(version) FROM entries WHERE incident = number) LIMIT 1`);
    this.#last = database.prepare(`
      SELECT max((SELECT coalesce(max(number), 0) FROM incidents), (SELECT coalesce(max(incident), 0) FROM entries)) AS last`);
    this.#unresolved = database.prepare(`
      SELECT id, number FROM incidents WHERE state = ? AND class = ? AND rank = ? AND number > ? ORDER BY number LIMIT 1`);
    this.#holders = database.prepare(
      `SELECT count(*) AS count FROM deliveries WHERE action = ? AND status <> '${RELEASED_EARLY}'`,
    );
    this.#overdue = database.prepare(
      'SELECT count(*) AS count FROM deliveries WHERE action = ? AND wait = ? AND wait > 0',
    );
    this.#strays = database.prepare(`
      SELECT count(*) AS count FROM deliveries
      WHERE action = ? AND NOT EXISTS (SELECT 1 FROM incidents WHERE number = incident AND state <> 'resolved')`);
    this.#population = database.prepare(
      'SELECT count(*) AS count FROM incidents WHERE state = ? AND class = ? AND rank = ? AND (drill > 0) = ?',
    );
    this.#following = database.prepare(
      'SELECT id, number, state FROM incidents WHERE number > ? AND number <= ? ORDER BY number LIMIT 1',
    );
  }

  /** Takes the next valid entries of the log. */
  take(entries: readonly StoredEntry[]): void {
    for (const entry of entries) {
      this.#head = entry.data.seq;
      this.#tables.take(entry);
      this.#reports.take(entry);
      if (entry.event === 'log.archived') this.#archived.push(...rangesOf(entry.data));
      else if (isAboutIncident(entry)) this.#difference ??= this.#compare(entry);
    }
  }

  /**
   * Ends the proof, after the last entry.
   * @param rest awaited now and then, so that others can work
   * @param missing entries that are not in the log: what the database has of them can't be proved
   * @returns what differs; undefined when nothing does, or when the projections are behind the log now
   * @throws whatever reading the log throws
   */
  async end(rest: () => Promise<void>, missing: readonly MissingEntries[]): Promise<string | undefined> {
    this.#difference ??= this.#absentDifference();
    this.#difference ??= await this.#countDifference(rest, missing);
    this.#difference ??= await this.#unresolvedDifference(rest);
    this.#difference ??= this.#postureDifference() ?? this.#tableDifference(missing);
    this.#difference ??= await this.#populationDifference(rest);
    return this.#parts.isCurrent() ? this.#difference : undefined;
  }

  /**
   * Compares what nobody waits for, after `end`: each resolved incident with what its entries make of it.
   * @returns and throws like `end`
   */
  async endLater(rest: () => Promise<void>): Promise<string | undefined> {
    for (let number = 0; ;) {
      const row = this.#following.get(number, this.#head);
      if (row === undefined) return undefined;
      number = Number(row.number);
      const difference = row.state === 'resolved' ? await this.#incidentDifference(String(row.id)) : undefined;
      if (difference !== undefined) return this.#parts.isCurrent() ? difference : undefined;
      await rest();
    }
  }

  #compare(entry: IncidentEntry & StoredEntry): string | undefined {
    const { incident: id, version, state, seq } = entry.data;
    const latest = this.#latest.get(id);
    if (latest === undefined) {
      if (isOpening(entry) && this.#absent.length < MOST_ABSENT) this.#absent.push(seq);
      return undefined;
    }
    const place = this.#place.get(id, version);
    if (place === undefined && seq < Number(latest.base) && this.#unindexed.length < MOST_ABSENT) {
      this.#unindexed.push(seq);
      return undefined;
    }
    const { offset, length } = entry;
    if (place?.seq !== seq || place.offset !== offset || place.length !== length) {
      return `entry ${seq} about ${id} is not indexed where it stands`;
    }
    this.#entries += 1;
    if (version < Number(latest.version)) return undefined;
    const isLatest = version === latest.version && latest.hash === entry.entry_hash;
    // What is of no known kind would not be found by its kind.
    const isKnown =
      (CLASSES as readonly unknown[]).includes(latest.class) && SEVERITIES[Number(latest.rank)] !== undefined;
    return isLatest && isKnown && latest.state === state && latest.shown === state
      ? undefined
      : `${id} is not what entry ${seq} says of it`;
  }

  /** Incidents that are not on record must have been archived. */
  #absentDifference(): string | undefined {
    const isArchived = (seq: number): boolean =>
      this.#archived.some(({ first_seq, last_seq }) => first_seq <= seq && last_seq >= seq);
    const seq = this.#absent.find((one) => !isArchived(one));
    if (seq !== undefined) return `the incident that entry ${seq} reports is missing`;
    const unindexed = this.#unindexed.find((one) => !isArchived(one));
    return unindexed === undefined ? undefined : `entry ${unindexed} is not indexed`;
  }

  /** What is indexed must be in the log, and every incident at the version of its last entry. */
  async #countDifference(rest: () => Promise<void>, missing: readonly MissingEntries[]): Promise<string | undefined> {
    const present = presentRanges(missing, this.#head);
    const last = Number(this.#last.get()?.last ?? 0);
    let count = 0;
    for (let from = -1; from <= last; from += CHUNK) {
      for (const [first, to] of present) count += Number(this.#count.get(from, from + CHUNK, first, to)?.count ?? 0);
      const unproven = this.#unproven.get(from, from + CHUNK)?.id;
      if (unproven !== undefined) return `${String(unproven)} has another version than its last entry`;
      await rest();
    }
    return count === this.#entries ? undefined : `${count} entries are indexed, the log has ${this.#entries}`;
  }

  async #unresolvedDifference(rest: () => Promise<void>): Promise<string | undefined> {
    for (const state of STATES.filter((one) => one !== 'resolved')) {
      for (const name of CLASSES) {
        for (const rank of SEVERITIES.keys()) {
          let number = 0;
          for (;;) {
            const row = this.#unresolved.get(state, name, rank, number);
            if (row === undefined) break;
            number = Number(row.number);
            const difference = await this.#incidentDifference(String(row.id));
            if (difference !== undefined) return difference;
            await rest();
          }
        }
      }
    }
    return undefined;
  }

  /**
   * Folds the entries of an incident, and compares. Where entries are missing from the log, what there is proves
   * nothing.
   */
  async #incidentDifference(id: string): Promise<string | undefined> {
    const { incidents, isCurrent } = this.#parts;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      if (!incidents.has(id) || !isCurrent()) return undefined;
      const { record, fault } = await this.#incident.fold(id);
      if (record === undefined) return fault;
      // It may have changed meanwhile.
      if (incidents.get(id)?.version === record.incident.version) return this.#incident.rowDifference(record);
    }
    return undefined;
  }

  #postureDifference(): string | undefined {
    for (const action of ACTIONS) {
      const { holders } = this.#parts.posture.of(action);
      const rows = Number(this.#holders.get(action)?.count);
      if (rows !== holders) return `${action} counts ${holders} holders, ${rows} incidents hold it`;
      const overdue = Number(this.#overdue.get(action, WAITS.indexOf('overdue') + 1)?.count);
      if (overdue !== this.#parts.posture.of(action).overdue) return `${action} counts other overdue deliveries`;
      if (Number(this.#strays.get(action)?.count ?? 0) > 0) return `${action} is held by incidents that are resolved`;
    }
    return undefined;
  }

  #tableDifference(missing: readonly MissingEntries[]): string | undefined {
    const { tables, log } = this.#parts;
    if (missing.length > 0) return undefined;
    const difference = this.#reports.difference(this.#head, log.status.entries);
    return difference ?? (tables === undefined ? undefined : this.#tables.difference(tables));
  }

  /** Counts one kind at a time: within a turn the rows and their number change together. */
  async #populationDifference(rest: () => Promise<void>): Promise<string | undefined> {
    for (const state of STATES) {
      for (const name of CLASSES) {
        for (const [rank, severity] of SEVERITIES.entries()) {
          for (const drills of [false, true]) {
            const counted = Number(this.#population.get(state, name, rank, Number(drills))?.count ?? 0);
            if (counted !== this.#parts.statistics.count(name, severity, state, drills))
              return 'the statistics count other incidents';
          }
          await rest();
        }
      }
    }
    const isKnown = ({ class: name, severity, state }: Kind): boolean =>
      CLASSES.includes(name) && SEVERITIES.includes(severity) && STATES.includes(state);
    return this.#parts.statistics.population().every(isKnown) ? undefined : 'the statistics count incidents of no kind';
  }
}

/** The ranges of entries up to `head` that are in the log. */
function presentRanges(missing: readonly MissingEntries[], head: number): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  let first = 1;
  for (const { after, before } of missing) {
    if (after.entries >= first) ranges.push([first, after.entries]);
    first = before.entries + 1;
  }
  return [...ranges, [first, head]];
}
