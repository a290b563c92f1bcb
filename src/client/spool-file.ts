/**
 * The file of a spool: a header of fixed width, then the waiting reports, one line each, oldest first. The header says
 * where the first of them begins.
 *
 * A record is in the spool when its bytes are synced. To remove the first record, the header is overwritten without a
 * sync. If that is lost, the record is delivered once more with the same key, which changes nothing. Bytes that a crash
 * left after the last newline were never confirmed, and are cut off. The file is emptied with its last record. When it
 * is full and at least a quarter of it is delivered, the rest is written into a new file.
 */
import { constants, type FileHandle, rename, rm } from 'node:fs/promises';
import { syncDirectoryOf, writeAll } from '../durable-file.ts';
import { SpoolError } from './errors.ts';
import { openOwnFile } from './own-file.ts';
import { LONGEST_REPORT } from './report-text.ts';

/** In bytes: the longest report with its key. */
const LONGEST_RECORD = LONGEST_REPORT + 1024;
const NEWLINE = 0x0a;

const headerOf = (from: number): string => `{"spool":1,"from":${String(from).padStart(15)}}\n`;
const HEADER = /^\{"spool":1,"from": *(\d+)\}\n/;
const HEADER_BYTES = headerOf(0).length;

export class SpoolFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #file: FileHandle;
  /** Where the first record begins, and where the last one ends. */
  #from: number;
  #end: number;

  private constructor(path: string, maxBytes: number, file: FileHandle, from: number, end: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#file = file;
    this.#from = from;
    this.#end = end;
  }

  /**
   * Opens the spool at `path`, or creates it (mode 0600).
   * @throws SpoolError `is_another` when the file is not a spool; `unsafe` when it is not this user's own
   */
  static async open(path: string, maxBytes: number): Promise<SpoolFile> {
    const file = await openOwnFile(path, constants.O_RDWR);
    try {
      const bytes = await file.readFile();
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      const header = HEADER.exec(bytes.toString('latin1', 0, HEADER_BYTES));
      if (header === null && end > 0) throw new SpoolError('is_another', `${path} is there and is no spool`);
      const from = Number(header?.[1]);
      const isPlace = from >= HEADER_BYTES && from <= end && bytes[from - 1] === NEWLINE;
      const spool = new SpoolFile(path, maxBytes, file, isPlace ? from : HEADER_BYTES, end);
      await file.truncate(end);
      if (end === 0) await spool.#begin();
      if (spool.isEmpty) await spool.#reset();
      return spool;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get isEmpty(): boolean {
    return this.#from === this.#end;
  }

  /** The size of the waiting records, in bytes. */
  get bytes(): number {
    return this.#end - this.#from;
  }

  /**
   * Appends a record, one line of JSON. It is on disk when this resolves. When this throws, nothing has changed.
   * @throws SpoolError `full`, RangeError for a record that is too long for the recorder, or the file system's error
   */
  async append(record: string): Promise<void> {
    const line = Buffer.from(`${record}\n`);
    if (line.length > LONGEST_RECORD) throw new RangeError(`a report of ${line.length} bytes is too long`);
    if (this.#end + line.length > this.#maxBytes) await this.#compact();
    if (this.#end + line.length > this.#maxBytes) {
      throw new SpoolError('full', `${this.#path} is full: ${this.bytes} bytes of reports wait for the recorder`);
    }
    try {
      await writeAll(this.#file.fd, line, this.#end);
      await this.#file.datasync();
    } catch (error) {
      await this.#file.truncate(this.#end).catch(() => {});
      throw error;
    }
    this.#end += line.length;
  }

  /** The first record as text; undefined when there is none. */
  async first(): Promise<string | undefined> {
    return (await this.firstFew(1))[0];
  }

  /** The first records as texts: at most so many, and no more than one read holds; none when it is empty. */
  async firstFew(most: number): Promise<readonly string[]> {
    return (await this.#firstLines(most)).map((line) =>
      line.toString('utf8', 0, line.at(-1) === NEWLINE ? line.length - 1 : line.length),
    );
  }

  /** Removes the first records, at most as many as `firstFew` has given. */
  async shift(count = 1): Promise<void> {
    for (const { length } of await this.#firstLines(count)) this.#from += length;
    if (this.isEmpty) await this.#reset();
    else await writeAll(this.#file.fd, Buffer.from(headerOf(this.#from)), 0);
  }

  /** The lines of the first records, with their newlines. */
  async #firstLines(most: number): Promise<readonly Buffer[]> {
    const lines: Buffer[] = [];
    if (this.isEmpty) return lines;
    const window = Buffer.alloc(Math.min(LONGEST_RECORD, this.bytes));
    const { bytesRead } = await this.#file.read(window, 0, window.length, this.#from);
    let rest = window.subarray(0, bytesRead);
    // The last line of the window may go on behind it; the first is whole.
    while (lines.length < most && rest.length > 0 && (lines.length === 0 || rest.includes(NEWLINE))) {
      const length = lineLength(rest);
      lines.push(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
    return lines;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Writes the header of a new file, so that file and name survive a power cut. */
  async #begin(): Promise<void> {
    await writeAll(this.#file.fd, Buffer.from(headerOf(HEADER_BYTES)), 0);
    await this.#file.sync();
    await syncDirectoryOf(this.#path);
    this.#from = this.#end = HEADER_BYTES;
  }

  /** Empties the file. */
  async #reset(): Promise<void> {
    await writeAll(this.#file.fd, Buffer.from(headerOf(HEADER_BYTES)), 0);
    await this.#file.truncate(HEADER_BYTES);
    this.#from = this.#end = HEADER_BYTES;
  }

  /** Writes the waiting records into a new file that replaces this one, if that frees enough room. */
  async #compact(): Promise<void> {
    if (this.#from - HEADER_BYTES < this.#maxBytes / 4) return;
    const waiting = Buffer.alloc(this.bytes);
    await this.#file.read(waiting, 0, waiting.length, this.#from);
    const temporary = `${this.#path}.new`;
    await rm(temporary, { force: true });
    const file = await openOwnFile(temporary, constants.O_RDWR | constants.O_EXCL);
    try {
      await writeAll(file.fd, Buffer.concat([Buffer.from(headerOf(HEADER_BYTES)), waiting]), 0);
      await file.datasync();
      await rename(temporary, this.#path);
    } catch (error) {
      await file.close();
      await rm(temporary, { force: true });
      throw error;
    }
    await this.#file.close();
    this.#file = file;
    this.#from = HEADER_BYTES;
    this.#end = HEADER_BYTES + waiting.length;
    await syncDirectoryOf(this.#path);
  }
}

/** The length of the first line with its newline; of all bytes when there is no newline. */
const lineLength = (bytes: Buffer): number => {
  const newline = bytes.indexOf(NEWLINE);
  return newline === -1 ? bytes.length : newline + 1;
};
