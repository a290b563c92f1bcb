/**
 * How incidents leave the record when the segment in which they were reported is archived.
 *
 * A segment may leave when every incident that begins in it is resolved, and no incident that begins in a segment that
 * stays has an entry in it: otherwise the remaining entries would contradict the record. An incident begins with its
 * report, or with the latest entry that carried it over (`base`); an unresolved one is carried over first. The `log.archived` entry says how often its
 * incidents had entered each state, so that the counts of all time are the same when the projections are rebuilt without
 * the segment. Such an entry may be archived later, so each also repeats the sums of all before it. The table `archived`
 * holds the part of those sums that was added already.
 *
 * A segment holds tens of thousands of incidents, so they leave a few at a time, each with all that is known of it in one
 * transaction: it is on record and counted, or neither. `leave` notes which are to go (table `leaving`); from then on
 * they can't be found by identifier or key. `leaveSome` takes the next ones off. How often incidents have entered each
 * state does not change meanwhile, as those that go are in the sums of the archive. A process that ends in between goes
 * on at its next start.
 */
import { CLASSES, SEVERITIES, type State, STATES } from '../../machines/vocabulary.ts';
import { rangesOf, summarizeArchive } from '../audit/archived-ranges.ts';
import { HOUR } from '../clock.ts';
import type { Activity } from './activity.ts';
import type { Database, Statement } from './database.ts';
import { Tally } from '../domain/tally.ts';
import type { Sources } from './sources.ts';
import type { Statistics } from './statistics.ts';
import type { ArchivedData } from '../domain/entries.ts';
import type { Incident } from '../domain/incident.ts';
import type { TimeSpan } from '../domain/incident-time.ts';

/** Entries from one `seq` to another. */
export interface EntryRange {
  readonly first: number;
  readonly last: number;
}

/** The states that an incident enters after its report, each with the time in a field of its own: `contained_at`. */
const ENTERED_STATES = STATES.filter((state) => state !== 'open');

/** How many incidents are looked at in a row, and how many bytes of their documents unless one of them is longer. */
const MOST_AT_ONCE = 48;
const MOST_BYTES_AT_ONCE = 128 * 1024;

/** How many entries are looked through in a row for incidents that begin with them. */
const WINDOW = 1000;

const listed = (names: readonly (string | number)[]): string =>
  names.map((name) => (typeof name === 'number' ? name : `'${name}'`)).join(', ');

/** That an incident is not about to leave the record. For statements that have found its row. */
export const STAYS = 'NOT EXISTS (SELECT 1 FROM leaving WHERE base BETWEEN leaving.first AND leaving.last)';

/** The incidents that begin in some entries: `?1` to `?2`. */
const BEGUN = `
  SELECT number FROM incidents WHERE number BETWEEN ?1 AND ?2 AND base = number
  UNION ALL SELECT number FROM incidents WHERE base <> number AND base BETWEEN ?1 AND ?2`;

/** A resolved incident, as far as it counts. */
interface Counted {
  readonly number: number;
  readonly hour: number;
  /** As in `Tally.moved`. */
  readonly kind: string;
  readonly incident: Incident;
}

/** The incidents that begin next, and the entry to go on from; undefined at the end. */
interface Some {
  readonly incidents: readonly Counted[];
  readonly next: number | undefined;
}

/** What an incident that leaves is counted in. */
export interface Counts {
  readonly statistics: Statistics;
  readonly activity: Activity;
  readonly sources: Sources;
}

export class ArchivedIncidents {
  readonly #unresolved: Statement;
  readonly #anyUnresolved: Statement;
  readonly #runningDrill: Statement;
  readonly #straying: Statement;
  readonly #begun: Statement;
  readonly #carried: Statement;
  readonly #deletions: readonly Statement[];
  readonly #deleteEntries: Statement;
  readonly #repeats: Statement;
  readonly #deleteRepeats: Statement;
  /** How far repeated values were looked through for those of incidents that have left; undefined before that. */
  #lookedThrough: string | undefined;
  readonly #archived: Statement;
  readonly #forgetRanges: Statement;
  readonly #addRange: Statement;
  readonly #rangeOf: Statement;
  readonly #addArchived: Statement;
  readonly #addLeaving: Statement;
  readonly #leaving: Statement;
  readonly #goOn: Statement;
  readonly #left: Statement;
  readonly #pend: Statement;
  readonly #pending: Statement;
  readonly #endPending: Statement;
  readonly #hour: Statement;
  readonly #firstOfHour: Statement;
  readonly #lastOfHour: Statement;
  readonly #setHour: Statement;
  readonly #dropHour: Statement;

