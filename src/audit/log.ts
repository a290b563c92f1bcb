/**
 * The audit log as it is written: append-only, chained, durable.
 *
 * Entries wait in a queue. One batch at a time is taken from its front, chained, written, and synced with a single
 * asynchronous `fdatasync`; what arrives meanwhile makes the next batch, so many appends share one sync and none waits
 * for a timer. Only when the sync has returned are the entries handed on (`onDurable`) and their appends fulfilled.
 *
 * States:
 * - `open`: entries are taken.
 * - `blocked`: a write failed (no room, a size limit). The batch and all that waits is refused, the file is cut back to
 *   its last whole entry, and entries are refused at once. `probe()`, called every second or so, appends a
 *   `log.resumed` entry as soon as that succeeds; then it is `open` again.
 * - `failed`: a sync failed. The kernel has dropped the pages and calls them clean, so trying again would lie: all is
 *   refused for good, the batch is cut off, and `onFailed` ends the process. The next start writes the tail again.
 * - `damaged`: recovery found that the log is not what was written. Nothing is taken until a person has looked.
 * - `closed`: after `close()`.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, statfs } from 'node:fs/promises';
import { type Clock, timestamp } from '../clock.ts';
import { type ErrorCode, RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { Checkpointer } from './checkpoint.ts';
import { syncDirectoryOf } from './durable-file.ts';
import { chainEntry, type Draft, type Head, MAX_ENTRY_BYTES, type StoredEntry } from './entry.ts';
import { MAX_BATCH_BYTES, nextPath, type Recovered } from './recovery.ts';
import { sealedPath, type SealedSegment } from './segments.ts';
import type { Damage } from './walk.ts';

/** The most entries that may wait for their batch; beyond it appends are refused as overload. */
const MAX_WAITING = 2048;
/** Room that must be there again, in bytes, before a full disk is tried anew. */
const ROOM_TO_RESUME = 64 * 1024;

export type LogState = 'open' | 'blocked' | 'failed' | 'damaged' | 'closed';

export interface LogStatus {
  readonly state: LogState;
  readonly writable: boolean;
  /** Why it can't be written, when it can't. */
  readonly reason?: string;
  readonly entries: number;
  readonly last_hash: string;
  /** The size of the file that is being written. */
  readonly bytes: number;
  /** How many files make up the log. */
  readonly segments: number;
  readonly algorithm: string;
}

export interface AuditLogParts {
  readonly path: string;
  readonly hash: ChainHash;
  readonly clock: Clock;
  readonly recovered: Recovered;
  /** The size in bytes at which the file is sealed and the log goes on in another. */
  readonly segmentBytes: number;
  /**
   * Takes entries that are on disk, in order, before their appends are fulfilled; `written` are their lines. Must not
   * throw.
   */
  readonly onDurable: (entries: readonly StoredEntry[], written: Buffer) => void;
  /** Awaited after each batch, when its appends are fulfilled and before the next is written. Must not reject. */
  readonly betweenBatches?: () => Promise<void>;
  /** Told once when a sync has failed: the process must end, non-zero. */
  readonly onFailed: (error: Error) => void;
}

interface Append {
  readonly drafts: readonly Draft[];
  readonly fulfil: (entries: readonly StoredEntry[]) => void;
  readonly refuse: (error: RecorderError) => void;
}

interface Batch {
  readonly appends: readonly Append[];
  readonly entries: readonly StoredEntry[];
  readonly bytes: Buffer;
  readonly head: Head;
}

export class AuditLog {
  readonly #parts: AuditLogParts;
  /** Not open when the log is damaged: it is not to be written. */
  #file: FileHandle | undefined;
  readonly #checkpoint: Checkpointer;
  #state: LogState;
  #reason: string | undefined;
  #head: Head;
  #first: number;
  #size: number;
  #sealed: readonly SealedSegment[];
  #waiting: Append[] = [];
  #waitingEntries = 0;
  #writing: Promise<void> | undefined;
  #probing = false;
  #blocked: { readonly since: string; readonly code: string; refused: number } | undefined;

  private constructor(parts: AuditLogParts, file: FileHandle | undefined) {
    const { recovered } = parts;
    this.#parts = parts;
    this.#file = file;
    this.#head = recovered.head;
    this.#first = recovered.first;
    this.#size = recovered.size;
    this.#sealed = recovered.sealed;
    this.#state = 'open';
    if (recovered.damage !== undefined) this.markDamaged(recovered.damage);
    this.#checkpoint = new Checkpointer(parts.path, parts.hash);
  }

