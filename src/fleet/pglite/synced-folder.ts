/**
 * A folder of PGlite that keeps what PostgreSQL has synced, also when the power fails.
 *
 * PGlite's own `NodeFS` writes to the files of the folder, but its `fsync` does nothing. Here it syncs, so PostgreSQL keeps
 * its promises in its own order: the log of changes (`pg_wal`) before a commit is answered, all other files before a
 * checkpoint counts, and a folder after a file in it was made or renamed. Emscripten answers `fdatasync` by itself and
 * asks nobody: PostgreSQL has to sync its log of changes by `fsync` (`wal_sync_method`, see `START_PARAMETERS`).
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';

type EmscriptenOptions = Parameters<NodeFS['init']>[1];

/** Of Emscripten's file system over Node's: what is used or replaced here. */
interface Stream {
  readonly path: string;
  /** The descriptor. */
  readonly nfd: number;
}
type Write = (stream: Stream, buffer: Uint8Array, offset: number, length: number, position?: number) => number;
interface NodeFiles {
  readonly NODEFS: { readonly stream_ops: { write: Write; fsync?: (stream: Stream) => number } };
}

/** Without `-F`, PGlite's own parameters: that is `fsync = off`. */
export const START_PARAMETERS: readonly string[] = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  '-c',
  'wal_sync_method=fsync',
];

export class SyncedFolder extends NodeFS {
  readonly #failed: (error: NodeJS.ErrnoException) => never;
  readonly folder: string;
  /** How many bytes of the log of changes were written since this was last set to 0. */
  logged = 0;

  /**
   * @param failed ends the thread when a sync fails. PostgreSQL must not go on: the kernel has marked the pages as clean, and a
   * second sync would succeed without them.
   */
  constructor(folder: string, failed: (error: NodeJS.ErrnoException) => never) {
    super(folder);
    this.folder = folder;
    this.#failed = failed;
  }

  override async init(pglite: PGlite, options: EmscriptenOptions): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(pglite, options);
    const syncs = (module: unknown): void => this.#sync(module as NodeFiles);
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), syncs] } };
  }

  #sync({ NODEFS: { stream_ops: operations } }: NodeFiles): void {
    const write = operations.write.bind(operations);
    operations.write = (stream, buffer, offset, length, position) => {
      if (isLogOfChanges(stream) && !isNewSegment(stream)) this.logged += length;
      return write(stream, buffer, offset, length, position);
    };
    operations.fsync = (stream) => {
      try {
        // As PostgreSQL does on Linux: when a file of the log of changes was changed does not matter.
        if (isLogOfChanges(stream)) fdatasyncSync(stream.nfd);
        else fsyncSync(stream.nfd);
        return 0;
      } catch (error) {
        return this.#failed(error as NodeJS.ErrnoException);
      }
    };
  }
}

/** A new file of the log of changes is filled with zeros before it gets its name: they are no changes. */
const isNewSegment = ({ path }: Stream): boolean => path.includes('/pg_wal/xlogtemp.');

const isLogOfChanges = ({ path }: Stream): boolean => path.includes('/pg_wal/');

/**
 * Makes a database in a folder that has none: whole and synced, or, when it is interrupted, not at all.
 */
export async function makeFolder(folder: string): Promise<void> {
  if (existsSync(join(folder, 'PG_VERSION'))) return;
  const made = `${folder}.new`;
  rmSync(made, { recursive: true, force: true });
  mkdirSync(made, { mode: 0o700 });
  const pglite = await PGlite.create({ dataDir: made });
  await pglite.close();
  syncTree(made);
  // It takes the place of an empty folder as well.
  renameSync(made, folder);
  sync(dirname(folder));
}

function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else if (entry.isFile()) sync(path);
  }
  sync(folder);
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
