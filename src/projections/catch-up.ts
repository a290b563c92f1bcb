/**
 * Brings the projections up to the log when the service starts.
 *
 * Recovery reads the log anyway, from the last entry that the projections know. This applies the valid entries on the
 * way and skips those that were applied before, if the log still has them. When the projections have another hash for an
 * entry than the log, they belong to another log: they are emptied and the whole log is read. When they have entries that
 * the log has not, the log was cut: that is damage, and the projections stay as they are.
 *
 * When the database has no room, the projections stay behind: they can be read, nothing is written, and `resume` goes on
 * once there is room.
 *
 * When there is much to apply, as without a database, recovery reads only the tail from the checkpoint on. Then the log
 * can be written, and the service listens; the projections stay behind until `resume` has applied the rest. Reports are
 * decided by an `EarlyIndex` meanwhile, which is read first. A process that is ended goes on where the last commit was.
 * The search index is written last (search-backlog.ts).
 */
import { basename } from 'node:path';
import { readCheckpoint } from '../audit/checkpoint.ts';
import { markedDamage } from '../audit/damage-marker.ts';
import { type EntryLine, storedEntryIn } from '../audit/entry-line.ts';
import type { ReadableLog } from '../audit/log.ts';
import { LogCursor } from '../audit/log-cursor.ts';
import { type Recovered, recoverLog, type RecoveryOptions } from '../audit/recovery.ts';
import type { Damage } from '../audit/verify-chain.ts';
import { RecorderError } from '../errors.ts';
import { EarlyIndex } from './early-index.ts';
import type { Projections } from './projections.ts';
import type { StoredEntry } from '../domain/entries.ts';

/** While nobody waits for an answer there is no need to compact often: each time takes three syncs. In bytes. */
const COMPACT_AT = 64 * 1024 * 1024;
/** The same while requests come: they wait until that is copied, for some ten milliseconds. */
const COMPACT_AT_BESIDE = 12 * 1024 * 1024;
/**
 * How much of the log is applied at a time, in bytes. Entries about one incident are often near each other, and their
 * result is stored once; but all of them have to fit in memory.
 */
const APPLY_BYTES = 2 * 1024 * 1024;
/** The same while reports come: they wait until that is applied. */
const APPLY_BYTES_BESIDE = 128 * 1024;
/** How much is read and verified between two requests, in bytes. */
const PAGE_BESIDE = 128 * 1024;
/**
 * With more entries to apply than this the start does not wait for them: it takes a second or two on a throttled host.
 */
const MOST_AT_START = 2000;
/** What part of the reading is that of the early index, and of the search index at the end, near enough. */
const EARLY_SHARE = 0.05;
const SEARCH_SHARE = 0.15;

export class CatchUp {
  readonly #projections: Projections;
  readonly #onProgress: (seq: number) => void;
  readonly #whole = Promise.withResolvers<void>();
  #foreign = false;
  /** Whether the database knew entries before this start. */
  #hadEntries = false;
  /** Set while most of the log has to be applied after the start. */
  #early: EarlyIndex | undefined;
  #stopped = false;
  #resuming: Promise<void> | undefined;
  #last: StoredEntry | undefined;
  /** Entries that were read and not applied yet, and their length in bytes. */
  #gathered: StoredEntry[] = [];
  #gatheredBytes = 0;

  /** @param onProgress called with the `seq` up to which the log has been read and applied */
  constructor(projections: Projections, onProgress: (seq: number) => void = () => {}) {
    this.#projections = projections;
    this.#onProgress = onProgress;
  }

  /** The last entry of the log, when there is one. */
  get last(): StoredEntry | undefined {
    return this.#last;
  }

