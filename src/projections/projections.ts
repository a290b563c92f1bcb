/**
 * The read models, kept up with the log.
 *
 * `apply` and `catchUp` take entries that are on disk, in order, and skip those that were applied before. Their changes
 * can be read at once. They are committed a moment later, together: a crash in between loses nothing, as the next start
 * applies those entries again.
 *
 * When the database does not take them (its disk is full), everything uncommitted is undone, and `fault` says so. Nothing
 * is lost, but reads are behind until those entries have been read from the log again; they are not kept in memory, as
 * some are large. Whoever appends goes through `current()` first, so little has to be read.
 */
import {
  type ArchivedData,
  type IncidentEntry,
  isAboutIncident,
  isOpening,
  isAboutWebhook,
  type StoredEntry,
} from '../domain/entries.ts';
import { Contradiction } from '../domain/contradiction.ts';
import { fold, requestOf, type IncidentRecord, type RecordChange, type TakenEntry } from '../domain/incident.ts';
import { isReport } from '../domain/report-times.ts';
import type { KnownFindings } from '../audit/log-findings.ts';
import type { ReadableLog } from '../audit/log.ts';
import { RecorderError } from '../errors.ts';
import { Activity } from './activity.ts';
import { Anchors } from './anchors.ts';
import { Attention } from './attention.ts';
import { absenceOf } from './absence.ts';
import { AccessFiles } from './access-files.ts';
import { ArchivedIncidents, type Counts } from './archived-incidents.ts';
import { ClockJumps } from './clock-jumps.ts';
import { Comparison } from './comparison.ts';
import { CurrentReads } from './current-reads.ts';
import { Database, type Statement } from './database.ts';
import { DatabaseProof } from './database-proof.ts';
import type { LinePlace } from '../audit/log-reader.ts';
import { type EntriesPage, EntryPlaces } from './entry-places.ts';
import { Findings, MOST_FINDINGS } from './findings.ts';
import { FleetCommands } from './fleet-commands.ts';
import { Guards } from './guards.ts';
import { HalfReopened } from './half-reopened.ts';
import { foldOverGap } from '../domain/fold-over-gap.ts';
import { IdempotencyKeys } from './idempotency-keys.ts';
import { IncidentProof } from './incident-proof.ts';
import { IncidentGroups } from './incident-groups.ts';
import { IncidentList } from './incident-list.ts';
import type { IncidentDocument } from '../domain/document.ts';
import { Incidents, type ShownIncidents } from './incidents.ts';
import { Posture, type ShownPosture } from './posture.ts';
import { PendingRecoveries } from './recoveries.ts';
import { RecentReports } from './recent-reports.ts';
import { type RecordSnapshot, RecordSnapshots } from './record-snapshot.ts';
import { Silences } from './silences.ts';
import { SimilarIncidents } from './similar.ts';
import { Snoozes } from './snoozes.ts';
import { Sources } from './sources.ts';
import { Tally } from '../domain/tally.ts';
import { Statistics } from './statistics.ts';
import type { SmallTables } from './tables-proof.ts';
import { IncidentsOfKinds } from './incidents-of-kinds.ts';
import { type ShownWebhooks, Webhooks } from './webhooks.ts';

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

const MEBIBYTE = 1024 * 1024;

const LEAVING = 'incidents leave the record';

/**
 * While the log is read again, an incident is stored once for many entries about it: so many changed incidents are held,
 * made of entries of so many bytes. With more, those that have not changed for the longest time are stored.
 */
const MOST_HELD = 2048;
const MOST_HELD_BYTES = 6 * MEBIBYTE;
/** What part of so many is stored at least: each time, counts are written for all of them together. */
const STORED_PART = 1 / 8;
/** How long they are held before all of them are stored and committed, in milliseconds: nobody reads them meanwhile. */
const COMMIT_HELD_AFTER = 10_000;

/** What entries have changed, and is not stored yet. */
interface Changes {
  readonly changes: Map<string, RecordChange>;
  /** The length of the entries. */
  bytes: number;
}

