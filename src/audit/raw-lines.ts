/**
 * Reads the lines of the log as they stand in its files, from any entry to the last durable one, for a copy of the log.
 *
 * Whoever keeps the copy verifies the chain. Here only the number of each entry and its link to the one before are
 * looked at: so no line is sent twice, or left out. No file stays open between two reads.
 */
import { hashesIn, readEntryLine } from './entry-line.ts';
import { findEntry } from './find-entry.ts';
import { readLines } from './lines.ts';
import { notAsWritten, openLogFile } from './log-reader.ts';
import type { ReadableLog } from './log.ts';

/** Some lines, each with its newline, and the hashes of their entries (lower-case hex). */
export interface RawLines {
  readonly bytes: Buffer;
  readonly hashes: readonly string[];
}

export class RawLineReader {
  readonly #log: ReadableLog;
  #due: number;
  /** The hash of the entry before the next one, when that was read. */
  #hash: string | undefined;
  /** Where the next entry begins: the `seq` of its file's first entry, and the offset in that file. */
  #place: { readonly first: number; readonly offset: number } | undefined;

  /** @param from the `seq` of the first entry to be read */
  constructor(log: ReadableLog, from: number) {
    this.#log = log;
    this.#due = from;
  }

  /** The `seq` of the next entry. */
  get due(): number {
    return this.#due;
  }

  /** Whether the log has no further entry at the moment. */
  get atEnd(): boolean {
    return this.#due > this.#log.status.entries;
  }

  /**
   * Reads the lines that follow: at least one, unless the reader is at the end; about 256 KiB.
   * @param most how many lines at most
   * @throws RecorderError `gone` with `first_seq` when the next entry was archived, `damaged_log` when it is not in its
   *   place, `overloaded` when no file can be opened
   */
  async next(most = Infinity): Promise<RawLines> {
    if (this.atEnd) return { bytes: Buffer.alloc(0), hashes: [] };
    // The file may be sealed between lookup and open: retry once.
    const lines = (await this.#read(most)) ?? (await this.#read(most));
    if (lines === undefined) throw await notAsWritten(this.#log, this.#due);
    return lines;
  }

  async #read(most: number): Promise<RawLines | undefined> {
    const { entries: last } = this.#log.status;
    const due = this.#due;
    const { path, first } = this.#log.fileOf(due);
    const file = first > due ? undefined : await openLogFile(path);
    if (file === undefined) return undefined;
    try {
      const { size } = await file.stat();
      const known = first === due ? 0 : this.#place?.first === first ? this.#place.offset : undefined;
      const offset = known ?? (await findEntry(file, size, due));
      const bytes: Buffer[] = [];
      const read: string[] = [];
      let hash = this.#hash;
      for await (const lines of readLines(file, offset, size)) {
        for (const line of lines) {
          const seq = due + bytes.length;
          if (!line.whole || seq > last || bytes.length === most) break;
          const links = readEntryLine(line)?.seq === seq ? hashesIn(line.bytes) : undefined;
          if (links === undefined || (hash !== undefined && links.prev !== hash)) break;
          ({ hash } = links);
          bytes.push(line.bytes);
          read.push(hash);
        }
        break;
      }
      if (bytes.length === 0) return undefined;
      const all = withNewlines(bytes);
      this.#due += bytes.length;
      this.#hash = hash;
      this.#place = { first, offset: offset + all.length };
      return { bytes: all, hashes: read };
    } finally {
      await file.close();
    }
  }
}

/** The lines of one window: they follow each other in memory, as in the file. */
function withNewlines(lines: readonly Buffer[]): Buffer {
  const [begin, end] = [lines[0]!, lines.at(-1)!];
  return Buffer.from(begin.buffer, begin.byteOffset, end.byteOffset + end.length + 1 - begin.byteOffset);
}
