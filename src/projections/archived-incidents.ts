/**
 * How incidents leave the record when the segment in which they were reported is archived.
 *
 * A segment may leave when every incident that begins in it is resolved, and no incident that begins in a segment that
 * stays has an entry in it: otherwise the remaining entries would contradict the record. An incident begins with its
 * report, or with the latest entry that carried it over (`base`); an unresolved one is carried over first. The `log.archived` entry says how often its
 * incidents had entered each state, so that the counts of all time are the same when the projections are rebuilt without
 * the segment. Such an entry may be archived later, so each also repeats the sums of all before it. The table `archived`
 * holds the part of those sums that was added already.
 */
import {
  type ContainmentStatus,
  type Resolution,
  SEVERITIES,
  type Severity,
  type State,
  STATES,
} from '../../machines/vocabulary.ts';
import { rangesOf, summarizeArchive } from '../audit/archived-ranges.ts';
import { HOUR } from '../clock.ts';
import type { Database, Statement } from './database.ts';
import { Tally } from '../domain/tally.ts';
import type { Statistics } from './statistics.ts';
import type { ArchivedData } from '../domain/entries.ts';
import type { TimeSpan } from '../domain/incident-time.ts';

/** Entries from one `seq` to another. */
export interface EntryRange {
  readonly first: number;
  readonly last: number;
}

/** The states that an incident enters after its report, each with the time in a field of its own: `contained_at`. */
const ENTERED_STATES = STATES.filter((state) => state !== 'open');

/** The numbers of the incidents that begin in some entries: `?1` to `?2`. */
export const BEGUN = `
  SELECT number FROM incidents WHERE number BETWEEN ?1 AND ?2 AND base = number
  UNION ALL SELECT number FROM incidents WHERE base <> number AND base BETWEEN ?1 AND ?2`;

export class ArchivedIncidents {
  readonly #unresolved: Statement;
  readonly #runningDrill: Statement;
  readonly #straying: Statement;
  readonly #kinds: Statement;
  readonly #containments: Statement;
  readonly #resolutions: Statement;
  readonly #deletions: readonly Statement[];
  readonly #archived: Statement;
  readonly #forgetRanges: Statement;
  readonly #addRange: Statement;
  readonly #rangeOf: Statement;
  readonly #addArchived: Statement;
  readonly #hours: Statement;
  readonly #forgetHours: Statement;
  readonly #remainingHours: Statement;
  readonly #carriedAway: Statement;

