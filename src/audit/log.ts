/**
 * Writes the audit log: append-only, chained, durable (format: entry.ts).
 *
 * Entries wait in a queue. The log takes one batch at a time from its front, chains it, writes it and syncs it with one
 * asynchronous `fdatasync`. Entries that arrive meanwhile form the next batch. So many appends share one sync, and none
 * waits for a timer. When the sync has returned, `onDurable` gets the batch; then its appends resolve.
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
import { statfs } from 'node:fs/promises';
import { type Clock, timestamp } from '../clock.ts';
import { type ErrorCode, RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { Checkpointer } from './checkpoint.ts';
import type { Head } from './entry.ts';
import type { Recovered } from './recovery.ts';
import { SegmentedFile } from './segmented-file.ts';
import type { SealedSegment } from './segments.ts';
import { type Batch, AppendQueue } from './append-queue.ts';
import type { Damage } from './verify-chain.ts';
import type { Draft, StoredEntry } from '../domain/entries.ts';

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
  readonly hash: ChainHash;
  readonly clock: Clock;
  readonly recovered: Recovered;
  /** The size in bytes at which the file is sealed and the log continues in a new one. */
  readonly segmentBytes: number;
  /** Awaited after each batch, when its appends have resolved and before the next is written. Must not reject. */
  readonly betweenBatches?: () => Promise<void>;
}

export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #files: SegmentedFile;
  readonly #checkpoint: Checkpointer;
  readonly #queue = new AppendQueue();
  readonly #failed = Promise.withResolvers<Error>();
  #failure: Error | undefined;
  #onDurable: ((batch: DurableBatch) => void) | undefined;
  #state: LogState = 'open';
  #reason: string | undefined;
  #head: Head;
  #writing: Promise<void> | undefined;
  #probing: Promise<void> | undefined;
  #blocked: { readonly since: string; readonly code: string; refused: number } | undefined;

  private constructor(options: AuditLogOptions, files: SegmentedFile) {
    this.#options = options;
    this.#files = files;
    this.#head = options.recovered.head;
    this.#checkpoint = new Checkpointer(options.path, options.hash);
    if (options.recovered.damage !== undefined) this.markDamaged(options.recovered.damage);
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

  /** Refuses everything from now on: the log is not what was written. */
  markDamaged({ file, line, reason }: Damage): void {
    this.#state = 'damaged';
    this.#reason = `the audit log is damaged (${file}, line ${line}): ${reason}`;
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

  /** Tries to resume a blocked log. Cheap when the log is not blocked. */
  async probe(): Promise<void> {
    if (this.#state !== 'blocked' || this.#writing !== undefined) return;
    this.#probing ??= this.#probe().finally(() => (this.#probing = undefined));
    await this.#probing;
  }

  async #probe(): Promise<void> {
    const blocked = this.#blocked!;
    try {
      await this.#files.cutBack();
      if (blocked.code === 'ENOSPC' || blocked.code === 'EDQUOT') {
        const { bavail, bsize } = await statfs(this.#options.path);
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
    if (this.#state === 'open' || this.#state === 'blocked') this.#state = 'closed';
    // The descriptor must stay open while another thread works on the file.
    await this.#probing;
    await this.#writing;
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
    while (!this.#queue.isEmpty) {
      const batch = this.#queue.nextBatch(this.#head, this.#files.size, this.#options.hash);
      if (batch === undefined) continue;
      try {
        await this.#files.write(batch.bytes);
      } catch (error) {
        await this.#block(error as NodeJS.ErrnoException, batch);
        break;
      }
      const written = this.#options.clock.monotonic();
      try {
        await this.#files.sync();
      } catch (error) {
        await this.#fail(error as NodeJS.ErrnoException, batch);
        break;
      }
      this.#commit(batch, written);
      await this.#options.betweenBatches?.();
      if (this.#files.size < this.#options.segmentBytes) continue;
      try {
        await this.#seal();
      } catch (error) {
        await this.#fail(error as NodeJS.ErrnoException);
        break;
      }
    }
    this.#writing = undefined;
  }

  /** @param written when the batch was written, by the monotonic clock */
  #commit(batch: Batch, written: number): void {
    const synced = this.#options.clock.monotonic();
    this.#head = batch.head;
    this.#files.keep(batch.bytes.length);
    if (this.#state === 'blocked') {
      this.#state = 'open';
      this.#blocked = undefined;
      this.#reason = undefined;
    }
    const waits = batch.appends.map(({ since }) => synced - since);
    this.#onDurable?.({ entries: batch.entries, written: batch.bytes, sync: synced - written, waits });
    let first = 0;
    for (const { drafts, fulfil } of batch.appends) {
      fulfil(batch.entries.slice(first, first + drafts.length));
      first += drafts.length;
    }
    this.#checkpoint.schedule(() => this.#head);
  }

  /** Seals the file. Throws when the change may not be on disk. */
  async #seal(): Promise<void> {
    try {
      await this.#checkpoint.write(this.#head);
    } catch {
      return;
    }
    await this.#files.seal(this.#head.entries + 1);
  }

  async #block(error: NodeJS.ErrnoException, batch: Batch): Promise<void> {
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
