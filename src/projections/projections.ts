/**
 * The read models, kept up with the log.
 *
 * `apply` and `catchUp` take entries that are on disk, in order; those that were applied before are passed over. What they
 * change can be read at once. It is committed a moment later, together with what came meanwhile: a crash in between
 * loses nothing, as the next start applies those entries again.
 *
 * Should the database not take them (its disk is full), all that is not committed is undone, and `fault` says so: what is
 * in the log is not lost, but reads are behind until it has been read from there again. Entries themselves are not kept
 * here, as some may be large. Whoever appends asks whether it is `unfinished` first, so that little is to be read.
 */
import type { StoredEntry } from '../audit/entry.ts';
import type { ArchivedData, NotifiedData } from '../domain/log-entries.ts';
import type { LinePlace } from '../audit/log-reader.ts';
import { Activity } from './activity.ts';
import { ArchivedIncidents, type EntryRange } from './archived-incidents.ts';
import { Database, type Statement } from './database.ts';
import { foldEntry, idempotencyOf, type IncidentRecord } from '../domain/incident.ts';
import { IncidentList, MAX_PAGE_BYTES } from './incident-list.ts';
import { type Change, type IncidentDocument, Incidents } from './incidents.ts';
import { Posture } from './posture.ts';
import { Statistics, Tally } from './statistics.ts';
import { Webhooks } from './webhooks.ts';

/** How far the log has been applied. */
export interface Position {
  readonly seq: number;
  readonly hash: string;
  /** The offset behind the last applied entry, in bytes. */
  readonly end: number;
  /** Whether entries were missing in front of others, so that later ones may be about incidents that have left. */
  readonly gaps: boolean;
}

const NOTHING: Position = { seq: 0, hash: '', end: 0, gaps: false };

export interface EntriesPage {
  readonly places: readonly LinePlace[];
  /** The version behind which the next page begins, when there is one. */
  readonly next?: number;
}

const MEBIBYTE = 1024 * 1024;

/** The most entries that one page of an incident's entries may hold. */
const MAX_PAGE_ENTRIES = 1000;

/**
 * How long what is applied may stay uncommitted, in milliseconds, and how many entries of it there may be. A commit
 * costs about as much for few entries as for many: with a tenth of the time a report takes a tenth more of a
 * throttled processor.
 */
const COMMIT_AFTER = 1000;
const MAX_UNCOMMITTED = 1000;
/**
 * The size of SQLite's write-ahead log, in bytes, at which it is copied into the database. With four times as much that
 * takes all the processor time that a throttled host has for a tenth of a second.
 */
const COMPACT_AT = MEBIBYTE;
/**
 * With less room on its disk, in bytes, the database keeps step with the log: what is applied is committed at once and
 * the write-ahead log stays small. So when the disk is full the log has not taken the room for what it tells.
 */
const SCARCE_ROOM = 64 * MEBIBYTE;
const COMPACT_AT_IF_SCARCE = MEBIBYTE / 8;
/** How many times `compact` is called for each time that it looks at the size of the write-ahead log. */
const LOOK_EVERY = 16;

export class Projections {
  readonly incidents: Incidents;
  readonly list: IncidentList;
  readonly archive: ArchivedIncidents;
  readonly statistics: Statistics;
  readonly posture: Posture;
  readonly webhooks: Webhooks;
  readonly activity: Activity;
  /**
   * Whether the projections are behind the log: the database had no room, or entries have not been handed over. What is
   * written to the log meanwhile is passed over here, as it follows what is still to be read.
   */
  unfinished = false;
  readonly #database: Database;
  readonly #latest = new Map<string, IncidentDocument>();
  readonly #insertEntry: Statement;
  readonly #entriesOf: Statement;
  readonly #insertKey: Statement;
  readonly #keyed: Statement;
  readonly #move: Statement;
  #position: Position = NOTHING;
  /** How far the log is committed. */
  #committed: Position = NOTHING;
  #timer: NodeJS.Timeout | undefined;
  #sinceLook = 0;
  #isRoomScarce = false;
  #compacting: Promise<void> | undefined;
  #fault: Error | undefined;

