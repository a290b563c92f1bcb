/**
 * The files of the log while it is written: sealed segments, and the file at the log's path, which grows. Bytes that
 * were written count only after `keep`, which the caller calls when they are synced. Until then `cutBack` removes them.
 */
import { closeSync, constants, ftruncate, openSync, renameSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { openDirectoryOf, syncData, syncFile, writeAll } from '../durable-file.ts';
import { nextPath, type Recovered } from './recovery.ts';
import { sealedPath, type SealedSegment } from './segments.ts';

const truncate = promisify(ftruncate);

const TO_APPEND = constants.O_WRONLY | constants.O_APPEND;

export class SegmentedFile {
  readonly path: string;
  /** The descriptor of the file at `path`; undefined when the log is damaged and must not be written. */
  #file: number | undefined;
  #first: number;
  #size: number;
  #sealed: readonly SealedSegment[];

  private constructor(path: string, { first, size, sealed }: Recovered, file: number | undefined) {
    this.path = path;
    this.#file = file;
    this.#first = first;
    this.#size = size;
    this.#sealed = sealed;
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
    if (this.#file !== undefined) await truncate(this.#file, this.#size);
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
      this.#sealed = [...this.#sealed, segment];
      this.#first = first;
      this.#size = 0;
      return true;
    } catch {
      if (file !== undefined) closeSync(file);
      return false;
    }
  }
}
