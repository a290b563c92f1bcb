/**
 * Reads the log page by page, from any entry to the last durable one.
 *
 * A cursor keeps no file open between two pages. So a reader may pause as long as it likes while the log is written,
 * sealed and archived. A cursor never skips an entry: when the next one has left the log, it throws and says where the
 * log continues.
 */
import { RecorderError } from '../errors.ts';
import { type EntryLine, readEntryLine } from './entry-line.ts';
import { findEntry } from './find-entry.ts';
import { readLines } from './lines.ts';
import { openLogFile } from './log-reader.ts';
import type { AuditLog } from './log.ts';

/** The size of a page in bytes. A longer entry is a page by itself. */
const PAGE_BYTES = 64 * 1024;

export class LogCursor {
  readonly #log: Pick<AuditLog, 'status' | 'sealed' | 'fileOf'>;
  #position: number;
  /** Where the next entry begins: the `seq` of its file's first entry, and the offset in that file. */
  #place: { readonly first: number; readonly offset: number } | undefined;

  /** @param after begin after the entry with this `seq`; 0 for the beginning of the log */
  constructor(log: Pick<AuditLog, 'status' | 'sealed' | 'fileOf'>, after: number) {
    this.#log = log;
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
   * @throws RecorderError `gone` with `first_seq` when the next entry was archived, `damaged_log` when it is not in its
   *   place, `overloaded` when no file can be opened
   */
  async next(): Promise<readonly EntryLine[]> {
    if (this.atEnd) return [];
    // The file may be sealed between lookup and open: retry once.
    const page = (await this.#read()) ?? (await this.#read());
    if (page === undefined) throw this.#missing();
    return page;
  }

  async #read(): Promise<readonly EntryLine[] | undefined> {
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
      for await (const lines of readLines(file, offset, size, PAGE_BYTES)) {
        for (const read of lines) {
          const line = read.whole ? readEntryLine(read) : undefined;
          if (line === undefined || line.seq !== due + page.length || line.seq > last) break;
          page.push(line);
          offset += line.bytes.length + 1;
        }
        break;
      }
      if (page.length === 0) return undefined;
      this.#position += page.length;
      this.#place = { first, offset };
      return page;
    } finally {
      await file.close();
    }
  }

  #missing(): RecorderError {
    const due = this.#position + 1;
    const files = [...this.#log.sealed, this.#log.fileOf(Infinity)];
    const first_seq = files.find(({ first }) => first > due)?.first;
    if (first_seq === undefined)
      return new RecorderError('damaged_log', `the audit log does not hold entry ${due} where it was written`);
    const message = `entry ${due} was archived: the log goes on with entry ${first_seq}, so ask for what is after ${first_seq - 1}`;
    return new RecorderError('gone', message, { fields: { first_seq } });
  }
}