  constructor(database: Database) {
    this.#unresolved = database.prepare(`
      SELECT id FROM incidents WHERE number IN (${BEGUN}) AND state <> 'resolved' ORDER BY number`);
    this.#anyUnresolved = database.prepare(`
      SELECT id FROM incidents INDEXED BY incidents_by_kind
      WHERE state IN (${listed(STATES.filter((state) => state !== 'resolved'))}) AND class IN (${listed(CLASSES)})
      AND rank IN (${listed([...SEVERITIES.keys()])}) AND number BETWEEN ?1 AND ?2 AND base = number
      UNION ALL
      SELECT id FROM incidents WHERE base <> number AND base BETWEEN ?1 AND ?2 AND state <> 'resolved' LIMIT 1`);
    this.#runningDrill = database.prepare(`
      SELECT id FROM incidents INDEXED BY incidents_running_drills
      WHERE drill = 1 AND state = 'resolved' AND base BETWEEN ? AND ? LIMIT 1`);
    this.#straying = database.prepare(`
      SELECT incident FROM entries JOIN incidents ON number = incident
      WHERE incident IN (
        SELECT number FROM incidents WHERE number BETWEEN ?1 AND ?2
        UNION SELECT number FROM incidents WHERE base <> number AND base BETWEEN ?1 AND ?2
      ) AND seq BETWEEN ?3 AND ?4 AND base <= ?4 LIMIT 1`);
    const columns = 'number, base, class, rank, drill, created_at, document';
    this.#begun = database.prepare(`
      SELECT * FROM (
        SELECT ${columns} FROM incidents WHERE number BETWEEN ?1 AND ?2 AND base = number ORDER BY number LIMIT ?3)
      UNION ALL SELECT * FROM (
        SELECT ${columns} FROM incidents WHERE base <> number AND base BETWEEN ?1 AND ?2 ORDER BY base LIMIT ?3)
      ORDER BY base LIMIT ?3`);
    this.#carried = database.prepare(
      'SELECT number, base FROM incidents WHERE base <> number AND base >= ? ORDER BY base LIMIT ?',
    );
    this.#deletions = [
      database.prepare('DELETE FROM entries WHERE incident = ?'),
      database.prepare('DELETE FROM search WHERE rowid = ?'),
      database.prepare('DELETE FROM idempotency WHERE incident = ?'),
      database.prepare('DELETE FROM incidents WHERE number = ?'),
    ];
    this.#deleteEntries = database.prepare('DELETE FROM entries WHERE incident = ? AND seq BETWEEN ? AND ?');
    this.#repeats = database.prepare(`
      SELECT max(key) AS last, count(*) AS count FROM (SELECT key FROM repeats WHERE key > ? ORDER BY key LIMIT ${WINDOW})`);
    this.#deleteRepeats = database.prepare(`
      DELETE FROM repeats WHERE key > ? AND key <= ?
      AND NOT EXISTS (SELECT 1 FROM incidents WHERE number = repeats.incident)`);
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
    this.#addLeaving = database.prepare(`
      INSERT INTO leaving (first, last, next) VALUES (?1, ?2, ?1)
      ON CONFLICT DO UPDATE SET last = max(last, excluded.last), next = excluded.next`);
    this.#leaving = database.prepare('SELECT first, last, next FROM leaving ORDER BY first LIMIT 1');
    this.#goOn = database.prepare('UPDATE leaving SET next = ? WHERE first = ?');
    this.#left = database.prepare('DELETE FROM leaving WHERE first = ?');
    this.#pend = database.prepare(`
      INSERT INTO leaving_entered (state, count) VALUES (?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count`);
    this.#pending = database.prepare('SELECT state, count FROM leaving_entered');
    this.#endPending = database.prepare('DELETE FROM leaving_entered');
    this.#hour = database.prepare('SELECT first, last FROM hours WHERE hour = ?');
    const ofHour = `SELECT number FROM incidents WHERE number BETWEEN ? AND ? AND created_at / ${HOUR} = ?`;
    this.#firstOfHour = database.prepare(`${ofHour} ORDER BY number LIMIT 1`);
    this.#lastOfHour = database.prepare(`${ofHour} ORDER BY number DESC LIMIT 1`);
    this.#setHour = database.prepare('UPDATE hours SET first = ?, last = ? WHERE hour = ?');
    this.#dropHour = database.prepare('DELETE FROM hours WHERE hour = ?');
  }

  /** Why these entries have to stay, or `undefined`. Costs little: `stray` looks at the rest. */
  obstacle({ first, last }: EntryRange): string | undefined {
    const unresolved = this.#anyUnresolved.get(first, last);
    if (unresolved !== undefined) return `incident ${String(unresolved.id)} is not resolved`;
    return this.runningDrill({ first, last });
  }

  /** Why these entries have to stay even if all their incidents were resolved, or `undefined`. Costs little. */
  runningDrill({ first, last }: EntryRange): string | undefined {
    const drill = this.#runningDrill.get(first, last);
    return drill === undefined ? undefined : `the drill ${String(drill.id)} is not over`;
  }

  /**
   * Whether incidents that begin in entries that stay have some of these, as a reason to keep them, or `undefined`. Once
   * none has, none ever will.
   * @param turn awaited now and then, so that others can work
   */
  async stray(
    { first, last }: EntryRange,
    staying: readonly EntryRange[],
    turn: () => Promise<void>,
  ): Promise<string | undefined> {
    for (const range of staying) {
      for (const window of windowsOf(range)) {
        if (this.#straying.get(window.first, window.last, first, last) !== undefined)
          return 'incidents of an earlier segment that stays have entries in it';
        await turn();
      }
    }
    return undefined;
  }

  /** The unresolved incidents that begin in these entries, oldest first. Looks at all that begin there. */
  unresolved({ first, last }: EntryRange): readonly string[] {
    return this.#unresolved.all(first, last).map(({ id }) => String(id));
  }

  /**
   * What a `log.archived` entry records of the incidents reported in these entries. They must be resolved: then it stays
   * true.
   * @param turn awaited now and then, so that others can work
   */
  async counts(
    { first, last }: EntryRange,
    turn: () => Promise<void>,
  ): Promise<Pick<ArchivedData, 'incidents' | 'entered'>> {
    let count = 0;
    const entered = new Map<State, number>();
    for (let from: number | undefined = first; from !== undefined;) {
      const { incidents, next }: Some = this.#some(from, last);
      count += incidents.length;
      for (const one of incidents) countEntered(one, entered);
      from = next;
      await turn();
    }
    return { incidents: count, entered: Object.fromEntries(entered) };
  }

  /** The archived entries among which some from this time may be; undefined when there are none. */
  rangeOf({ from, to }: TimeSpan): EntryRange | undefined {
    const row = this.#rangeOf.get(to, from);
    return row === undefined ? undefined : { first: Number(row.first), last: Number(row.last) };
  }

  /**
   * Notes that the incidents of an archived segment leave, and those of earlier ones whose files have come back. They go
   * with `leaveSome`.
   * @param time of the `log.archived` entry, RFC 3339: all that was archived is from before it
   */
  leave(data: ArchivedData, time: string): void {
    // Each such entry repeats all earlier ones.
    if (data.earlier !== undefined) this.#forgetRanges.run();
    for (const { first_seq, last_seq, since, until } of summarizeArchive([data]).ranges) {
      this.#addRange.run(first_seq, last_seq, since === undefined ? 0 : Date.parse(since), Date.parse(until ?? time));
    }
    for (const [state, count] of this.#newlyArchived(data)) {
      if (count === 0) continue;
      this.#addArchived.run(state, count);
      this.#pend.run(state, count);
    }
    for (const { first_seq, last_seq } of rangesOf(data)) this.#addLeaving.run(first_seq, last_seq);
  }

  /** Whether incidents are leaving. */
  get isLeaving(): boolean {
    return this.#leaving.get() !== undefined;
  }

  /** Takes the next few incidents off the record, in a few milliseconds. Returns whether more are to go. */
  leaveSome(counts: Counts): boolean {
    const row = this.#leaving.get();
    if (row === undefined) return false;
    const [first, last, from] = [Number(row.first), Number(row.last), Number(row.next)];
    if (from <= last) {
      const { incidents, next = last + 1 } = this.#some(from, last);
      this.#takeOff(incidents, counts);
      this.#goOn.run(next, first);
      return true;
    }
    if (this.#lookedThrough !== undefined) return this.#forgetRepeats(first, this.#lookedThrough, counts.statistics);
    // Of those that were carried over, the entries that leave.
    const carried = this.#carried.all(from, WINDOW);
    for (const { number } of carried) this.#deleteEntries.run(Number(number), first, last);
    if (carried.length === WINDOW) {
      this.#goOn.run(Number(carried.at(-1)!.base) + 1, first);
      return true;
    }
    this.#lookedThrough = '';
    return true;
  }

  /** Forgets the values of some reports about incidents that have left: all are looked through, from a key on. */
  #forgetRepeats(first: number, from: string, statistics: Statistics): boolean {
    const { last, count } = this.#repeats.get(from)!;
    this.#lookedThrough = undefined;
    if (last !== null) this.#deleteRepeats.run(from, last!);
    if (count === WINDOW) {
      this.#lookedThrough = String(last);
      return true;
    }
    this.#left.run(first);
    if (this.isLeaving) return true;
    this.#enter(statistics);
    return false;
  }

  /** Forgets how far it is: that was undone. */
  forget(): void {
    this.#lookedThrough = undefined;
  }

  /** Counts what log.archived entries say beyond the incidents that have left. */
  #enter(statistics: Statistics): void {
    const rest = new Tally();
    for (const { state, count } of this.#pending.all()) rest.entered.set(state as State, Number(count));
    statistics.add(rest);
    this.#endPending.run();
  }

  /** The incidents that begin with entries from one on, to another. */
  #some(from: number, to: number): Some {
    const incidents: Counted[] = [];
    let bytes = 0;
    for (const row of this.#begun.iterate(from, to, MOST_AT_ONCE)) {
      const text = String(row.document);
      incidents.push({
        number: Number(row.number),
        hour: Math.floor(Number(row.created_at) / HOUR),
        kind: `${String(row.class)} ${SEVERITIES[Number(row.rank)]!} resolved ${Number(row.drill !== 0)}`,
        incident: JSON.parse(text) as Incident,
      });
      bytes += text.length;
      if (incidents.length === MOST_AT_ONCE || bytes >= MOST_BYTES_AT_ONCE) {
        return { incidents, next: Number(row.base) + 1 };
      }
    }
    return { incidents, next: undefined };
  }

  #takeOff(incidents: readonly Counted[], { statistics, activity, sources }: Counts): void {
    const change = new Tally();
    const entered = new Map<State, number>();
    const hours = new Set<number>();
    for (const one of incidents) {
      const { number, hour, kind, incident } = one;
      decrease(change.moved, kind);
      if (incident.drill !== true) {
        if (incident.containment !== undefined) decrease(change.containments, incident.containment.status);
        if (incident.resolution !== undefined) decrease(change.resolutions, incident.resolution);
      }
      countEntered(one, entered);
      hours.add(hour);
      for (const deletion of this.#deletions) deletion.run(number);
    }
    statistics.add(change);
    for (const [state, count] of entered) this.#pend.run(state, -count);
    activity.leave(incidents.map(({ incident }) => incident));
    sources.leave(new Set(incidents.map(({ incident }) => incident.source)));
    for (const hour of hours) this.#renewHour(hour);
  }

  /** Notes again which incidents of an hour are the first and the last. */
  #renewHour(hour: number): void {
    const row = this.#hour.get(hour);
    if (row === undefined) return;
    const first = this.#firstOfHour.get(row.first ?? 0, row.last ?? 0, hour)?.number;
    const last = first === undefined ? undefined : this.#lastOfHour.get(first, row.last ?? 0, hour)?.number;
    if (first === undefined || last === undefined) this.#dropHour.run(hour);
    else this.#setHour.run(first, last, hour);
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
}

/** Parts of a range, each of which is looked through in a few milliseconds. */
export function* windowsOf({ first, last }: EntryRange): Generator<EntryRange> {
  for (let from = first; from <= last; from += WINDOW) yield { first: from, last: Math.min(last, from + WINDOW - 1) };
}

/** Counts the states that an incident has entered after its report. Drills count nowhere. */
function countEntered({ incident }: Counted, entered: Map<State, number>): void {
  if (incident.drill === true) return;
  for (const state of ENTERED_STATES) {
    const has = incident[`${state}_at` as keyof Incident] !== undefined;
    entered.set(state, (entered.get(state) ?? 0) + Number(has));
  }
}

function decrease<Name>(counts: Map<Name, number>, name: Name): void {
  counts.set(name, (counts.get(name) ?? 0) - 1);
}
