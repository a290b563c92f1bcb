/**
 * The functions of `node:fs/promises` that the service calls. That module loads nine others, readline among them, which
 * takes a thirtieth of a start; here the callbacks of `node:fs` become promises.
 */
import {
  type BigIntStats,
  close,
  fchmod,
  fchown,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  mkdir as mkdirWithCallback,
  open as openWithCallback,
  type OpenMode,
  read,
  readdir as readdirWithCallback,
  readFile as readFileWithCallback,
  rename as renameWithCallback,
  rm as rmWithCallback,
  statfs as statfsWithCallback,
  type Stats,
} from 'node:fs';
import { promisify } from 'node:util';

export const mkdir = promisify(mkdirWithCallback);
export const readdir = promisify(readdirWithCallback);
export const readFile = promisify(readFileWithCallback);
export const rename = promisify(renameWithCallback);
export const rm = promisify(rmWithCallback);
export const statfs = promisify(statfsWithCallback);

const openFile = promisify(openWithCallback);
const closeFile = promisify(close);
const readSome = promisify(read);
const statFile = promisify(fstat);
const truncateFile = promisify(ftruncate);
const syncContent = promisify(fdatasync);
const syncAll = promisify(fsync);
const setMode = promisify(fchmod);
const setOwner = promisify(fchown);

/** An open file: what the service needs of the class of that name in `node:fs/promises`. */
export interface FileHandle {
  /** The descriptor. */
  readonly fd: number;
  /** @param position in the file, in bytes */
  read<Bytes extends Uint8Array>(
    buffer: Bytes,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number; readonly buffer: Bytes }>;
  stat(): Promise<Stats>;
  stat(options: { readonly bigint: true }): Promise<BigIntStats>;
  truncate(length: number): Promise<void>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  chmod(mode: number): Promise<void>;
  chown(uid: number, gid: number): Promise<void>;
  /** Closes the file when what runs on it is done. Once more does nothing. */
  close(): Promise<void>;
}

/** Opens a file. Whoever opens it closes it: a file that is forgotten stays open. */
export const open = async (path: string, flags: OpenMode, mode?: number): Promise<FileHandle> =>
  new OpenFile(await openFile(path, flags, mode));

class OpenFile implements FileHandle {
  readonly fd: number;
  /** How many operations run. */
  #running = 0;
  #isClosed = false;
  #close: (() => void) | undefined;

  constructor(fd: number) {
    this.fd = fd;
  }

  read<Bytes extends Uint8Array>(
    buffer: Bytes,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number; readonly buffer: Bytes }> {
    return this.#run(() => readSome(this.fd, buffer, offset, length, position));
  }

  stat(): Promise<Stats>;
  stat(options: { readonly bigint: true }): Promise<BigIntStats>;
  stat(options?: { readonly bigint: true }): Promise<Stats | BigIntStats> {
    return this.#run<Stats | BigIntStats>(() =>
      options === undefined ? statFile(this.fd) : statFile(this.fd, options),
    );
  }

  truncate(length: number): Promise<void> {
    return this.#run(() => truncateFile(this.fd, length));
  }

  datasync(): Promise<void> {
    return this.#run(() => syncContent(this.fd));
  }

  sync(): Promise<void> {
    return this.#run(() => syncAll(this.fd));
  }

  chmod(mode: number): Promise<void> {
    return this.#run(() => setMode(this.fd, mode));
  }

  chown(uid: number, gid: number): Promise<void> {
    return this.#run(() => setOwner(this.fd, uid, gid));
  }

  /** The system gives the number of a closed file to the next one, so nothing may run on it any more. */
  async #run<Value>(operation: () => Promise<Value>): Promise<Value> {
    if (this.#isClosed) throw Object.assign(new Error('EBADF: the file is closed'), { code: 'EBADF' });
    this.#running += 1;
    try {
      return await operation();
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#close?.();
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#close = resolve;
      });
    }
    await closeFile(this.fd);
  }
}
