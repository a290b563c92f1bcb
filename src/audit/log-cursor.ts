/**
 * Reads the log page by page, from any entry to the last durable one.
 *
 * A cursor keeps no file open between two pages. So a reader may pause as long as it likes while the log is written,
 * sealed and archived. It returns only entries that are as they were written. A cursor never skips an entry: when the next one has left the log, it throws and says where the
 * log continues.
 */
import { type EntryLine, readGenuineLine } from './entry-line.ts';
import { findEntry } from './find-entry.ts';
import { readLines } from './lines.ts';
import { notAsWritten, openLogFile, type Turn } from './log-reader.ts';
import type { ReadableLog } from './log.ts';

/** The size of a page in bytes, all of which is verified at once. A longer entry is a page by itself. */
const PAGE_BYTES = 16 * 1024;

export class LogCursor {
  readonly #log: ReadableLog;
  readonly #pageBytes: number;
  #position: number;
  /** The hash of the entry at the position, when it was read. */
  #hash: string | undefined;
  /** Where the next entry begins: the `seq` of its file's first entry, and the offset in that file. */
  #place: { readonly first: number; readonly offset: number } | undefined;

  /**
   * @param after begin after the entry with this `seq`; 0 for the beginning of the log
   * @param pageBytes how much to read at a time
   */
  constructor(log: ReadableLog, after: number, pageBytes = PAGE_BYTES) {
    this.#log = log;
    this.#pageBytes = pageBytes;
    this.#position = after;
  }

  /** The `seq` of the last entry that `next` returned. */
  get position(): number {
    return this.#position;
  }

  /** Whether the log has no further entry at the moment. */
  get atEnd(): boolean {
    return this.#position >= this.#log.status.entries;
  }

  /**
   * Reads the entries that follow: at least one, unless the cursor is at the end.
   * @param turn awaited before they are verified
   * @throws RecorderError `gone` with `first_seq` when the next entry was archived, `damaged_log` when it is not in its
   *   place, `overloaded` when no file can be opened
   */
  async next(turn?: Turn): Promise<readonly EntryLine[]> {
    if (this.atEnd) return [];
    // The file may be sealed between lookup and open: retry once.
    const page = (await this.#read(turn)) ?? (await this.#read(turn));
    if (page === undefined) throw await notAsWritten(this.#log, this.#position + 1);
    return page;
  }

  async #read(turn?: Turn): Promise<readonly EntryLine[] | undefined> {
    const { entries: last } = this.#log.status;
    const due = this.#position + 1;
    const { path, first } = this.#log.fileOf(due);
    const file = first > due ? undefined : await openLogFile(path);
    if (file === undefined) return undefined;
    try {
      const { size } = await file.stat();
      const known = first === due ? 0 : this.#place?.first === first ? this.#place.offset : undefined;
      let offset = known ?? (await findEntry(file, size, due));
      const page: EntryLine[] = [];
      for await (const lines of readLines(file, offset, size, this.#pageBytes)) {
        await turn?.();
        for (const read of lines) {
          const seq = due + page.length;
          if (!read.whole || seq > last) break;
          const line = readGenuineLine(read, seq, this.#log.hash, page.at(-1)?.entry().entry_hash ?? this.#hash);
          if (line === undefined) break;
          page.push(line);
          offset += line.bytes.length + 1;
        }
        break;
      }
      if (page.length === 0) return undefined;
      this.#position += page.length;
      this.#hash = page.at(-1)?.entry().entry_hash;
      this.#place = { first, offset };
      return page;
    } finally {
      await file.close();
    }
  }
}