  /**
   * Makes the log ready to be written and brings the projections up to it.
   * @throws RecorderError `damaged_log` when the entries contradict the statechart
   */
  async recover(parts: Pick<RecoveryOptions, 'path' | 'beside' | 'hash' | 'clock'>): Promise<Recovered> {
    // Where damage was found before, what was verified then must be read again.
    const isMarked = markedDamage(parts.beside ?? parts.path) !== undefined;
    const known = isMarked ? undefined : this.#projections.position;
    this.#hadEntries = this.#projections.position.seq > 0;
    // What waits for the search index in a database that has nothing yet is read with all else.
    const isSearchBehind = this.#hadEntries && this.#projections.isSearchBehind;
    if (known !== undefined && (isSearchBehind || this.#isFarBehind(parts))) {
      const recovered = await this.#recoverTail(parts);
      if (recovered !== undefined) return recovered;
    }
    this.#whole.resolve();
    const options = { ...parts, applied: this.#projections.position.seq, ...(known === undefined ? {} : { known }) };
    const recovered = await this.#read(options).catch((error: unknown) => this.#readAgain(parts, error));
    if (recovered.damage !== undefined) return recovered;
    const { seq } = this.#projections.position;
    if (seq > recovered.head.entries) return { ...recovered, damage: cutOff(parts.path, seq, recovered) };
    if (!this.#foreign) return recovered;
    this.#projections.reset();
    this.#foreign = false;
    return this.#read(parts);
  }

  /** Reads the whole log when what was in the database contradicts it. */
  #readAgain(parts: Omit<RecoveryOptions, 'onEntries'>, error: unknown): Promise<Recovered> {
    const isContradiction = error instanceof RecorderError && error.code === 'damaged_log';
    if (!isContradiction || !this.#hadEntries) throw error;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#foreign = false;
    this.#projections.discard(`the database contradicts the log (${error.message})`);
    return this.#read(parts);
  }

  /** What reports are decided by while most of the log has still to be applied; undefined otherwise. */
  get early(): EarlyIndex | undefined {
    return this.#early;
  }

  /** Resolves when all that was there at the start has been applied. */
  get whole(): Promise<void> {
    return this.#whole.promise;
  }

  /** Ends what `resume` does. Resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#resuming?.catch(() => {});
  }

  #isFarBehind({ path, beside = path, hash }: Pick<RecoveryOptions, 'path' | 'beside' | 'hash'>): boolean {
    const { head } = readCheckpoint(beside, hash);
    return head !== undefined && head.entries - this.#projections.position.seq > MOST_AT_START;
  }

  /**
   * Recovers the tail alone. Returns undefined where something is wrong with it: then all of the log has to be read.
   */
  async #recoverTail(
    parts: Pick<RecoveryOptions, 'path' | 'beside' | 'hash' | 'clock'>,
  ): Promise<Recovered | undefined> {
    const { seq } = this.#projections.position;
    const onEntries = (entries: readonly StoredEntry[]): void => {
      this.#last = entries.at(-1);
    };
    const recovered = await recoverLog({ ...parts, known: 'checkpoint', applied: seq, onEntries });
    const { entries: end } = recovered.head;
    if (recovered.damage !== undefined || seq > end) return undefined;
    const early = new EarlyIndex();
    this.#early = early;
    this.#projections.fallBehind(() => {
      const applied = this.#projections.position.seq / end;
      const searched = this.#projections.searched / end;
      const share = EARLY_SHARE * early.share + (1 - EARLY_SHARE - SEARCH_SHARE) * applied + SEARCH_SHARE * searched;
      return `reading the log, ${Math.min(99, Math.floor(100 * share))} %`;
    });
    return recovered;
  }

  /**
   * Applies the rest of the log after the start, or after the database had no room. Cheap when there is nothing to do;
   * concurrent callers share one run.
   * @throws RecorderError when the log can't be read now, or contradicts the statechart
   */
  resume(log: ReadableLog): Promise<void> {
    this.#resuming ??= this.#goOn(log).finally(() => (this.#resuming = undefined));
    return this.#resuming;
  }

  async #goOn(log: ReadableLog): Promise<void> {
    const projections = this.#projections;
    if (!projections.unfinished) return;
    const early = this.#early;
    if (early !== undefined && !early.isComplete) {
      await early.read(log, () => this.#stopped);
      await this.#requireOwn(log);
    }
    if (early !== undefined) projections.deferSearch();
    const pageBytes = early === undefined ? undefined : PAGE_BESIDE;
    let cursor = new LogCursor(log, projections.position.seq, pageBytes);
    const { fault } = projections;
    // A new one undoes what was applied and not committed: then the log has to be read again from there.
    const isUndone = (): boolean => projections.fault !== fault;
    let gathered: EntryLine[] = [];
    const apply = (): void => {
      if (gathered.length > 0 && !isUndone())
        projections.catchUp(gathered.map(storedEntryIn), pace?.isFast === true && !cursor.atEnd);
      gathered = [];
    };
    const pace = early === undefined ? undefined : new Pace(log);
    while (!isUndone() && !this.#stopped) {
      if (cursor.atEnd) {
        apply();
        if (!isUndone() && projections.isSearchBehind) {
          await this.#indexAll(isUndone);
          continue;
        }
        // In this very turn nothing is missing: a later one may have new entries.
        if (!isUndone()) this.#end();
        break;
      }
      try {
        gathered.push(...(await cursor.next()));
        if (pace?.isLess(gathered)) continue;
        // The log does not compact between batches while the projections are behind.
        await projections.compact(COMPACT_AT_BESIDE);
        apply();
      } catch (error) {
        apply();
        if (!(error instanceof RecorderError)) throw error;
        // What is valid can be read, as after a start that finds the damage at once.
        if (early !== undefined && log.status.state === 'damaged') {
          await this.#indexAll(isUndone);
          if (!this.#stopped && !isUndone()) this.#end();
        }
        if (error.code !== 'gone') throw error;
        // What was archived has left the record.
        cursor = new LogCursor(log, Number(error.fields.first_seq) - 1, pageBytes);
      }
      this.#onProgress(projections.position.seq);
      // Requests come first.
      if (pace !== undefined) await new Promise(setImmediate);
    }
    if (projections.fault instanceof RecorderError) throw projections.fault;
  }

  /** Puts the incidents that wait for it into the search index, a few between two requests. */
  async #indexAll(isUndone: () => boolean, compactAt = COMPACT_AT_BESIDE): Promise<void> {
    const projections = this.#projections;
    while (projections.isSearchBehind && !isUndone() && !this.#stopped) {
      await projections.compact(compactAt);
      projections.indexSome();
      await new Promise(setImmediate);
    }
  }

