/**
 * The files of the log while it is written: sealed segments, and the file at the log's path, which grows. Bytes that
 * were written count only after `keep`, which the caller calls when they are synced. Until then `cutBack` removes them.
 *
 * Whoever may write in the directory can take the file away, or cut it. `displacement` compares what is at the path with
 * what was written; `restore` copies it back from the open descriptor, which still holds it.
 */
import { closeSync, constants, fstatSync, ftruncate, lstatSync, openSync, read, renameSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { openDirectoryOf, syncData, syncDirectoryOf, syncFile, writeAll } from '../durable-file.ts';
import { nextPath, type Recovered } from './recovery.ts';
import { SealedWatch } from './sealed-watch.ts';
import { keep } from './kept-copies.ts';
import { sealedPath, type SealedSegment } from './segments.ts';

const truncate = promisify(ftruncate);

const readSome = promisify(read);

/** Readable as well: when the file was removed, only the descriptor still reaches what it holds. */
const TO_APPEND = constants.O_RDWR | constants.O_APPEND;

const COPIED_BYTES = 1024 * 1024;

/** How the file at the log's path differs from the one that is written. */
export type Displacement = 'removed' | 'replaced' | 'extended' | 'truncated';

/** What identifies a file. */
interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

const NOT_THERE = { throwIfNoEntry: false } as const;

export class SegmentedFile {
  readonly path: string;
  /** The descriptor of the file at `path`; undefined when the log is damaged and must not be written. */
  #file: number | undefined;
  #first: number;
  #size: number;
  #sealed: readonly SealedSegment[];
  #identity: FileIdentity | undefined;
  readonly #watch = new SealedWatch();
  #links = 1;
  /** When the file was changed last, as seen after it was written. */
  #changed: number | undefined;

  private constructor(path: string, { first, size, sealed }: Recovered, file: number | undefined) {
    this.path = path;
    this.#file = file;
    this.#first = first;
    this.#size = size;
    this.#sealed = sealed;
    for (const segment of sealed) this.#watch.note(segment);
    this.#identity = file === undefined ? undefined : fstatSync(file);
  }

  /** Opens the files of a log after `recoverLog`. */
  static open(path: string, recovered: Recovered): SegmentedFile {
    const file = recovered.damage === undefined ? openSync(path, TO_APPEND) : undefined;
    return new SegmentedFile(path, recovered, file);
  }

  /** The size in bytes of the file at `path`, without bytes that `keep` has not confirmed. */
  get size(): number {
    return this.#size;
  }

  /** `seq` of the first entry of the file at `path`. */
  get first(): number {
    return this.#first;
  }

  /** How many names the file at `path` had when it was looked at last. */
  get links(): number {
    return this.#links;
  }

  /** When the file at `path` was changed last, when it was looked at last, in milliseconds since the epoch. */
  get changed(): number | undefined {
    return this.#changed;
  }

  /** The sealed segments, oldest first. */
  get sealed(): readonly SealedSegment[] {
    return this.#sealed;
  }

  /**
   * The file that holds an entry, with the `seq` of the file's first entry. For an entry not in the log: another file.
   */
  holderOf(seq: number): SealedSegment {
    const holder = seq < this.#first ? this.#sealed.findLast(({ first }) => first <= seq) : undefined;
    return holder ?? { path: this.path, first: this.#first };
  }

  /** Forgets sealed segments that were moved away. */
  forget(segments: readonly SealedSegment[]): void {
    this.#sealed = this.#sealed.filter((segment) => !segments.includes(segment));
    for (const segment of segments) this.#watch.forget(segment);
  }

  /** Checks that sealed segments are as they were. Cheap: of many it checks some. */
  lookAtSealed(): ReturnType<SealedWatch['look']> {
    return this.#watch.look(this.#sealed);
  }

  /** Writes bytes at the end of the file. */
  write(bytes: Buffer): Promise<void> {
    return writeAll(this.#file!, bytes);
  }

  sync(): Promise<void> {
    return syncData(this.#file!);
  }

  /** Makes the next `bytes` that were written part of the file: they are synced. */
  keep(bytes: number): void {
    this.#size += bytes;
  }

  /** Removes what was written and not kept. */
  async cutBack(): Promise<void> {
    // A file that somebody has cut must not be filled up with zeros.
    if (this.#file !== undefined && fstatSync(this.#file).size > this.#size) await truncate(this.#file, this.#size);
  }

  /**
   * Looks whether the file at `path` is the one that is written, and as long as it has to be. It takes one system call
   * where it is: while the descriptor is open no other file has its inode.
   * @param unkept how many bytes were written and not kept
   * @returns undefined when it is, and when the log is not written
   */
  displacement(unkept: number): Displacement | undefined {
    if (this.#identity === undefined) return undefined;
    const size = this.#size + unkept;
    const found = lstatSync(this.path, NOT_THERE);
    if (found?.ino === this.#identity.ino && found.dev === this.#identity.dev) {
      this.#links = found.nlink;
      this.#changed = found.mtimeMs;
      return lengthFault(found.size, size);
    }
    if (fstatSync(this.#file!).size < size) return 'truncated';
    return found === undefined ? 'removed' : 'replaced';
  }

  /**
   * Puts the file back as it was written: a copy of what the descriptor holds, in a new file.
   * @param unkept the bytes that were written and not kept
   * @param aside the path for what is in its place, if anything is; undefined when that is not kept
   * @returns the name of the file with what was in its place, when it is kept
   * @throws when there is no room; then it is tried again before the next batch
   */
  async restore(unkept: Buffer, aside: string | undefined): Promise<string | undefined> {
    return this.#renew(aside, async (file) => {
      const window = Buffer.allocUnsafe(Math.min(COPIED_BYTES, this.#size));
      for (let position = 0; position < this.#size;) {
        const length = Math.min(window.length, this.#size - position);
        const { bytesRead } = await readSome(this.#file!, window, 0, length, position);
        if (bytesRead === 0) throw new Error('it became shorter while it was copied');
        await writeAll(file, window.subarray(0, bytesRead));
        position += bytesRead;
      }
      await writeAll(file, unkept);
    });
  }

  /**
   * Continues in a new file because the present one was cut. `keep` makes the bytes part of it.
   * @param bytes what the new file begins with
   * @param first the `seq` of its first entry
   * @param aside the path for what is left of the present one; undefined when that is not kept
   * @throws when there is no room; then it is tried again before the next batch
   */
  async startOver(bytes: Buffer, first: number, aside: string | undefined): Promise<void> {
    await this.#renew(aside, (file) => writeAll(file, bytes));
    this.#first = first;
    this.#size = 0;
  }

  /** Puts a new file in the place of the one at `path`. Returns the name of what it keeps of that. */
  async #renew(aside: string | undefined, fill: (file: number) => Promise<void>): Promise<string | undefined> {
    const next = nextPath(this.path);
    rmSync(next, { force: true });
    const file = openSync(next, TO_APPEND | constants.O_CREAT | constants.O_EXCL, 0o640);
    let keptAs: string | undefined;
    try {
      await fill(file);
      await syncFile(file);
      keptAs = keep(this.path, aside);
      renameSync(next, this.path);
    } catch (error) {
      closeSync(file);
      rmSync(next, { force: true });
      throw error;
    }
    closeSync(this.#file!);
    this.#file = file;
    this.#identity = fstatSync(file);
    this.#changed = undefined;
    await syncDirectoryOf(this.path);
    return keptAs;
  }

  /**
   * Seals the file and continues in a new one. Before that, the checkpoint must cover the whole file. When no new file
   * can be made, nothing changes and the next batch tries again: everything is opened before anything is renamed.
   * @param next the `seq` of the new file's first entry
   * @throws when the renames may not be on disk: nothing may be written any more
   */
  async seal(next: number): Promise<void> {
    const segment: SealedSegment = { path: sealedPath(this.path, this.#first), first: this.#first };
    const sealed = this.#file!;
    let directory: number;
    try {
      directory = openDirectoryOf(this.path);
    } catch {
      return;
    }
    try {
      if (!this.#replace(segment, next)) return;
      await syncFile(directory);
    } finally {
      closeSync(directory);
    }
    closeSync(sealed);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /**
   * Renames the file to its sealed name and puts an empty one in its place. Both renames, and the fields that describe
   * them, change in one turn of the event loop: a reader that looked up a file finds it, or looks it up once more.
   * @returns false when there is no room for a new file; nothing has changed then
   */
  #replace(segment: SealedSegment, first: number): boolean {
    const next = nextPath(this.path);
    let file: number | undefined;
    try {
      rmSync(next, { force: true });
      file = openSync(next, TO_APPEND | constants.O_CREAT | constants.O_EXCL, 0o640);
      renameSync(this.path, segment.path);
      try {
        renameSync(next, this.path);
      } catch (error) {
        renameSync(segment.path, this.path);
        throw error;
      }
      this.#file = file;
      this.#identity = fstatSync(file);
      this.#changed = undefined;
      this.#sealed = [...this.#sealed, segment];
      this.#watch.note(segment);
      this.#first = first;
      this.#size = 0;
      return true;
    } catch {
      if (file !== undefined) closeSync(file);
      return false;
    }
  }
}

function lengthFault(found: number, expected: number): Displacement | undefined {
  if (found === expected) return undefined;
  return found < expected ? 'truncated' : 'extended';
}