  /**
   * Opens the projections, and with them the lock on the log that they belong to.
   * @throws RecorderError `locked` when another recorder has it
   */
  constructor(path: string) {
    const database = Database.open(path);
    this.#database = database;
    this.incidents = new Incidents(database);
    this.list = new IncidentList(database);
    this.statistics = new Statistics(database);
    this.posture = new Posture(database);
    this.webhooks = new Webhooks(database);
    this.activity = new Activity(database);
    this.#insertEntry = database.prepare(
      'INSERT INTO entries (incident, version, seq, offset, length) VALUES (?, ?, ?, ?, ?)',
    );
    this.#entriesOf = database.prepare(`
      SELECT version, seq, offset, length FROM entries
      WHERE incident = (SELECT number FROM incidents WHERE id = ?) AND version > ? ORDER BY version`);
    this.#insertKey = database.prepare(
      'INSERT INTO idempotency (key, fingerprint, incident) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#keyed = database.prepare('SELECT fingerprint, incident FROM idempotency WHERE key = ?');
    this.archive = new ArchivedIncidents(database);
    this.#move = database.prepare(`
      INSERT INTO position (one, seq, hash, end, gaps) VALUES (1, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET seq = excluded.seq, hash = excluded.hash, end = excluded.end, gaps = excluded.gaps`);
    const row = database.prepare('SELECT seq, hash, end, gaps FROM position').get();
    if (row === undefined) return;
    this.#position = { seq: Number(row.seq), hash: String(row.hash), end: Number(row.end), gaps: row.gaps === 1 };
    this.#committed = this.#position;
  }

  get position(): Position {
    return this.#position;
  }

  /** Why the database could not take entries, until it has caught up. */
  get fault(): Error | undefined {
    return this.#fault;
  }

  /** Takes entries that have just been written to the log. */
  apply(entries: readonly StoredEntry[]): void {
    if (this.unfinished) return;
    const due = this.#due(entries);
    // Never over a gap: what is missing would be missing for good.
    if (hasGap(this.#position.seq, due)) this.unfinished = true;
    else this.#apply(due);
  }

  /**
   * Takes entries that were read from the log, in order. Where some are missing in it, that is as it should be: so whoever
   * reads must go on from `position` when there is a new `fault`, also between two calls of this.
   */
  catchUp(entries: readonly StoredEntry[]): void {
    this.#apply(this.#due(entries));
  }

  /** The incident as the entries that were applied last have left it, if they are about it and were applied. */
  latest(id: string): IncidentDocument | undefined {
    return this.#latest.get(id);
  }

  /** Takes notice that the log has been read to its end: what is written from now on is to be handed over. */
  caughtUp(): void {
    if (!this.flush()) return;
    this.unfinished = false;
    this.#fault = undefined;
  }

  /** Commits what was applied; false when there was no room for it, as `fault` says. */
  flush(): boolean {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      if (this.#position !== this.#committed) this.#settle();
      this.#database.commit();
      this.#committed = this.#position;
      return true;
    } catch (error) {
      this.#undo(error as Error);
      return false;
    }
  }

  /** Looks how much room there is. To be called every second or so. Never rejects. */
  async lookForRoom(): Promise<void> {
    try {
      this.#isRoomScarce = (await this.#database.room()) < SCARCE_ROOM;
    } catch {
      // It stays as it was seen last.
    }
  }

  /** Forgets everything, so that the log can be applied from its beginning. */
  reset(): void {
    this.flush();
    this.#database.empty();
    this.posture.reload();
    this.#committed = NOTHING;
    this.#position = NOTHING;
    this.#fault = undefined;
    this.unfinished = false;
  }

  /**
   * Where the entries about an incident stand in the log, oldest first, from behind its version `after` on, as many as
   * fit a page; undefined when it is not on record.
   */
  entriesOf(id: string, after = 0): EntriesPage | undefined {
    const places: LinePlace[] = [];
    let bytes = 0;
    let last = after;
    for (const row of this.#entriesOf.iterate(id, after)) {
      const place = { seq: Number(row.seq), offset: Number(row.offset), length: Number(row.length) };
      bytes += place.length;
      if (places.length === MAX_PAGE_ENTRIES || (places.length > 0 && bytes > MAX_PAGE_BYTES))
        return { places, next: last };
      places.push(place);
      last = Number(row.version);
    }
    return places.length === 0 && !this.incidents.has(id) ? undefined : { places };
  }

  /** What a `log.archived` entry has to say of what leaves the record with these entries. */
  summary(range: EntryRange): Pick<ArchivedData, 'incidents' | 'entered' | 'posture' | 'posture_seq' | 'notified'> {
    return {
      ...this.archive.counts(range),
      posture: this.posture.memory(range),
      posture_seq: this.#position.seq,
      notified: this.webhooks.all(),
    };
  }

  /** Why these entries have to stay in the log, or `undefined`. `staying` are entries before them that stay as well. */
  obstacle(range: EntryRange, staying: readonly EntryRange[]): string | undefined {
    return this.archive.obstacle(range, staying) ?? this.posture.obstacle(range);
  }

  /** What was reported under an idempotency key. */
  reportedUnder(key: string): { readonly fingerprint: string; readonly id: string } | undefined {
    const row = this.#keyed.get(key);
    const id = row === undefined ? undefined : this.incidents.idOf(Number(row.incident));
    return id === undefined ? undefined : { fingerprint: String(row?.fingerprint), id };
  }

  /**
   * Lets the database tidy up after itself when that is due, which `least` says: the size in bytes of what is to be
   * tidied up. Nothing may be applied until that is done: who comes while it is under way waits for it. Never rejects.
   */
  compact(least = COMPACT_AT): Promise<void> {
    this.#compacting ??= this.#compact(least).finally(() => (this.#compacting = undefined));
    return this.#compacting;
  }

  async #compact(least: number): Promise<void> {
    this.#sinceLook += 1;
    if (this.#sinceLook < LOOK_EVERY && !this.#isRoomScarce) return;
    this.#sinceLook = 0;
    try {
      if (this.#database.uncompacted < (this.#isRoomScarce ? COMPACT_AT_IF_SCARCE : least)) return;
      this.flush();
      await this.#database.compact();
    } catch {
      // No room: it is tried again after the next batch, and what is applied is safe as it is.
    }
  }

  close(): void {
    this.flush();
    this.#database.close();
  }

  /** What of these entries was not applied before. */
  #due(entries: readonly StoredEntry[]): readonly StoredEntry[] {
    const { seq } = this.#position;
    return (entries[0]?.data.seq ?? 0) > seq ? entries : entries.filter(({ data }) => data.seq > seq);
  }

  #apply(due: readonly StoredEntry[]): void {
    const last = due.at(-1);
    if (last === undefined) return;
    this.#latest.clear();
    const position: Position = {
      seq: last.data.seq,
      hash: last.entry_hash,
      end: last.offset + last.length,
      gaps: this.#position.gaps || hasGap(this.#position.seq, due) || due.some(({ event }) => event === 'log.archived'),
    };
    try {
      this.#database.begin();
      this.#applyAll(due, position.gaps);
    } catch (error) {
      this.#undo(error as Error);
      return;
    }
    this.#position = position;
    if (this.#isRoomScarce || position.seq - this.#committed.seq >= MAX_UNCOMMITTED) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), COMMIT_AFTER).unref();
  }

  #applyAll(entries: readonly StoredEntry[], gaps: boolean): void {
    const changes = new Map<string, Change>();
    const tally = new Tally();
    const store = (): void => {
      for (const document of this.incidents.store(changes.values())) this.#latest.set(document.id, document);
      this.statistics.add(tally);
      this.posture.store(changes.values());
      this.activity.add(changes.values());
    };
    for (const entry of entries) {
      if (entry.event !== 'log.archived') {
        this.#applyOne(entry, changes, tally, gaps);
        continue;
      }
      store();
      changes.clear();
      tally.clear();
      const data = entry.data as unknown as ArchivedData;
      this.activity.leave(data);
      this.archive.leave(data, this.statistics);
      this.posture.leave(data);
      this.webhooks.leave(data);
    }
    store();
  }

  /** Writes what is kept in memory between commits. */
  #settle(): void {
    const { seq, hash, end, gaps } = this.#position;
    this.posture.settle();
    this.#move.run(seq, hash, end, Number(gaps));
  }

  /** Goes back to what is committed. */
  #undo(fault: Error): void {
    this.#database.rollBack();
    this.posture.reload();
    this.#position = this.#committed;
    this.#latest.clear();
    this.#fault = fault;
    this.unfinished = true;
  }

  #applyOne(entry: StoredEntry, changes: Map<string, Change>, tally: Tally, gaps: boolean): void {
    const id = entry.data.incident;
    if (typeof id !== 'string') {
      this.#applyOther(entry);
      return;
    }
    const known = changes.get(id);
    const before = known === undefined ? this.#recordBefore(id, entry) : known.before;
    if (gaps && known === undefined && before === undefined && entry.event !== 'incident.reported') return;
    const now = foldEntry(known?.now ?? before, entry);
    changes.set(id, { before, now });
    tally.follow(now, known?.now ?? before);
    this.posture.follow(entry, now, known?.now ?? before);
    this.#insertEntry.run(now.seq, now.incident.version, entry.data.seq, entry.offset, entry.length);
    const idempotency = idempotencyOf(entry);
    if (idempotency !== undefined) this.#insertKey.run(idempotency.key, idempotency.fingerprint, now.seq);
  }

  #applyOther(entry: StoredEntry): void {
    if (entry.event === 'containment.heard') this.posture.hear(entry);
    if (entry.event === 'notification.delivered') this.webhooks.move(entry.data as unknown as NotifiedData);
  }

  #recordBefore(id: string, { event }: StoredEntry): IncidentRecord | undefined {
    return event === 'incident.reported' ? undefined : this.incidents.record(id);
  }
}

/** Whether entries are missing between `seq` and the first of these, or between any two of them. */
const hasGap = (seq: number, entries: readonly StoredEntry[]): boolean =>
  entries.some(({ data }, index) => data.seq !== seq + index + 1);
