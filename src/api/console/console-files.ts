/**
 * The files of the web console, as the build left them in one directory.
 *
 * The first request reads all of them into memory: a few hundred KiB, most of them in a compressed form. A name that is
 * not in the directory does not exist, so no name leads out of it.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from '../../async-files.ts';
import { extname, join } from 'node:path';

/** The content codings of a file (RFC 9110, section 8.4.1), the shortest result first. */
export const CODINGS = ['br', 'gzip', 'identity'] as const;
export type Coding = (typeof CODINGS)[number];

export interface ConsoleFile {
  readonly type: string;
  /** A weak entity tag: the same for all codings. */
  readonly etag: string;
  readonly codings: ReadonlyMap<Coding, Buffer>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const SUFFIXES: Readonly<Record<Coding, string>> = { br: '.br', gzip: '.gz', identity: '' };

export class ConsoleFiles {
  readonly #directory: string;
  #files: Promise<ReadonlyMap<string, ConsoleFile>> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The file of this name; undefined when it does not exist or the console was not built. */
  async get(name: string): Promise<ConsoleFile | undefined> {
    return (await (this.#files ??= this.#read())).get(name);
  }

  async #read(): Promise<ReadonlyMap<string, ConsoleFile>> {
    const names = await readdir(this.#directory).catch(() => []);
    const files = new Map<string, ConsoleFile>();
    for (const name of names) {
      const type = TYPES[extname(name)];
      if (type !== undefined) files.set(name, await this.#readOne(name, type, names));
    }
    return files;
  }

  async #readOne(name: string, type: string, names: readonly string[]): Promise<ConsoleFile> {
    const codings = new Map<Coding, Buffer>();
    for (const coding of CODINGS) {
      const path = `${name}${SUFFIXES[coding]}`;
      if (names.includes(path)) codings.set(coding, await readFile(join(this.#directory, path)));
    }
    const content = codings.get('identity')!;
    return { type, etag: `W/"${createHash('sha256').update(content).digest('base64url')}"`, codings };
  }
}