/**
 * How long what is applied may stay uncommitted, in milliseconds, and how many entries of it there may be. A commit
 * costs about as much for few entries as for many: with a tenth of this time, a report costs a tenth more on a
 * throttled processor.
 */
const COMMIT_AFTER = 1000;
const MAX_UNCOMMITTED = 1000;
/**
 * The size of SQLite's write-ahead log, in bytes, at which it is copied into the database. Copying four times as much takes
 * all the processor time that a throttled host has for a tenth of a second.
 */
const COMPACT_AT = MEBIBYTE;
/**
 * With less room on its disk, in bytes, the database keeps step with the log: it commits at once and keeps its write-ahead
 * log small. So a log that fills the disk leaves the database room for what the log holds.
 */
const SCARCE_ROOM = 64 * MEBIBYTE;
const COMPACT_AT_IF_SCARCE = MEBIBYTE / 8;
/** How many times incidents leave, a few at a time, before that is committed: some megabyte of pages has changed. */
const COMMIT_SLICES = 8;
/** The pause between two merges of the search index, in milliseconds: each takes some milliseconds. */
const MERGE_AFTER = 25;
/**
 * With a longer write-ahead log, in bytes, the next merge waits for the next commit: nothing is compacted while nothing is
 * recorded, and what the merges of an idle service have written would hold up the next report.
 */
const MERGE_UNTIL = 8 * MEBIBYTE;
/** How many times `compact` is called for each time that it looks at the size of the write-ahead log. */
const LOOK_EVERY = 16;

