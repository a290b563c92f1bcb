/**
 * Reads the log on from behind any entry, a page at a time, as far as it is durable.
 *
 * A cursor keeps no file open between two pages, so it may rest for as long as its reader likes, while the log is
 * written, sealed and archived. It never leaves an entry out: where the next one is no longer in the log's files, it
 * says so and where they go on.
 */
import { RecorderError } from '../errors.ts';
import { type EntryLine, readEntryLine } from './entry-line.ts';
import { findEntry } from './find-entry.ts';
import { readLines } from './lines.ts';
import { openLogFile } from './log-reader.ts';
import type { AuditLog } from './log.ts';

/** How much is read for a page; a longer entry is a page of its own. */
const PAGE_BYTES = 64 * 1024;

export class LogCursor {
  readonly #log: Pick<AuditLog, 'status' | 'sealed' | 'fileOf'>;
  #position: number;
  /** Where the next entry begins: in which file, told by its first entry, and at which offset. */
  #place: { readonly first: number; readonly offset: number } | undefined;

  /** @param after the `seq` of the entry behind which to begin; 0 for the beginning of the log */
  constructor(log: Pick<AuditLog, 'status' | 'sealed' | 'fileOf'>, after: number) {
    this.#log = log;
    this.#position = after;
  }

  /** The `seq` of the last entry that was given. */
  get position(): number {
    return this.#position;
  }

  /** Whether there is no further entry now. */
  get atEnd(): boolean {
    return this.#position >= this.#log.status.entries;
  }

  /**
   * The entries that follow, at least one unless the cursor is at the end.
   * @throws RecorderError `gone` with `first_seq` when the next entry was archived, `damaged_log` when it is not where
   *   it should be, `overloaded` when no file can be opened
   */
  async next(): Promise<readonly EntryLine[]> {
    if (this.atEnd) return [];
    // A file that is sealed between asking for its path and opening it is another one then; it is asked for again.
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
