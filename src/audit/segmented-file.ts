/**
 * The files of the log as they are written: sealed segments, and the file at the log's path, which grows. What is
 * written counts only once it is synced and `keep` has said so; until then `cutBack` takes it away again.
 */
import { closeSync, constants, ftruncate, openSync, renameSync, rmSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { openDirectoryOf, syncData, syncFile } from './durable-file.ts';
import { nextPath, type Recovered } from './recovery.ts';
import { sealedPath, type SealedSegment } from './segments.ts';

const writeTo = promisify(write);
const truncate = promisify(ftruncate);

const TO_APPEND = constants.O_WRONLY | constants.O_APPEND;

export class SegmentedFile {
  readonly path: string;
  /** Its descriptor. Not open when the log is damaged: it is not to be written. */
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

  /** Opens the files of a log that `recoverLog` has made ready. */
  static open(path: string, recovered: Recovered): SegmentedFile {
    const file = recovered.damage === undefined ? openSync(path, TO_APPEND) : undefined;
    return new SegmentedFile(path, recovered, file);
  }

  /** The size of the file that is being written, in bytes. */
  get size(): number {
    return this.#size;
  }

  /** The sealed segments, oldest first. */
  get sealed(): readonly SealedSegment[] {
    return this.#sealed;
  }

  /** The file that holds an entry, and the `seq` of the first entry in it. */
  holderOf(seq: number): SealedSegment {
    const holder = seq < this.#first ? this.#sealed.findLast(({ first }) => first <= seq) : undefined;
    return holder ?? { path: this.path, first: this.#first };
  }

  /** Forgets sealed segments that were moved away. */
  forget(segments: readonly SealedSegment[]): void {
    this.#sealed = this.#sealed.filter((segment) => !segments.includes(segment));
  }

  /** Writes bytes behind the file's end. A write may take fewer than it was given and say why only at the next one. */
  async write(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += (await writeTo(this.#file!, bytes, done, bytes.length - done)).bytesWritten;
    }
  }

  sync(): Promise<void> {
    return syncData(this.#file!);
  }

  /** So many bytes that were written are part of the file from now on. */
  keep(bytes: number): void {
    this.#size += bytes;
  }

  /** Takes away what was written and not kept. */
  async cutBack(): Promise<void> {
    if (this.#file !== undefined) await truncate(this.#file, this.#size);
  }

  /**
   * Seals the file and goes on in a new one, which begins with the entry `next`. The caller has made sure that the
   * checkpoint has seen all of the file. When another file can't be had nothing changes, and the next batch tries again:
   * all that has to be opened for it is opened before anything is moved.
   * @throws when the change may not be on disk: then nothing may be written any more
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
   * Moves the file to its sealed name and puts an empty one in its place, unless there is no room for it. Both names
   * change in one turn of the event loop, and what is known of them in the same: whoever reads the log by what it says of
   * its files finds them so, or has to ask once more.
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