export class Projections {
  /** What is shown of incidents and of the posture; it may be behind the log. */
  readonly incidents: ShownIncidents;
  readonly posture: ShownPosture;
  readonly list: IncidentList;
  /** How many incidents need attention. */
  readonly attention: Pick<Attention, 'count' | 'matches'>;
  #groups: IncidentGroups | undefined;
  #similar: SimilarIncidents | undefined;
  readonly statistics: Statistics;
  readonly activity: Activity;
  #comparison: Comparison | undefined;
  /** What was found wrong with the log. */
  readonly findings: KnownFindings;
  /** When the clock has jumped. */
  readonly clockJumps: Pick<ClockJumps, 'newest'>;
  readonly #clockJumps: ClockJumps;
  readonly #fleetCommands: FleetCommands;
  /** The last anchor on record; it may be behind the log. */
  readonly anchors: Pick<Anchors, 'last'>;
  readonly #anchors: Anchors;
  readonly #findings: Findings;
  readonly #guards: Guards;
  readonly #accessFiles: AccessFiles;
  /** The silences on record; it may be behind the log. */
  readonly silences: Pick<Silences, 'all' | 'active' | 'get'>;
  readonly #silences: Silences;
  readonly #incidents: Incidents;
  readonly #posture: Posture;
  #archived: ArchivedIncidents | undefined;
  /** What is shown of webhooks; it may be behind the log. */
  readonly webhooks: ShownWebhooks;
  readonly #webhooks: Webhooks;
  readonly #places: EntryPlaces;
  readonly #keys: IdempotencyKeys;
  readonly #sources: Sources;
  readonly #snoozes: Snoozes;
  readonly #halfReopened: HalfReopened;
  readonly #reports: RecentReports;
  readonly #current: CurrentReads;
  readonly #snapshots: RecordSnapshots;
  #altered: string | undefined;
  #unfinished = false;
  #reading: (() => string) | undefined;
  readonly #database: Database;
  readonly #latest = new Map<string, IncidentDocument>();
  readonly #move: Statement;
  #position: Position = NOTHING;
  /** How far the log is committed. */
  #committed: Position = NOTHING;
  /** Incidents with missing entries, which this process has folded: at most those of a segment that was lost. */
  readonly #incomplete = new Set<string>();
  /** What was applied and is not stored before the next commit. */
  #held: Changes | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Set while more of the search index is to be merged. */
  #mergeTimer: NodeJS.Timeout | undefined;
  #sinceLook = 0;
  #isClosed = false;
  #slices = 0;
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
    this.#incidents = new Incidents(database);
    this.#posture = this.#readPosture();
    this.#webhooks = new Webhooks(database);
    this.webhooks = this.#webhooks;
    this.#places = new EntryPlaces(database);
    this.#keys = new IdempotencyKeys(database);
    this.#sources = new Sources(database);
    this.#reports = new RecentReports(database);
    this.#findings = new Findings(database);
    this.#clockJumps = new ClockJumps(database);
    this.clockJumps = this.#clockJumps;
    this.#anchors = new Anchors(database);
    this.#fleetCommands = new FleetCommands(database);
    this.anchors = this.#anchors;
    this.#snoozes = new Snoozes(database, this.#clockJumps);
    this.#halfReopened = new HalfReopened(database);
    this.findings = this.#findings;
    this.#guards = new Guards(database);
    this.#accessFiles = new AccessFiles(database);
    this.#silences = new Silences(database);
    this.silences = this.#silences;
    this.incidents = this.#incidents;
    this.posture = this.#posture;
    const attention = new Attention(database, this.#silences, () => this.#position.seq);
    this.attention = attention;
    this.list = new IncidentList(database, attention);
    this.statistics = new Statistics(database);
    this.activity = new Activity(database);
    this.#current = new CurrentReads({
      incidents: this.#incidents,
      posture: this.#posture,
      recoveries: new PendingRecoveries(database),
      snoozes: this.#snoozes,
      halfReopened: this.#halfReopened,
      keys: this.#keys,
      names: this.#sources,
      reports: this.#reports,
      webhooks: this.#webhooks,
      kinds: new IncidentsOfKinds(database),
      archive: () => this.#archive,
      findings: this.#findings,
      guards: this.#guards,
      places: this.#places,
      accessFiles: this.#accessFiles,
      silences: this.#silences,
      anchors: this.#anchors,
      fleetCommands: this.#fleetCommands,
      lastSeq: () => this.#position.seq,
    });
    this.#snapshots = new RecordSnapshots(database);
    this.#move = database.prepare(`
      INSERT INTO position (one, seq, hash, end, gaps) VALUES (1, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET seq = excluded.seq, hash = excluded.hash, end = excluded.end, gaps = excluded.gaps`);
    const row = database.prepare('SELECT seq, hash, end, gaps FROM position').get();
    if (row === undefined) return;
    this.#position = { seq: Number(row.seq), hash: String(row.hash), end: Number(row.end), gaps: row.gaps === 1 };
    this.#committed = this.#position;
  }

  // What is seldom asked is made when it is first used: to prepare its statements takes a hundredth of a start.

  get groups(): IncidentGroups {
    return (this.#groups ??= new IncidentGroups(this.#database, this.list));
  }

  get similar(): SimilarIncidents {
    return (this.#similar ??= new SimilarIncidents(this.#database));
  }

  get comparison(): Comparison {
    return (this.#comparison ??= new Comparison(this.#database));
  }

  /** What an incident that leaves the record is counted in. */
  get #counts(): Counts {
    return { statistics: this.statistics, activity: this.activity, sources: this.#sources };
  }

  get #archive(): ArchivedIncidents {
    return (this.#archived ??= new ArchivedIncidents(this.#database));
  }

  /** Why a database that somebody else had changed was replaced by an empty one at the start. */
  get altered(): string | undefined {
    return this.#database.altered ?? this.#altered;
  }

  /** Reads the posture. Where somebody has written something else in its place, the database is emptied. */
  #readPosture(): Posture {
    try {
      return new Posture(this.#database);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#altered = "the posture in the database can't be read";
      this.#database.empty();
      return new Posture(this.#database);
    }
  }

  /** Forgets everything because it contradicts the log: somebody else has changed it. */
  discard(reason: string): void {
    this.#altered = reason;
    this.reset();
  }

  get position(): Position {
    return this.#position;
  }

  /** Why the database could not take entries, until it has caught up. */
  get fault(): Error | undefined {
    return this.#fault;
  }

  /**
   * Whether the projections are behind the log: the database had no room, or entries were not applied. What is written
   * to the log meanwhile is skipped, as it follows what is still to be read.
   */
  get unfinished(): boolean {
    return this.#unfinished;
  }

  /** How far the log has been read, while that is made good after a start; undefined afterwards. */
  get reading(): string | undefined {
    const text = this.#reading?.();
    return text === undefined || this.#fault === undefined ? text : `${text}: ${this.#fault.message}`;
  }

  /**
   * Stays behind the log until it was read to its end.
   * @param reading says how far that is
   */
  fallBehind(reading: () => string): void {
    this.#unfinished = true;
    this.#reading = reading;
  }

  /**
   * The reads that a decision may rest on.
   * @throws RecorderError `log_unavailable` while the projections are behind the log, `starting` while it is read
   */
  current(): CurrentReads {
    if (!this.#unfinished) return this.#current;
    const { reading } = this;
    if (reading !== undefined) throw new RecorderError('starting', reading, { cause: this.#fault });
    const message = 'what is on record is behind the audit log; try again';
    throw new RecorderError('log_unavailable', message, { cause: this.#fault });
  }

  /**
   * The incidents as they are now, to be read a few at a time, and up to which entry that is.
   * @throws RecorderError like `current`, `overloaded` while incidents leave the record
   */
  snapshot(): { readonly incidents: RecordSnapshot; readonly position: Position } {
    this.current();
    if (this.#archive.isLeaving) throw new RecorderError('overloaded', `${LEAVING}; try again`);
    return { incidents: this.#snapshots.take(), position: this.#position };
  }

  /** Takes entries that have just been written to the log, with what their actors have made of them. */
  apply(taken: readonly TakenEntry[]): void {
    if (this.#unfinished) return;
    const due = this.#due(taken);
    // Never over a gap: the missing entries would never be applied.
    if (hasGap(this.#position.seq, due)) this.#unfinished = true;
    else this.#apply(due, false);
  }

  /**
   * Takes entries that were read from the log, in order. Gaps are allowed. After a new `fault`, resume from `position`,
   * also between two calls of this.
   * @param isMoreToCome whether incidents may be stored later, with what follows; reads are behind meanwhile
   */
  catchUp(entries: readonly StoredEntry[], isMoreToCome = false): void {
    if (!this.#drain()) return;
    if (isMoreToCome) this.#held ??= { changes: new Map(), bytes: 0 };
    this.#apply(this.#due(entries.map((entry) => ({ entry }))), true, isMoreToCome);
  }

  /**
   * Leaves the search index alone while most of a log is applied: incidents that are reported from here on are indexed by
   * `indexSome`.
   */
  deferSearch(): void {
    if (this.#incidents.backlog.isOpen) return;
    this.#write(() => this.#incidents.backlog.begin(this.#position.seq + 1));
  }

  /** Whether incidents wait for the search index. */
  get isSearchBehind(): boolean {
    return this.#incidents.backlog.isOpen;
  }

  /** The `seq` up to which incidents are in the search index. */
  get searched(): number {
    return Math.min(this.#position.seq, this.#incidents.backlog.first - 1);
  }

  /** Indexes some of the incidents that wait for it. After a new `fault`, what is not committed is undone. */
  indexSome(): void {
    if (!this.#incidents.backlog.isOpen) return;
    this.#write(() => this.#incidents.backlog.take());
    if (this.#fault === undefined) this.#timer ??= setTimeout(() => this.flush(), COMMIT_AFTER).unref();
  }

  /** The incident after the batch that was applied last, if that was about it. */
  latest(id: string): IncidentDocument | undefined {
    return this.#latest.get(id);
  }

  /** Ends catching up: the log has been read to its end, and what is written from now on is applied at once. */
  caughtUp(): void {
    if (!this.complete() || !this.flush()) return;
    this.#unfinished = false;
    this.#reading = undefined;
    this.#fault = undefined;
  }

  /**
   * To be called when the log was read to its end. Takes the incidents off the record that were leaving when the last
   * process ended. Forgets entries about incidents that are not on record: they left with their segments, and nothing
   * carries them over any more.
   * @returns false when there was no room for that, and the log has to be read again
   */
  complete(): boolean {
    if (!this.#drain()) return false;
    try {
      if (!this.#places.hasStrays()) return true;
      this.#database.begin();
      this.#places.dropStrays();
    } catch {
      // No room: they are dropped after the next start.
    }
    return true;
  }

  /**
   * Takes the next few incidents of archived segments off the record, in a few milliseconds, when the database is not
   * being compacted. Never rejects.
   * @returns whether more are to go: call it again in a later turn, and let the log have `betweenBatches` run
   */
  async leaveSome(): Promise<boolean> {
    while (this.#compacting !== undefined) await this.#compacting;
    if (this.#isClosed || this.#unfinished) return false;
    try {
      if (!this.#archive.isLeaving) return false;
      this.#snapshots.end(LEAVING);
      this.#latest.clear();
      this.#database.begin();
      const isMore = this.#archive.leaveSome(this.#counts);
      this.#timer ??= setTimeout(() => this.flush(), COMMIT_AFTER).unref();
      this.#slices = (this.#slices + 1) % COMMIT_SLICES;
      // What they have changed is committed and compacted a little at a time as well.
      if (this.#slices > 0) return isMore;
      this.#sinceLook = LOOK_EVERY;
      return this.flush() && isMore;
    } catch (error) {
      this.#undo(faultOf(error as Error));
      return false;
    }
  }

  /** Takes all incidents of archived segments off the record at once. Returns false when there was no room for that. */
  #drain(): boolean {
    try {
      if (!this.#archive.isLeaving) return true;
      this.#database.begin();
      while (this.#archive.leaveSome(this.#counts));
      return true;
    } catch (error) {
      this.#undo(faultOf(error as Error));
      return false;
    }
  }

  /** Writes in the open transaction, and goes back to what is committed when there is no room. */
  #write(work: () => void): void {
    try {
      this.#database.begin();
      work();
    } catch (error) {
      this.#undo(faultOf(error as Error));
    }
  }

  /** Commits what was applied; false when there was no room for it, as `fault` says. */
  flush(): boolean {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      if (this.#position !== this.#committed) this.#settle();
      this.#database.commit();
      this.#committed = this.#position;
    } catch (error) {
      this.#undo(error as Error);
      return false;
    }
    this.#mergeSearch();
    return true;
  }

  /**
   * Merges some of the search index, and goes on a moment later where there is more. In a transaction of its own: where
   * there is room for entries and none to merge, the entries stay.
   */
  #mergeSearch(): void {
    if (this.#isClosed || this.#compacting !== undefined) return;
    let isMore = false;
    try {
      this.#database.begin();
      isMore = this.#incidents.mergeSearch();
      this.#database.commit();
    } catch {
      // No room: it is tried again after the next commit.
      this.#database.rollBack();
    }
    if (!isMore || this.#database.uncompacted >= (this.#isRoomScarce ? COMPACT_AT : MERGE_UNTIL)) return;
    this.#mergeTimer ??= setTimeout(() => {
      this.#mergeTimer = undefined;
      if (this.#compacting === undefined && !this.#isClosed) this.flush();
    }, MERGE_AFTER).unref();
  }

  /** Looks how much room there is. To be called every second or so. Never rejects. */
  async lookForRoom(): Promise<void> {
    try {
      this.#isRoomScarce = (await this.#database.room()) < SCARCE_ROOM;
    } catch {
      // It stays as it was seen last.
    }
  }

  /** Whether the log says that there was an access file. */
  get hadAccessFile(): boolean {
    return this.#accessFiles.had;
  }

  /** What the small tables hold now. */
  get tables(): SmallTables {
    const open = this.#findings.open().map(({ finding }) => finding);
    const notified = this.#webhooks.all();
    const guards = this.#guards.all();
    const { hadAccessFile } = this;
    const isCut = open.length >= MOST_FINDINGS;
    const untaken = this.#webhooks.untaken();
    const notices = this.#webhooks.notices();
    const silences = this.#silences.all();
    const anchor = this.#anchors.last();
    return { open, notified, untaken, notices, guards, silences, anchor, hadAccessFile, isCut };
  }

  /**
   * Begins to prove the database against the log.
   * @param tables the small tables as the start has found them; undefined when it has not read all of the log
   */
  proof(log: ReadableLog, tables: SmallTables | undefined): DatabaseProof {
    return new DatabaseProof({
      database: this.#database,
      incidents: this.#incidents,
      posture: this.#posture,
      places: this.#places,
      snoozes: this.#snoozes,
      statistics: this.statistics,
      reports: this.#reports,
      log,
      tables,
      isCurrent: () => !this.#unfinished,
    });
  }

  /** What proves single incidents against the log. */
  incidentProof(log: ReadableLog): IncidentProof {
    return new IncidentProof({
      database: this.#database,
      incidents: this.#incidents,
      places: this.#places,
      snoozes: this.#snoozes,
      log,
    });
  }

  /** Forgets everything and stays behind the log until it was read again: the database was not what the log says. */
  distrust(): void {
    this.reset();
    this.#unfinished = true;
  }

  /** Forgets everything, so that the log can be applied from its beginning. */
  reset(): void {
    this.#snapshots.end('the database is made again');
    this.flush();
    this.#database.empty();
    this.#incidents.backlog.reload();
    this.#posture.reload();
    this.#sources.forget();
    this.#silences.forget();
    this.#reports.reload();
    this.#archived?.forget();
    this.#committed = NOTHING;
    this.#position = NOTHING;
    this.#fault = undefined;
    this.#unfinished = false;
  }

  /** Why an incident is not on record: it may have been archived, or there never was one. */
  absenceOf(id: string): RecorderError {
    return absenceOf(id, this.#archive);
  }

  /**
   * Where the entries about an incident stand in the log, oldest first, from behind its version `after` on, as many as
   * fit a page; undefined when it is not on record.
   */
  entriesOf(id: string, after = 0): EntriesPage | undefined {
    const page = this.#places.page(id, after);
    return page.places.length === 0 && !this.#incidents.has(id) ? undefined : page;
  }

  /** Where the entry stands that made an incident this version; undefined when it is not on record. */
  placeOf(id: string, version: number): LinePlace | undefined {
    return this.#places.of(id, version);
  }

  /**
   * Compacts the database when at least `least` bytes are to be compacted; with 0, whenever there is something. Nothing
   * may be applied until that is done; concurrent callers share one run. Never rejects.
   */
  compact(least = COMPACT_AT): Promise<void> {
    if (least === 0) this.#sinceLook = LOOK_EVERY;
    this.#compacting ??= this.#compact(least).finally(() => (this.#compacting = undefined));
    return this.#compacting;
  }

  async #compact(least: number): Promise<void> {
    this.#sinceLook += 1;
    if (this.#sinceLook < LOOK_EVERY && !this.#isRoomScarce) return;
    this.#sinceLook = 0;
    try {
      const size = this.#database.uncompacted;
      if (size === 0 || size < (this.#isRoomScarce ? COMPACT_AT_IF_SCARCE : least)) return;
      this.flush();
      await this.#database.compact();
    } catch {
      // No room: it is tried again after the next batch, and what is applied is safe as it is.
    }
  }

  close(): void {
    this.#snapshots.end('the service stops');
    clearTimeout(this.#mergeTimer);
    this.#isClosed = true;
    this.flush();
    this.#database.close();
  }

  /** What of these entries was not applied before. */
  #due(taken: readonly TakenEntry[]): readonly TakenEntry[] {
    const { seq } = this.#position;
    return (taken[0]?.entry.data.seq ?? 0) > seq ? taken : taken.filter(({ entry }) => entry.data.seq > seq);
  }

  #apply(due: readonly TakenEntry[], isCatchingUp: boolean, isMoreToCome = false): void {
    const last = due.at(-1)?.entry;
    if (last === undefined) return;
    this.#latest.clear();
    const isGap = hasGap(this.#position.seq, due) || due.some(({ entry }) => entry.event === 'log.archived');
    const position: Position = {
      seq: last.data.seq,
      hash: last.entry_hash,
      end: last.offset + last.length,
      gaps: this.#position.gaps || isGap,
    };
    try {
      this.#database.begin();
      this.#applyAll(due, position.gaps, isCatchingUp, isMoreToCome);
    } catch (error) {
      this.#undo(faultOf(error as Error));
      return;
    }
    this.#position = position;
    const isHeld = this.#held !== undefined;
    const isMuch = !isHeld && position.seq - this.#committed.seq >= MAX_UNCOMMITTED;
    if (this.#isRoomScarce || isMuch) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), isHeld ? COMMIT_HELD_AFTER : COMMIT_AFTER).unref();
  }

  #applyAll(taken: readonly TakenEntry[], gaps: boolean, isCatchingUp: boolean, isMoreToCome: boolean): void {
    const made: Changes = this.#held ?? { changes: new Map(), bytes: 0 };
    const { changes } = made;
    for (const { entry, change } of taken) {
      made.bytes += entry.length;
      if (entry.event === 'log.archived') {
        this.#store(changes);
        changes.clear();
        this.#leave(entry.data, entry.timestamp);
        // Those that are read again are followed by others.
        if (isCatchingUp) while (this.#archive.leaveSome(this.#counts));
      } else if (isAboutIncident(entry)) this.#applyToIncident(entry, change, changes, gaps);
      else if (entry.event === 'containment.heard') this.#posture.hear(entry);
      else if (isAboutWebhook(entry)) this.#webhooks.follow(entry);
      else if (entry.event === 'clock.jumped') this.#clockJumps.follow(entry);
      else if (entry.event === 'log.damage_found' || entry.event === 'log.damage_acknowledged') {
        this.#findings.follow(entry);
      } else if (entry.event === 'guard.heard' || entry.event === 'guard.silent') this.#guards.follow(entry);
      else if (entry.event === 'access.loaded') this.#accessFiles.follow(entry);
      else if (entry.event === 'silence.added' || entry.event === 'silence.ended') {
        this.#silences.follow(entry);
        this.#fleetCommands.follow(entry);
      } else if (entry.event === 'fleet.answered') this.#fleetCommands.follow(entry);
      else if (entry.event === 'log.anchored') this.#anchors.follow(entry);
    }
    if (isMoreToCome) {
      this.#storeOldest(made);
      return;
    }
    this.#held = undefined;
    this.#store(changes);
  }

  /** Stores those of too many held incidents that have not changed for the longest time. */
  #storeOldest(made: Changes): void {
    const { changes } = made;
    if (changes.size < MOST_HELD && made.bytes < MOST_HELD_BYTES) return;
    // One page of the log may bring as many as are held.
    const kept = (1 - STORED_PART) * Math.min(1, MOST_HELD / changes.size, MOST_HELD_BYTES / made.bytes);
    let surplus = Math.ceil(changes.size * (1 - kept));
    made.bytes *= kept;
    const oldest = new Map<string, RecordChange>();
    for (const [id, change] of changes) {
      if (surplus-- === 0) break;
      oldest.set(id, change);
      changes.delete(id);
    }
    this.#store(oldest);
  }

  #store(changes: ReadonlyMap<string, RecordChange>): void {
    if (this.#snapshots.areOpen) {
      for (const { before } of changes.values()) if (before !== undefined) this.#snapshots.keep(before);
    }
    for (const document of this.#incidents.store(changes.values())) this.#latest.set(document.id, document);
    const tally = new Tally();
    for (const { before, now } of changes.values()) tally.follow(now, before);
    this.statistics.add(tally);
    this.#posture.store(changes.values());
    this.activity.add(changes.values());
  }

  #leave(data: ArchivedData, time: string): void {
    this.#snapshots.end(LEAVING);
    this.#archive.leave(data, time);
    this.#reports.leave(data);
    this.#posture.leave(data);
    this.#webhooks.leave(data);
    this.#findings.leave(data);
    this.#guards.leave(data);
    this.#clockJumps.leave(data);
    this.#accessFiles.leave(data);
    this.#silences.leave(data);
    this.#anchors.leave(data);
    this.#fleetCommands.leave(data);
  }

  /** Writes what is kept in memory between commits. */
  #settle(): void {
    const { seq, hash, end, gaps } = this.#position;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#store(held.changes);
    this.#posture.settle();
    this.#reports.settle();
    this.#move.run(seq, hash, end, Number(gaps));
  }

  /** Goes back to what is committed. */
  #undo(fault: Error): void {
    this.#snapshots.end('the database has no room');
    this.#held = undefined;
    this.#database.rollBack();
    this.#incidents.backlog.reload();
    this.#posture.reload();
    this.#sources.forget();
    this.#silences.forget();
    this.#reports.reload();
    this.#archived?.forget();
    this.#position = this.#committed;
    this.#latest.clear();
    this.#fault = fault;
    this.#unfinished = true;
  }

  #applyToIncident(
    entry: IncidentEntry & StoredEntry,
    change: RecordChange | undefined,
    changes: Map<string, RecordChange>,
    gaps: boolean,
  ): void {
    const { incident: id } = entry.data;
    if (isReport(entry)) this.#reports.follow(entry);
    else this.#halfReopened.follow(entry);
    this.#fleetCommands.follow(entry);
    const known = changes.get(id);
    const first = known === undefined ? (change?.before ?? this.#recordBefore(entry)) : known.before;
    const before = known?.now ?? first;
    if (gaps && before === undefined && !isOpening(entry)) {
      this.#places.stray(entry);
      return;
    }
    const now = change?.now ?? (gaps ? this.#foldWithGaps(before, entry) : fold(before, entry));
    // In the order of their latest changes.
    if (known !== undefined) changes.delete(id);
    changes.set(id, { before: first, now });
    this.#posture.follow(entry, now, before);
    this.#snoozes.follow(entry, now, before);
    if (before === undefined && entry.event !== 'incident.reported') this.#places.adopt(now.seq, id);
    this.#places.add(now.seq, now.incident.version, entry);
    const request = requestOf(entry);
    if (request !== undefined) this.#keys.add(request, now.seq, entry.data.seq);
    if (isReport(entry) && entry.data.repeat !== undefined)
      this.#reports.note(entry.data.repeat, now.seq, entry.data.seq);
    if (entry.event === 'incident.carried') {
      this.#keys.carry(now.seq, entry.data);
      this.#reports.carry(now.seq, entry);
    }
    if (before === undefined) this.#sources.add(now.incident);
  }

  /** Folds an entry of a log in which entries are missing. */
  #foldWithGaps(before: IncidentRecord | undefined, entry: IncidentEntry): IncidentRecord {
    const { incident: id, version } = entry.data;
    if (before === undefined) return fold(before, entry);
    if (version > before.incident.version + 1) this.#incomplete.add(id);
    if (entry.event === 'incident.carried' && this.#incomplete.delete(id)) return fold(undefined, entry);
    return this.#incomplete.has(id) ? foldOverGap(before, entry) : fold(before, entry);
  }

  #recordBefore({ event, data }: IncidentEntry): IncidentRecord | undefined {
    return event === 'incident.reported' ? undefined : this.#incidents.record(data.incident);
  }
}

/** What is no JSON was written into the database by somebody else: it contradicts the log. */
const faultOf = (error: Error): Error =>
  error instanceof Contradiction || error instanceof SyntaxError
    ? new RecorderError('damaged_log', error.message, { cause: error })
    : error;

/** Whether entries are missing between `seq` and the first of these, or between any two of them. */
const hasGap = (seq: number, taken: readonly TakenEntry[]): boolean =>
  taken.some(({ entry }, index) => entry.data.seq !== seq + index + 1);
