/**
 * The reports that the recorder has refused for good, next to the spool (`.refused`): one line of JSON each, with the
 * reason, for a person to look at. When the file has reached its size it becomes `.refused.old`, which replaces the one
 * before, so the newest are kept.
 */
import { constants, rename } from 'node:fs/promises';
import { syncDirectoryOf, writeAll } from '../durable-file.ts';
import { openOwnFile } from './own-file.ts';

const NEWLINE = 0x0a;

export interface RefusedReport {
  /** When it was refused, RFC 3339. */
  readonly at: string;
  readonly key: string;
  /** The status of the recorder's answer; absent when the report can't be sent. */
  readonly status?: number;
  readonly error: string;
  /** The report; the text of the record where that is damaged. */
  readonly report: unknown;
}

export class RefusedReports {
  readonly path: string;
  readonly #maxBytes: number;

  /** @param maxBytes how large the two files may become together; a single report may be larger */
  constructor(path: string, maxBytes: number) {
    this.path = path;
    this.#maxBytes = maxBytes;
  }

  /** Adds a report. It is on disk when this resolves. @throws the file system's error; SpoolError `unsafe` */
  async add(refused: RefusedReport): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(refused)}\n`);
    let file = await openOwnFile(this.path, constants.O_RDWR | constants.O_APPEND);
    try {
      let { size } = await file.stat();
      if (size > 0 && size + line.length > this.#maxBytes / 2) {
        await rename(this.path, `${this.path}.old`);
        await file.close();
        file = await openOwnFile(this.path, constants.O_RDWR | constants.O_APPEND);
        ({ size } = await file.stat());
      }
      const last = Buffer.alloc(1);
      // A crash may have left half a line.
      const isCut = size > 0 && (await file.read(last, 0, 1, size - 1)).bytesRead === 1 && last[0] !== NEWLINE;
      await writeAll(file.fd, isCut ? Buffer.concat([Buffer.from('\n'), line]) : line);
      await file.sync();
      if (size === 0) await syncDirectoryOf(this.path);
    } finally {
      await file.close();
    }
  }
}
