/**
 * Writes the audit log: append-only, chained, durable (format: entry.ts).
 *
 * Entries wait in a queue. The log takes one batch at a time from its front, chains it, writes it and syncs it with one
 * asynchronous `fdatasync`. Entries that arrive meanwhile form the next batch. So many appends share one sync, and none
 * waits for a timer. When the sync has returned, `onDurable` gets the batch; then its appends resolve.
 *
 * Before a batch counts, and each second, the log looks whether the file at its path is still the one that it writes.
 * A file that was removed, replaced or added to is copied back from the open descriptor (`log.restored`). After one that
 * was cut, the log continues in a new file that begins with `log.lost`.
 *
 * States:
 * - `open`: takes entries.
 * - `blocked`: a write failed (no room, a size limit). The batch and all waiting appends are refused, the file is cut
 *   back to its last whole entry, and new appends are refused at once. `probe()`, called about every second, appends a
 *   `log.resumed` entry; when that succeeds the log is `open` again.
 * - `failed`: a sync failed. The kernel has dropped the pages and marked them clean, so another sync would succeed and
 *   lie. Everything is refused for good, the batch is cut off, and `failed` resolves so that the process ends. The next
 *   start writes the tail again.
 * - `damaged`: the log is not what was written. It takes nothing until a person has looked.
 * - `closed`: after `close()`.
 */
