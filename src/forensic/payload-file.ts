/**
 * The payload of an export, written once and read twice: both copies of it in the export are these bytes. It is in a file
 * without a name, next to the database, which is gone when the export is sent or the process ends.
 */
import { createHash, type Hash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type FileHandle, open, statfs } from '../async-files.ts';
import { RecorderError } from '../errors.ts';
import { writeAll } from '../durable-file.ts';
import { FreedBuffers } from '../freed-buffers.ts';

const MEBIBYTE = 1024 * 1024;
/** How much room, in bytes, an export leaves on the disk: the log needs it more. */
const ROOM_LEFT = 64 * MEBIBYTE;
/** How often that is looked at, in bytes written. */
const LOOK_EVERY = MEBIBYTE;
/** How many bytes are collected before they are written. */
const PIECE = 64 * 1024;

export class PayloadFile implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #directory: string;
  readonly #hash: Hash = createHash('sha256');
  #pieces: Uint8Array[] = [];
  #waiting = 0;
  #written = 0;
  #looked = -LOOK_EVERY;
  readonly #freed = new FreedBuffers();

  private constructor(file: FileHandle, directory: string) {
    this.#file = file;
    this.#directory = directory;
  }

  /**
   * Makes the file.
   * @param path of a file that is not there
   * @throws RecorderError `overloaded` when it can't be made
   */
  static async create(path: string, directory: string): Promise<PayloadFile> {
    try {
      const file = await open(path, 'wx+', 0o600);
      rmSync(path);
      return new PayloadFile(file, directory);
    } catch (error) {
      throw unwritable(directory, error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }

  /** How many bytes were written. */
  get length(): number {
    return this.#written + this.#waiting;
  }

  /** @throws RecorderError `overloaded` when there is no room */
  async write(bytes: Uint8Array | string): Promise<void> {
    const piece = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    this.#pieces.push(piece);
    this.#waiting += piece.length;
    if (this.#waiting >= PIECE) await this.#flush();
  }

  /** Ends writing. @returns the SHA-256 of all bytes; throws like `write` */
  async finish(): Promise<Buffer> {
    await this.#flush();
    return this.#hash.digest();
  }

  /** What was written, from the beginning, `size` bytes at a time. */
  async *read(size: number, to = this.#written): AsyncGenerator<Buffer, void> {
    for (let at = 0; at < to;) {
      const piece = Buffer.allocUnsafe(Math.min(size, to - at));
      for (let done = 0; done < piece.length;) {
        const { bytesRead } = await this.#file.read(piece, done, piece.length - done, at + done);
        if (bytesRead === 0) throw new RecorderError('internal', 'the payload of an export became shorter');
        done += bytesRead;
      }
      at += piece.length;
      this.#freed.count(piece.length);
      yield piece;
    }
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#pieces.splice(0));
    this.#waiting = 0;
    this.#hash.update(bytes);
    try {
      if (this.#written - this.#looked >= LOOK_EVERY) await this.#requireRoom();
      await writeAll(this.#file.fd, bytes, this.#written);
    } catch (error) {
      throw error instanceof RecorderError ? error : unwritable(this.#directory, error);
    }
    this.#written += bytes.length;
    this.#freed.count(bytes.length);
  }

  async #requireRoom(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#directory);
    if (bavail * bsize < ROOM_LEFT) throw unwritable(this.#directory);
    this.#looked = this.#written;
  }
}

const unwritable = (directory: string, cause?: unknown): RecorderError => {
  const why = (cause as NodeJS.ErrnoException | undefined)?.code ?? 'it leaves the log no room';
  return new RecorderError('overloaded', `the export can't be put together in ${directory} (${why})`, { cause });
};
