/**
 * The last lines of the log up to an entry, as JSON strings, for a copy that leaves the machine.
 *
 * They are found backwards from that entry, so that it costs the same whatever the length of the log. The files stay open
 * until the lines are read: they may be sealed and archived meanwhile. A line is given as it stands in its file, also one
 * that is not as it was written; that is counted, and the log is marked damaged.
 */
import type { FileHandle } from '../async-files.ts';
import { FreedBuffers } from '../freed-buffers.ts';
import { readGenuineLine } from './entry-line.ts';
import { MAX_ENTRY_BYTES } from './entry.ts';
import { NEWLINE, readLines, WINDOW_BYTES } from './lines.ts';
import { notAsWritten, openLogFile, type Turn } from './log-reader.ts';
import type { ReadableLog } from './log.ts';

export interface LastLinesOptions {
  /** The last entry, and the offset behind it in its file, in bytes. */
  readonly through: { readonly seq: number; readonly end: number };
  /** How many lines at most, and how many bytes they may take as JSON strings with a comma each. */
  readonly most: number;
  readonly bytes: number;
}

interface Stretch {
  readonly file: FileHandle;
  readonly from: number;
  readonly to: number;
}

/** A line as a JSON string takes so many bytes, with its comma. */
const quotedLength = (line: Buffer): number => Buffer.byteLength(quoted(line)) + 1;

const quoted = (line: Buffer): string => JSON.stringify(line.toString('utf8'));

export class LastLines implements AsyncDisposable {
  readonly #log: ReadableLog;
  /** Oldest first. */
  readonly #stretches: Stretch[] = [];
  readonly #through: number;
  /** How many lines there are, and how many bytes they take as JSON strings with a comma each. */
  count = 0;
  bytes = 0;
  /** How many lines were read that are not as they were written, and how many of which that is not known. */
  altered = 0;
  unverified = 0;

  private constructor(log: ReadableLog, through: number) {
    this.#log = log;
    this.#through = through;
  }

  /**
   * Finds the lines.
   * @throws RecorderError `overloaded` when a file can't be opened
   */
  static async find(log: ReadableLog, { through, most, bytes }: LastLinesOptions): Promise<LastLines> {
    const lines = new LastLines(log, through.seq);
    const files = [...log.sealed, log.fileOf(Infinity)].filter(({ first }) => first <= through.seq).toReversed();
    try {
      for (const [at, { first }] of files.entries()) {
        const file = await openFileOf(log, first);
        if (file === undefined || !(await lines.#findIn(file, at === 0 ? through.end : undefined, most, bytes))) break;
      }
      return lines;
    } catch (error) {
      await lines[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#stretches.splice(0).map(({ file }) => file.close()));
  }

  /**
   * The lines as JSON strings, oldest first, some at a time.
   * @param turn awaited before each line is verified
   * @param verifiedBytes how many bytes of lines are verified: in the worst case a megabyte takes most of a second
   */
  async *read(turn: Turn, verifiedBytes = Infinity): AsyncGenerator<readonly string[], void> {
    let left = verifiedBytes;
    let seq = this.#through - this.count + 1;
    for (const { file, from, to } of this.#stretches) {
      for await (const lines of readLines(file, from, to)) {
        const texts: string[] = [];
        for (const line of lines) {
          await turn();
          left -= line.bytes.length;
          if (left < 0) this.unverified += 1;
          else if (readGenuineLine(line, seq, this.#log.hash) === undefined) {
            this.altered += 1;
            await notAsWritten(this.#log, seq);
          }
          texts.push(quoted(line.bytes));
          seq += 1;
        }
        yield texts;
      }
    }
  }

  /**
   * Finds lines in a file, backwards from an offset or its end. Takes over the file.
   * @returns whether there is room for lines of the file before it
   */
  async #findIn(file: FileHandle, end: number | undefined, most: number, bytes: number): Promise<boolean> {
    const to = end ?? (await file.stat()).size;
    let from = to;
    let isFull = false;
    for await (const line of linesBefore(file, to)) {
      const length = quotedLength(line);
      isFull = this.count === most || this.bytes + length > bytes;
      if (isFull) break;
      this.count += 1;
      this.bytes += length;
      from -= line.length + 1;
    }
    this.#stretches.unshift({ file, from, to });
    return !isFull && from === 0;
  }
}

/**
 * Opens the file of the log that begins with entry `first`; undefined when it was archived. It may be sealed between
 * look-up and opening: then its path is another one.
 */
async function openFileOf(log: ReadableLog, first: number): Promise<FileHandle | undefined> {
  for (;;) {
    const holder = log.fileOf(first);
    if (holder.first !== first) return undefined;
    const file = await openLogFile(holder.path);
    if (log.fileOf(first).path === holder.path) return file;
    await file?.close();
  }
}

/** The lines before an offset, the last first, without their newlines. Ends before one that is longer than an entry. */
async function* linesBefore(file: FileHandle, to: number): AsyncGenerator<Buffer, void> {
  let rest: Buffer = Buffer.alloc(0);
  const freed = new FreedBuffers();
  for (let position = to; position > 0 && rest.length <= MAX_ENTRY_BYTES;) {
    const window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, position));
    const { bytesRead } = await file.read(window, 0, window.length, position - window.length);
    if (bytesRead !== window.length) return;
    position -= window.length;
    // What is made of the lines of a window is several times as long.
    freed.count(4 * window.length);
    const bytes: Buffer = rest.length === 0 ? window : Buffer.concat([window, rest]);
    // The newline of the last line is the last byte.
    let last = bytes.length - 1;
    if (bytes[last] !== NEWLINE) return;
    for (let at = lastNewline(bytes, last - 1); at !== -1; at = lastNewline(bytes, at - 1)) {
      yield bytes.subarray(at + 1, last);
      last = at;
    }
    rest = bytes.subarray(0, last + 1);
  }
  if (rest.length > 0 && rest.length <= MAX_ENTRY_BYTES) yield rest.subarray(0, -1);
}

const lastNewline = (bytes: Buffer, from: number): number => (from < 0 ? -1 : bytes.lastIndexOf(NEWLINE, from));