import { statfs } from '../async-files.ts';
import { basename, dirname } from 'node:path';
import { type Clock, timestamp } from '../clock.ts';
import { type ErrorCode, RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { Checkpointer, checkpointPath } from './checkpoint.ts';
import type { Head } from './entry.ts';
import { markDamage } from './damage-marker.ts';
import { draftsOf, entriesIn, type Finding } from './findings.ts';
import type { Recovered } from './recovery.ts';
import { type Holders, PostureSigner } from './signed-posture.ts';
import { type Displacement, SegmentedFile } from './segmented-file.ts';
import { pathToKeep } from './kept-copies.ts';
import { missingIn, type SealedSegment } from './segments.ts';
import { type Batch, AppendQueue } from './append-queue.ts';
import type { Damage } from './verify-chain.ts';
import type { Draft, StoredEntry } from '../domain/entries.ts';

/** How often a file that was taken away is put back for one batch, before the batch is refused. */
const MOST_RESTORES = 3;

/** How much room, in bytes, a full disk must have again before the log tries to resume. */
const ROOM_TO_RESUME = 64 * 1024;

export const LOG_STATES = ['open', 'blocked', 'failed', 'damaged', 'closed'] as const;
export type LogState = (typeof LOG_STATES)[number];

export interface LogStatus {
  readonly state: LogState;
  readonly writable: boolean;
  /** Why it is not writable. */
  readonly reason?: string;
  readonly entries: number;
  readonly last_hash: string;
  /** How many entries wait. */
  readonly waiting: number;
  /** The size in bytes of the file that grows. */
  readonly bytes: number;
  /** How many files make up the log. */
  readonly segments: number;
  /** How many names (hard links) the file that grows has; 1 unless somebody gave it another. */
  readonly links: number;
  readonly algorithm: string;
}

/** A batch that is on disk. Times are in milliseconds. */
export interface DurableBatch {
  readonly entries: readonly StoredEntry[];
  /** The lines of the entries. */
  readonly written: Buffer;
  /** How long the sync took. */
  readonly sync: number;
  /** For each append: the time from the call until its entries were on disk. */
  readonly waits: readonly number[];
}

export interface AuditLogOptions {
  readonly path: string;
  /** The path of the log in the directory of its checkpoint; by default they are in one. */
  readonly beside?: string;
  readonly hash: ChainHash;
  readonly clock: Clock;
  readonly recovered: Recovered;
  /** The size in bytes at which the file is sealed and the log continues in a new one. */
  readonly segmentBytes: number;
  /** Awaited after each batch, when its appends have resolved and before the next is written. Must not reject. */
  readonly betweenBatches?: () => Promise<void>;
  /** Called when somebody else has changed a file of the log. */
  readonly onTouched?: () => void;
  /** Receives what the log has found wrong with its files. It is recorded once. */
  readonly onFound?: (finding: Finding) => void;
  /** Receives damage that a reader has found. */
  readonly onDamage?: (damage: Damage) => void;
  /**
   * How many incidents hold each action after an entry, to be signed; undefined when that is not proved, or not known.
   */
  readonly holdersAt?: (head: Head) => Holders | undefined;
  /** The entries that record a finding; none when it is on record already. */
  readonly draftsOf?: (finding: Finding, time: string) => readonly Draft[];
}

/** What readers of the log's lines need of it. */
export type ReadableLog = Pick<AuditLog, 'status' | 'sealed' | 'fileOf' | 'hash' | 'suspect'>;

export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #files: SegmentedFile;
  readonly #checkpoint: Checkpointer;
  readonly #queue = new AppendQueue();
  readonly #failed = Promise.withResolvers<Error>();
  /** The first of the entries that were lost right before the file that grows. */
  #lostFrom: number | undefined;
  #isLinked = false;
  #failure: Error | undefined;
  #onDurable: ((batch: DurableBatch) => void) | undefined;
  #state: LogState = 'open';
  #reason: string | undefined;
  #head: Head;
  #writing: Promise<void> | undefined;
  #probing: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  /** Entries of the log's own that were refused: they are written when the log takes entries again. */
  #unrecorded: (readonly Draft[])[] = [];
  #blocked: { readonly since: string; readonly code: string; refused: number } | undefined;

  private constructor(options: AuditLogOptions, files: SegmentedFile) {
    this.#options = options;
    this.#files = files;
    this.#head = options.recovered.head;
    const beside = options.beside ?? options.path;
    this.#checkpoint = new Checkpointer(
      beside,
      options.hash,
      (path) => this.#aside('replaced', path),
      new PostureSigner(beside, options.hash, options.holdersAt ?? (() => undefined)),
    );
    if (options.recovered.damage !== undefined) this.#setDamaged(options.recovered.damage);
  }

  /** Opens a log after `recoverLog`. It can be read at once, and written after `start`. */
  static open(options: AuditLogOptions): AuditLog {
    return new AuditLog(options, SegmentedFile.open(options.path, options.recovered));
  }

  /**
   * Starts to take entries.
   * @param onDurable called with each batch in order, when it is on disk and before its appends resolve; must not throw
   */
  start(onDurable: (batch: DurableBatch) => void): void {
    this.#onDurable = onDurable;
  }

  /** Resolves with the error when a sync has failed: the process must end with a non-zero code. */
  get failed(): Promise<Error> {
    return this.#failed.promise;
  }

  /** The error of a failed sync. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get status(): LogStatus {
    const status = {
      state: this.#state,
      writable: this.#state === 'open',
      entries: this.#head.entries,
      last_hash: this.#head.hash,
      waiting: this.#queue.entries,
      bytes: this.#files.size,
      segments: this.#files.sealed.length + 1,
      links: this.#files.links,
      algorithm: this.#options.hash.algorithm,
    };
    return this.#reason === undefined ? status : { ...status, reason: this.#reason };
  }

  /** The hash that chains the entries. */
  get hash(): ChainHash {
    return this.#options.hash;
  }

  /** The sealed segments, oldest first. */
  get sealed(): readonly SealedSegment[] {
    return this.#files.sealed;
  }

  /**
   * The file that holds an entry, with the `seq` of the file's first entry. For an entry not in the log: another file.
   */
  fileOf(seq: number): SealedSegment {
    return this.#files.holderOf(seq);
  }

  /** Whether the file at the log's path is the one that is written, as long as it has to be. */
  get isInPlace(): boolean {
    return this.#writing !== undefined || this.#files.displacement(0) === undefined;
  }

  /** Refuses everything from now on: the log is not what was written. */
  markDamaged(damage: Damage): void {
    this.#setDamaged(damage);
    markDamage(this.#options.beside ?? this.#options.path, damage);
  }

  #setDamaged({ file, line, reason }: Damage): void {
    this.#state = 'damaged';
    this.#reason = `the audit log is damaged (${file}, line ${line}): ${reason}`;
  }

  /**
   * Takes note of what a reader has found. The log is damaged, unless its file was taken away just now: then it is put
   * back first, and damage that is left is found again.
   */
  suspect(damage: Damage): void {
    if (this.#state !== 'open' && this.#state !== 'blocked') return;
    const isGrowing = damage.file === basename(this.#options.path);
    if (isGrowing && this.#files.displacement(0) !== undefined) return;
    this.markDamaged(damage);
    this.#options.onDamage?.(damage);
  }

  /** Forgets sealed segments that were moved away. */
  forget(segments: readonly SealedSegment[]): void {
    this.#files.forget(segments);
  }

  /**
   * Appends entries that belong together: all of them or none.
   * @returns the entries with their places in the log, when they are on disk
   * @throws RecorderError `log_unavailable`, `overloaded`, `too_large` or `stopping`; nothing was appended then
   */
  append(drafts: readonly Draft[]): Promise<readonly StoredEntry[]> {
    if (this.#onDurable === undefined) {
      return Promise.reject(new RecorderError('log_unavailable', 'the audit log takes no entries yet'));
    }
    if (this.#state !== 'open') {
      if (this.#blocked !== undefined) this.#blocked.refused += 1;
      return Promise.reject(this.#refusal());
    }
    return this.#enqueue(drafts);
  }

  /** Runs `betweenBatches` when no batch is being written: those that come wait for it. It runs after each anyway. */
  async pause(): Promise<void> {
    if (this.#state !== 'open' || this.#writing !== undefined) return;
    await (this.#writing = this.#pause());
  }

  async #pause(): Promise<void> {
    await this.#options.betweenBatches?.();
    if (this.#queue.isEmpty) this.#writing = undefined;
    else await this.#writeBatches();
  }

  /**
   * Looks whether the files are as they were written, and mends them; tries to resume a blocked log. To be called every
   * second. Cheap when there is nothing to do. Never rejects.
   */
  async probe(): Promise<void> {
    // A batch that was just answered for is not quite done.
    await new Promise(setImmediate);
    if (this.#state === 'open' && this.#onDurable !== undefined) {
      this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
      await this.#looking;
    }
    if (this.#state !== 'blocked' || this.#writing !== undefined) return;
    this.#probing ??= this.#probe().finally(() => (this.#probing = undefined));
    await this.#probing;
  }

  async #look(): Promise<void> {
    if (this.#writing === undefined) {
      const { changed } = this.#files;
      if (this.#files.displacement(0) !== undefined) await (this.#writing = this.#writeBatches());
      else if (changed !== undefined && changed !== this.#files.changed) this.#options.onTouched?.();
    }
    await this.#lookAtCheckpoint();
    this.#lookAtSealed();
    this.#lookAtLinks();
  }

  /** Reports sealed segments that are not there any more, or are other files now. */
  #lookAtSealed(): void {
    const found = this.#files.lookAtSealed();
    if (found.length === 0) return;
    // What was changed is read as soon as possible.
    this.#options.onTouched?.();
    const missing = new Set(found.filter(({ what }) => what === 'missing').map(({ segment }) => segment));
    for (const finding of missingIn([...this.sealed, this.fileOf(Infinity)], missing)) this.#options.onFound?.(finding);
    for (const { segment, what } of found) {
      if (what !== 'replaced') continue;
      const detail = `the sealed file ${basename(segment.path)} was changed or replaced while the recorder ran`;
      this.#options.onFound?.({ name: 'segment_replaced', detail });
    }
  }

  #lookAtLinks(): void {
    const isLinked = this.#files.links > 1;
    if (isLinked && !this.#isLinked) {
      const detail = `the file of the log was given a second name (a hard link): whoever made it can write the file`;
      this.#options.onFound?.({ name: 'log_linked', detail });
    }
    this.#isLinked = isLinked;
  }

  async #probe(): Promise<void> {
    const blocked = this.#blocked!;
    try {
      await this.#files.cutBack();
      if (blocked.code === 'ENOSPC' || blocked.code === 'EDQUOT') {
        const { bavail, bsize } = await statfs(dirname(this.#options.path));
        if (bavail * bsize < ROOM_TO_RESUME) return;
      }
    } catch {
      return;
    }
    // The log may have been closed meanwhile.
    if (this.#state !== 'blocked') return;
    const { since, refused } = blocked;
    await this.#enqueue([
      {
        timestamp: timestamp(this.#options.clock.now()),
        event: 'log.resumed',
        data: { blocked_since: since, reason: this.#reason ?? '', refused },
      },
    ]).catch(() => {});
  }

  /** Writes the waiting entries and a checkpoint, then closes the file. Later appends are refused. */
  async close(): Promise<void> {
    const wasOpen = this.#state === 'open' && this.#onDurable !== undefined;
    if (this.#state === 'open' || this.#state === 'blocked') this.#state = 'closed';
    // The descriptor must stay open while another thread works on the file.
    await this.#probing;
    await this.#looking;
    await this.#writing;
    // The next start would find what is wrong with the files, but no longer what they held.
    if (wasOpen) await this.#look();
    if (this.#state === 'closed') await this.#checkpoint.close(this.#head);
    this.#files.close();
  }

  #enqueue(drafts: readonly Draft[]): Promise<readonly StoredEntry[]> {
    const appended = this.#queue.add(drafts, this.#options.clock.monotonic());
    if (!this.#queue.isEmpty) this.#writing ??= this.#writeBatches();
    return appended;
  }

  async #writeBatches(): Promise<void> {
    // Appends of the same turn of the event loop share the first batch.
    await new Promise(setImmediate);
    // A batch looks at the file itself.
    let goesOn = !this.#queue.isEmpty || (await this.#mend());
    while (goesOn && !this.#queue.isEmpty) {
      const batch = this.#queue.nextBatch(this.#head, this.#files.size, this.#options.hash);
      if (batch === undefined) continue;
      goesOn = (await this.#write(batch)) && (await this.#sealWhenFull());
    }
    this.#writing = undefined;
  }

  /** Writes a batch. Returns false when the log takes no more for now: everything that waited was refused. */
  async #write(batch: Batch): Promise<boolean> {
    try {
      await this.#files.write(batch.bytes);
    } catch (error) {
      await this.#block(error as NodeJS.ErrnoException, batch);
      return false;
    }
    const written = this.#options.clock.monotonic();
    try {
      await this.#files.sync();
    } catch (error) {
      await this.#fail(error as NodeJS.ErrnoException, batch);
      return false;
    }
    if (this.#files.displacement(batch.bytes.length) !== undefined) return this.#mend(batch, written);
    await this.#commit(batch, written);
    return true;
  }

  /**
   * Mends the file at the log's path. A batch that was written to it is kept, or written to the new file.
   * @param written when the batch was written, by the monotonic clock
   * @returns false when it can't be mended for now: everything that waited was refused
   */
  async #mend(batch?: Batch, written = this.#options.clock.monotonic()): Promise<boolean> {
    const bytes = batch?.bytes ?? Buffer.alloc(0);
    try {
      for (let attempt = 1; ; attempt++) {
        const found = this.#files.displacement(bytes.length);
        if (found === undefined) break;
        if (found === 'truncated') return await this.#startOver(batch, written);
        if (attempt > MOST_RESTORES) throw new Error('its file is taken away again and again');
        const keptAs = await this.#files.restore(bytes, this.#aside('replaced'));
        this.#recordFirst(this.#restored(basename(this.#options.path), found, keptAs));
      }
    } catch (error) {
      await this.#block(error as NodeJS.ErrnoException, batch);
      return false;
    }
    if (batch !== undefined) await this.#commit(batch, written);
    return true;
  }

  /** Continues in a new file, which begins with what was lost, and goes on with the batch. Throws without room. */
  async #startOver(batch: Batch | undefined, written: number): Promise<boolean> {
    const { entries: last_seq, hash: last_hash } = this.#head;
    // The entry about an earlier loss is lost as well.
    const first_seq = this.#lostFrom ?? this.#files.first;
    const aside = this.#aside('truncated');
    const kept_as = aside === undefined ? {} : { kept_as: basename(aside) };
    const found_at = this.#now();
    const range = { first_seq, last_seq };
    const detail =
      `the file of the log was cut while it was written: ${entriesIn(first_seq, last_seq)} are lost, ` +
      `what is left of them ${aside === undefined ? 'was not kept' : `is in ${basename(aside)}`}`;
    if (batch !== undefined) this.#queue.putFirst(batch.appends);
    // When these are refused, the loss is found again.
    this.#recordFirst(
      [
        { timestamp: found_at, event: 'log.lost', data: { ...range, last_hash, found_at, ...kept_as } },
        ...this.#draftsOf({ name: 'entries_lost', detail, range }),
      ],
      () => {},
    );
    const begun = this.#queue.nextBatch(this.#head, 0, this.#options.hash)!;
    try {
      await this.#files.startOver(begun.bytes, last_seq + 1, aside);
      this.#lostFrom = first_seq;
    } catch (error) {
      await this.#block(error as NodeJS.ErrnoException, begun);
      return false;
    }
    await this.#commit(begun, written);
    return true;
  }

  async #lookAtCheckpoint(): Promise<void> {
    const fault = await this.#checkpoint.look(() => this.#head);
    if (fault === undefined || this.#state === 'failed' || this.#state === 'damaged') return;
    this.#recordFirst(this.#restored(basename(checkpointPath(this.#options.path)), fault.how, fault.keptAs));
    await (this.#writing ??= this.#writeBatches());
  }

  /** The entries that say that a file was put back. */
  #restored(file: string, how: Exclude<Displacement, 'truncated'>, keptAs: string | undefined): readonly Draft[] {
    const kept =
      how === 'removed' ? '' : `; what was in its place ${keptAs === undefined ? 'was not kept' : `is in ${keptAs}`}`;
    const detail = `${file} was ${HOW[how]} while the recorder ran, and was put back${kept}`;
    const what = file === basename(this.#options.path) ? 'log' : 'checkpoint';
    const name =
      what === 'log' ? (`log_${how}` as const) : how === 'removed' ? 'checkpoint_removed' : 'checkpoint_replaced';
    const kept_as = keptAs === undefined ? {} : { kept_as: keptAs };
    const data = { file, how, ...kept_as, through_seq: this.#head.entries };
    return [{ timestamp: this.#now(), event: 'log.restored', data }, ...this.#draftsOf({ name, detail })];
  }

  #draftsOf(finding: Finding): readonly Draft[] {
    return (this.#options.draftsOf ?? draftsOf)(finding, this.#now());
  }

  /** Puts entries of the log's own before all that waits. When they are refused they are written later. */
  #recordFirst(drafts: readonly Draft[], refuse = () => void this.#unrecorded.push(drafts)): void {
    const since = this.#options.clock.monotonic();
    this.#queue.putFirst([{ drafts, since, fulfil: () => {}, refuse }]);
  }

  #now(): string {
    return timestamp(this.#options.clock.now());
  }

  /** The path for a file that was found in the place of another; undefined when it is not kept. */
  #aside(what: 'replaced' | 'truncated', path = this.#options.path): string | undefined {
    return pathToKeep(path, what, this.#now());
  }

  /** @param written when the batch was written, by the monotonic clock */
  async #commit(batch: Batch, written: number): Promise<void> {
    const synced = this.#options.clock.monotonic();
    this.#head = batch.head;
    this.#files.keep(batch.bytes.length);
    if (this.#state === 'blocked') {
      this.#state = 'open';
      this.#blocked = undefined;
      this.#reason = undefined;
    }
    if (this.#unrecorded.length > 0) for (const drafts of this.#unrecorded.splice(0)) this.#recordFirst(drafts);
    const waits = batch.appends.map(({ since }) => synced - since);
    this.#onDurable?.({ entries: batch.entries, written: batch.bytes, sync: synced - written, waits });
    let first = 0;
    for (const { drafts, fulfil } of batch.appends) {
      fulfil(batch.entries.slice(first, first + drafts.length));
      first += drafts.length;
    }
    this.#checkpoint.schedule(() => this.#head);
    await this.#options.betweenBatches?.();
  }

  /** Seals a file that is full. Returns false when that may not be on disk: everything that waited was refused. */
  async #sealWhenFull(): Promise<boolean> {
    if (this.#files.size < this.#options.segmentBytes) return true;
    try {
      await this.#checkpoint.write(this.#head);
    } catch {
      return true;
    }
    try {
      await this.#files.seal(this.#head.entries + 1);
      this.#lostFrom = undefined;
      return true;
    } catch (error) {
      await this.#fail(error as NodeJS.ErrnoException);
      return false;
    }
  }

  async #block(error: NodeJS.ErrnoException, batch?: Batch): Promise<void> {
    const { clock } = this.#options;
    const code = error.code ?? error.message;
    this.#blocked ??= { since: timestamp(clock.now()), code, refused: 0 };
    this.#reason = `the audit log can't be written: ${code}`;
    if (this.#state === 'open') this.#state = 'blocked';
    // If this fails too, the next probe cuts back before it writes.
    await this.#files.cutBack().catch(() => {});
    this.#refuseAll(batch, error);
  }

  async #fail(error: NodeJS.ErrnoException, batch?: Batch): Promise<void> {
    this.#state = 'failed';
    const code = error.code ?? error.message;
    this.#reason = `the audit log could not be synced (${code})`;
    // The next start must not find the refused entries. It can only if the power fails before this reaches the disk.
    await this.#files.cutBack().catch(() => {});
    this.#refuseAll(batch, error);
    this.#failure = error;
    this.#failed.resolve(error);
  }

  #refuseAll(batch: Batch | undefined, cause: unknown): void {
    const refused = [...(batch?.appends ?? []), ...this.#queue.takeAll()];
    if (this.#blocked !== undefined) this.#blocked.refused += refused.length;
    for (const { refuse } of refused) refuse(this.#refusal(cause));
  }

  #refusal(cause?: unknown): RecorderError {
    const code: ErrorCode = this.#state === 'closed' ? 'stopping' : 'log_unavailable';
    const message =
      this.#state === 'closed' ? 'the service is stopping' : (this.#reason ?? 'the audit log is not open');
    return new RecorderError(code, message, { cause });
  }
}

const HOW = { removed: 'removed', replaced: 'replaced', extended: 'added to by somebody else' } as const;