  #end(): void {
    this.#projections.caughtUp();
    if (this.#projections.unfinished) return;
    this.#early = undefined;
    this.#whole.resolve();
  }

  /** Empties the projections when they were made from another log: its entry is not the one that they know. */
  async #requireOwn(log: ReadableLog): Promise<void> {
    const projections = this.#projections;
    const { seq, hash } = projections.position;
    if (seq === 0) return;
    try {
      const [line] = await new LogCursor(log, seq - 1).next();
      if (line?.entry().entry_hash !== hash) projections.distrust();
    } catch (error) {
      // It was archived.
      if (!(error instanceof RecorderError) || error.code !== 'gone') throw error;
    }
  }

  async #read(parts: Omit<RecoveryOptions, 'onEntries'>): Promise<Recovered> {
    const onEntries = async (entries: readonly StoredEntry[]): Promise<void> => {
      this.#take(entries);
      await this.#projections.compact(COMPACT_AT);
    };
    if (this.#projections.position.seq === 0) this.#projections.deferSearch();
    const recovered = await recoverLog({ ...parts, onEntries });
    this.#applyGathered();
    await this.#indexAll(() => this.#projections.fault !== undefined, COMPACT_AT);
    this.#projections.complete();
    const fault: Error | undefined = this.#projections.fault;
    if (fault instanceof RecorderError) throw fault;
    this.#projections.flush();
    // What is left would hold up the first requests.
    await this.#projections.compactNow();
    return recovered;
  }

  #take(entries: readonly StoredEntry[]): void {
    this.#last = entries.at(-1);
    if (this.#foreign || this.#projections.fault !== undefined) return;
    const { seq, hash } = this.#projections.position;
    const known = entries.find((entry) => entry.data.seq === seq);
    if (known !== undefined && known.entry_hash !== hash) {
      this.#foreign = true;
      return;
    }
    this.#gathered.push(...entries);
    for (const { length } of entries) this.#gatheredBytes += length;
    if (this.#gatheredBytes >= APPLY_BYTES) this.#applyGathered(true);
  }

  #applyGathered(isMoreToCome = false): void {
    const entries = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    const projections = this.#projections;
    if (this.#foreign || projections.fault !== undefined || entries.length === 0) return;
    projections.catchUp(entries, isMoreToCome);
    const fault: Error | undefined = this.#projections.fault;
    if (fault instanceof RecorderError) throw fault;
    this.#onProgress(entries.at(-1)?.data.seq ?? 0);
  }
}

/** How much is applied at a time beside the work: little while reports come, more and more while none do. */
class Pace {
  readonly #log: Pick<ReadableLog, 'status'>;
  #bytes = APPLY_BYTES_BESIDE;
  #entries: number;

  constructor(log: Pick<ReadableLog, 'status'>) {
    this.#log = log;
    this.#entries = log.status.entries;
  }

  /** Whether no reports come, so that much is applied at a time. */
  get isFast(): boolean {
    return this.#bytes === APPLY_BYTES;
  }

  /** Whether these lines are less than what is to be applied at a time. */
  isLess(lines: readonly EntryLine[]): boolean {
    const { entries } = this.#log.status;
    if (entries !== this.#entries) this.#bytes = APPLY_BYTES_BESIDE;
    this.#entries = entries;
    // What is stored later with others is not kept unread meanwhile.
    if (this.isFast) return false;
    const [first, last] = [lines[0], lines.at(-1)];
    if (first === undefined || last === undefined) return true;
    // Where another file begins there is less of it; what there is will do.
    if (last.offset >= first.offset && last.offset - first.offset < this.#bytes) return true;
    this.#bytes = Math.min(2 * this.#bytes, APPLY_BYTES);
    return false;
  }
}

function cutOff(path: string, known: number, { head, first, size }: Recovered): Damage {
  const reason =
    `the log ends after entry ${head.entries}, the database beside it has applied ${known}: entries were cut off ` +
    '(delete the database to take the log as it is)';
  return { file: basename(path), line: head.entries - first + 2, offset: size, reason, finding: 'log_cut' };
}
