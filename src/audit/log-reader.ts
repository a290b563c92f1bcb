/** Reads single lines of the log by their place, while it is being written. */
import { type FileHandle, open } from 'node:fs/promises';
import { RecorderError } from '../errors.ts';

/** Where a line stands in the log, in bytes; the length includes the newline. */
export interface LinePlace {
  readonly offset: number;
  readonly length: number;
}

export class LogReader {
  readonly #path: string;
  #file: Promise<FileHandle> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * The lines at these places, without their newlines.
   * @throws RecorderError `damaged_log` when the log no longer holds a line there
   */
  async read(places: readonly LinePlace[]): Promise<readonly string[]> {
    this.#file ??= open(this.#path, 'r');
    const file = await this.#file;
    return Promise.all(places.map((place) => readLine(file, place)));
  }

  async close(): Promise<void> {
    await (await this.#file)?.close();
  }
}

async function readLine(file: FileHandle, { offset, length }: LinePlace): Promise<string> {
  const line = Buffer.alloc(length);
  const { bytesRead } = await file.read(line, 0, length, offset);
  if (bytesRead !== length || line[0] !== OPEN_BRACE || line[length - 1] !== NEWLINE) {
    throw new RecorderError('damaged_log', `the audit log holds no entry of ${length} bytes at ${offset}`);
  }
  return line.toString('utf8', 0, length - 1);
}

const OPEN_BRACE = 0x7b;
const NEWLINE = 0x0a;