  constructor(database: Database) {
    this.#unresolved = database.prepare(`
      SELECT id FROM incidents WHERE number IN (${BEGUN}) AND state <> 'resolved' ORDER BY number LIMIT ?3`);
    this.#runningDrill = database.prepare(`
      SELECT id FROM incidents WHERE number IN (${BEGUN}) AND state = 'resolved' AND drill = 1 LIMIT 1`);
    this.#straying = database.prepare(`
      SELECT incident FROM entries JOIN incidents ON number = incident
      WHERE incident IN (
        SELECT number FROM incidents WHERE number BETWEEN ?1 AND ?2
        UNION SELECT number FROM incidents WHERE base <> number AND base BETWEEN ?1 AND ?2
      ) AND seq BETWEEN ?3 AND ?4 AND base <= ?4 LIMIT 1`);
    this.#kinds = database.prepare(`
      SELECT class, rank, drill > 0 AS drills, count(*) AS incidents,
        ${ENTERED_STATES.map((state) => `count(document ->> '$.${state}_at') AS ${state}`).join(', ')}
      FROM incidents WHERE number IN (${BEGUN}) GROUP BY class, rank, drills`);
    this.#containments = database.prepare(`
      SELECT document ->> '$.containment.status' AS status, count(*) AS count
      FROM incidents WHERE number IN (${BEGUN}) AND drill = 0 GROUP BY 1`);
    this.#resolutions = database.prepare(`
      SELECT document ->> '$.resolution' AS resolution, count(*) AS count
      FROM incidents WHERE number IN (${BEGUN}) AND drill = 0 GROUP BY 1`);
    this.#deletions = [
      database.prepare(`DELETE FROM entries WHERE incident IN (${BEGUN})`),
      database.prepare(`DELETE FROM search WHERE rowid IN (${BEGUN})`),
      database.prepare(`DELETE FROM idempotency WHERE incident IN (${BEGUN})`),
      database.prepare(`DELETE FROM repeats WHERE incident IN (${BEGUN})`),
      database.prepare(`DELETE FROM incidents WHERE number IN (${BEGUN})`),
      // Of those that were carried over, the entries that leave.
      database.prepare(`
        DELETE FROM entries WHERE seq BETWEEN ?1 AND ?2
        AND incident IN (SELECT number FROM incidents WHERE base <> number AND base > ?2)`),
    ];
    this.#carriedAway = database.prepare(
      'SELECT number FROM incidents WHERE base <> number AND base BETWEEN ?1 AND ?2 AND number < ?1',
    );
    this.#forgetRanges = database.prepare('DELETE FROM archived_ranges');
    this.#addRange = database.prepare(`
      INSERT INTO archived_ranges (first, last, since, until) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET last = excluded.last, since = excluded.since, until = excluded.until`);
    this.#rangeOf = database.prepare(
      'SELECT first, last FROM archived_ranges WHERE since <= ? AND until >= ? ORDER BY first LIMIT 1',
    );
    this.#archived = database.prepare('SELECT state, count FROM archived');
    this.#addArchived = database.prepare(
      'INSERT INTO archived (state, count) VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
    );
    this.#hours = database.prepare(`
      SELECT min(first) AS first, max(last) AS last FROM hours WHERE first <= ?2 AND last >= ?1`);
    this.#forgetHours = database.prepare('DELETE FROM hours WHERE first <= ?2 AND last >= ?1');
    this.#remainingHours = database.prepare(`
      INSERT INTO hours (hour, first, last)
      SELECT created_at / ${HOUR}, min(number), max(number) FROM incidents
      WHERE number BETWEEN ? AND ? AND created_at / ${HOUR} NOT IN (SELECT hour FROM hours) GROUP BY 1`);
  }

  /** Why these entries have to stay, or `undefined`. `staying` are entries before them that stay as well. */
  obstacle({ first, last }: EntryRange, staying: readonly EntryRange[]): string | undefined {
    const [unresolved] = this.unresolved({ first, last }, 1);
    if (unresolved !== undefined) return `incident ${unresolved} is not resolved`;
    return this.straying({ first, last }, staying);
  }

  /** Whether incidents that begin in entries that stay have some of these, as a reason to keep them, or `undefined`. */
  straying({ first, last }: EntryRange, staying: readonly EntryRange[]): string | undefined {
    const drill = this.#runningDrill.get(first, last);
    if (drill !== undefined) return `the drill ${String(drill.id)} is not over`;
    const strays = staying.some((range) => this.#straying.get(range.first, range.last, first, last) !== undefined);
    return strays ? 'incidents of an earlier segment that stays have entries in it' : undefined;
  }

  /** The unresolved incidents that begin in these entries, oldest first, as many as `most`. */
  unresolved({ first, last }: EntryRange, most: number): readonly string[] {
    return this.#unresolved.all(first, last, most).map(({ id }) => String(id));
  }

  /** What a `log.archived` entry records of the incidents reported in these entries. */
  counts({ first, last }: EntryRange): Pick<ArchivedData, 'incidents' | 'entered'> {
    const tally = this.#tally(first, last);
    return { incidents: tally.incidents, entered: Object.fromEntries(tally.entered) };
  }

  /** The archived entries among which some from this time may be; undefined when there are none. */
  rangeOf({ from, to }: TimeSpan): EntryRange | undefined {
    const row = this.#rangeOf.get(to, from);
    return row === undefined ? undefined : { first: Number(row.first), last: Number(row.last) };
  }

  /**
   * Removes the incidents of an archived segment, and of earlier ones whose files have come back.
   * @param time of the `log.archived` entry, RFC 3339: all that was archived is from before it
   */
  leave(data: ArchivedData, time: string, statistics: Statistics): void {
    // Each such entry repeats all earlier ones.
    if (data.earlier !== undefined) this.#forgetRanges.run();
    for (const { first_seq, last_seq, since, until } of summarizeArchive([data]).ranges) {
      this.#addRange.run(first_seq, last_seq, since === undefined ? 0 : Date.parse(since), Date.parse(until ?? time));
    }
    const archived = new Tally();
    for (const [state, count] of this.#newlyArchived(data)) {
      archived.entered.set(state, count);
      if (count !== 0) this.#addArchived.run(state, count);
    }
    statistics.add(archived);
    for (const { first_seq, last_seq } of rangesOf(data)) this.#takeOff(first_seq, last_seq, statistics);
  }

  #takeOff(first: number, last: number, statistics: Statistics): void {
    const { moved, entered } = this.#tally(first, last);
    const change = new Tally();
    for (const [kind, count] of moved) change.moved.set(kind, -count);
    for (const [state, count] of entered) change.entered.set(state, -count);
    for (const { status, count } of this.#containments.all(first, last)) {
      if (status !== null) change.containments.set(status as ContainmentStatus, -Number(count));
    }
    for (const { resolution, count } of this.#resolutions.all(first, last)) {
      if (resolution !== null) change.resolutions.set(resolution as Resolution, -Number(count));
    }
    statistics.add(change);
    const carried = this.#carriedAway.all(first, last).map(({ number }) => Number(number));
    for (const deletion of this.#deletions) deletion.run(first, last);
    this.#renewHours(first, last);
    for (const number of carried) this.#renewHours(number, number);
  }

  /** Notes again what is left of the hours of these incidents. */
  #renewHours(first: number, last: number): void {
    const hours = this.#hours.get(first, last);
    this.#forgetHours.run(first, last);
    if (hours !== undefined) this.#remainingHours.run(hours.first ?? 0, hours.last ?? 0);
  }

  /** How often incidents entered each state, beyond what earlier entries have added. */
  #newlyArchived({ entered, earlier }: ArchivedData): ReadonlyMap<State, number> {
    const known = new Map(this.#archived.all().map(({ state, count }) => [String(state), Number(count)]));
    const states = Object.keys({ ...entered, ...earlier?.entered });
    return new Map(
      states.map((state) => {
        const missed = earlier === undefined ? 0 : (earlier.entered[state] ?? 0) - (known.get(state) ?? 0);
        return [state as State, (entered[state] ?? 0) + missed];
      }),
    );
  }

  #tally(first: number, last: number): Tally & { readonly incidents: number } {
    const tally = Object.assign(new Tally(), { incidents: 0 });
    for (const row of this.#kinds.all(first, last)) {
      const severity: Severity = SEVERITIES[Number(row.rank)]!;
      const incidents = Number(row.incidents);
      tally.incidents += incidents;
      tally.moved.set(`${String(row.class)} ${severity} resolved ${Number(row.drills)}`, incidents);
      if (row.drills === 1) continue;
      for (const state of ENTERED_STATES) {
        tally.entered.set(state, (tally.entered.get(state) ?? 0) + Number(row[state]));
      }
    }
    return tally;
  }
}