  /** Opens a log that `recoverLog` has made ready. */
  static async open(parts: AuditLogParts): Promise<AuditLog> {
    if (parts.recovered.damage !== undefined) return new AuditLog(parts, undefined);
    return new AuditLog(parts, await open(parts.path, constants.O_WRONLY | constants.O_APPEND));
  }

  get status(): LogStatus {
    const status = {
      state: this.#state,
      writable: this.#state === 'open',
      entries: this.#head.entries,
      last_hash: this.#head.hash,
      bytes: this.#size,
      segments: this.#sealed.length + 1,
      algorithm: this.#parts.hash.algorithm,
    };
    return this.#reason === undefined ? status : { ...status, reason: this.#reason };
  }

  /** The sealed segments, oldest first. */
  get sealed(): readonly SealedSegment[] {
    return this.#sealed;
  }

  /** The file that holds an entry, and the `seq` of the first entry in it. */
  fileOf(seq: number): SealedSegment {
    const holder = seq < this.#first ? this.#sealed.findLast(({ first }) => first <= seq) : undefined;
    return holder ?? { path: this.#parts.path, first: this.#first };
  }

  /** Nothing is taken any more: the log was found not to be what was written. */
  markDamaged({ file, line, reason }: Damage): void {
    this.#state = 'damaged';
    this.#reason = `the audit log is damaged (${file}, line ${line}): ${reason}`;
  }

  /** Forgets sealed segments that were moved away. */
  forget(segments: readonly SealedSegment[]): void {
    this.#sealed = this.#sealed.filter((segment) => !segments.includes(segment));
  }

  /**
   * Appends entries that belong together, all or none of them.
   * @returns the entries as they stand in the log, once they are on disk
   * @throws RecorderError `log_unavailable`, `overloaded`, `too_large` or `stopping`; nothing was appended then
   */
  append(drafts: readonly Draft[]): Promise<readonly StoredEntry[]> {
    if (this.#state !== 'open') {
      if (this.#blocked !== undefined) this.#blocked.refused += 1;
      return Promise.reject(this.#refusal());
    }
    return this.#enqueue(drafts);
  }

  /** Tries whether a blocked log can be written again. Cheap when it is not blocked. */
  async probe(): Promise<void> {
    const blocked = this.#blocked;
    if (this.#state !== 'blocked' || blocked === undefined || this.#probing || this.#writing !== undefined) return;
    this.#probing = true;
    try {
      await this.#file?.truncate(this.#size);
      if (blocked.code === 'ENOSPC' || blocked.code === 'EDQUOT') {
        const { bavail, bsize } = await statfs(this.#parts.path);
        if (bavail * bsize < ROOM_TO_RESUME) return;
      }
    } catch {
      return;
    } finally {
      this.#probing = false;
    }
    const { since, refused } = blocked;
    await this.#enqueue([
      {
        timestamp: timestamp(this.#parts.clock.now()),
        event: 'log.resumed',
        data: { blocked_since: since, reason: this.#reason ?? '', refused },
      },
    ]).catch(() => {});
  }

  /** Writes what waits, leaves a checkpoint and closes the file. Later appends are refused. */
  async close(): Promise<void> {
    if (this.#state === 'open' || this.#state === 'blocked') this.#state = 'closed';
    await this.#writing;
    if (this.#state === 'closed') await this.#checkpoint.close(this.#head);
    await this.#file?.close();
  }

  #enqueue(drafts: readonly Draft[]): Promise<readonly StoredEntry[]> {
    if (this.#waitingEntries + drafts.length > MAX_WAITING) {
      return Promise.reject(new RecorderError('overloaded', 'too many entries wait to be written; try again'));
    }
    return new Promise((fulfil, refuse) => {
      this.#waiting.push({ drafts, fulfil, refuse });
      this.#waitingEntries += drafts.length;
      this.#writing ??= this.#writeBatches();
    });
  }

  async #writeBatches(): Promise<void> {
    // What arrives in the same turn of the event loop shares the first batch.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      if (batch === undefined) continue;
      try {
        await this.#write(batch.bytes);
      } catch (error) {
        await this.#block(error as NodeJS.ErrnoException, batch);
        break;
      }
      try {
        await this.#file!.datasync();
      } catch (error) {
        await this.#fail(error as NodeJS.ErrnoException, batch);
        break;
      }
      this.#commit(batch);
      await this.#parts.betweenBatches?.();
      if (this.#size >= this.#parts.segmentBytes) await this.#seal();
    }
    this.#writing = undefined;
  }

  /** Takes appends from the front of the queue up to the size of a batch and chains their entries. */
  #nextBatch(): Batch | undefined {
    const lines: string[] = [];
    const entries: StoredEntry[] = [];
    const appends: Append[] = [];
    let head = this.#head;
    let size = 0;
    while (this.#waiting.length > 0) {
      const append = this.#waiting[0]!;
      const chained = chainAll(append.drafts, head, this.#size + size, this.#parts.hash);
      const fits = chained.entries.every(({ length }) => length <= MAX_ENTRY_BYTES);
      if (fits && size > 0 && size + chained.bytes > MAX_BATCH_BYTES) break;
      this.#waiting.shift();
      this.#waitingEntries -= append.drafts.length;
      if (!fits) {
        append.refuse(new RecorderError('too_large', `the entry would be longer than ${MAX_ENTRY_BYTES} bytes`));
        continue;
      }
      appends.push(append);
      lines.push(...chained.lines);
      entries.push(...chained.entries);
      head = chained.head;
      size += chained.bytes;
    }
    return appends.length === 0 ? undefined : { appends, entries, bytes: Buffer.from(lines.join('')), head };
  }

  /** A write may take fewer bytes than it was given and say why only at the next one. */
  async #write(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += (await this.#file!.write(bytes, done, bytes.length - done)).bytesWritten;
    }
  }

  #commit(batch: Batch): void {
    this.#head = batch.head;
    this.#size += batch.bytes.length;
    if (this.#state === 'blocked') {
      this.#state = 'open';
      this.#blocked = undefined;
      this.#reason = undefined;
    }
    this.#parts.onDurable(batch.entries, batch.bytes);
    let first = 0;
    for (const { drafts, fulfil } of batch.appends) {
      fulfil(batch.entries.slice(first, first + drafts.length));
      first += drafts.length;
    }
    this.#checkpoint.due(() => this.#head);
  }

  /**
   * Seals the file and goes on in a new one. When there is no room for that now the log goes on as it is, and the next
   * batch tries again.
   */
  async #seal(): Promise<void> {
    const { path } = this.#parts;
    const next = nextPath(path);
    const segment: SealedSegment = { path: sealedPath(path, this.#first), first: this.#first };
    let file: FileHandle | undefined;
    try {
      await this.#checkpoint.write(this.#head);
      await rm(next, { force: true });
      file = await open(next, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL, 0o640);
      await rename(path, segment.path);
      await rename(next, path).catch(async (error: unknown) => {
        await rename(segment.path, path);
        throw error;
      });
    } catch {
      await file?.close();
      return;
    }
    await syncDirectoryOf(path);
    await this.#file?.close();
    this.#file = file;
    this.#sealed = [...this.#sealed, segment];
    this.#first = this.#head.entries + 1;
    this.#size = 0;
  }

  async #block(error: NodeJS.ErrnoException, batch: Batch): Promise<void> {
    const { clock } = this.#parts;
    const code = error.code ?? error.message;
    this.#blocked ??= { since: timestamp(clock.now()), code, refused: 0 };
    this.#reason = `the audit log can't be written: ${code}`;
    if (this.#state === 'open') this.#state = 'blocked';
    // Should this fail as well, the next probe cuts back before it writes.
    await this.#file?.truncate(this.#size).catch(() => {});
    this.#refuseAll(batch, error);
  }

  async #fail(error: NodeJS.ErrnoException, batch: Batch): Promise<void> {
    this.#state = 'failed';
    const code = error.code ?? error.message;
    this.#reason = `the audit log could not be synced (${code})`;
    // What is refused shall not be found by the next start, unless the power fails before this reaches the disk.
    await this.#file?.truncate(this.#size).catch(() => {});
    this.#refuseAll(batch, error);
    this.#parts.onFailed(error);
  }

  #refuseAll(batch: Batch, cause: unknown): void {
    const refused = [...batch.appends, ...this.#waiting];
    this.#waiting = [];
    this.#waitingEntries = 0;
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

function chainAll(drafts: readonly Draft[], from: Head, offset: number, hash: ChainHash) {
  const lines: string[] = [];
  const entries: StoredEntry[] = [];
  let head = from;
  let bytes = 0;
  for (const draft of drafts) {
    const { entry, line } = chainEntry(draft, head, hash);
    const length = Buffer.byteLength(line);
    lines.push(line);
    entries.push({ ...entry, offset: offset + bytes, length });
    head = { entries: entry.data.seq, hash: entry.entry_hash };
    bytes += length;
  }
  return { lines, entries, head, bytes };
}
