/**
 * The database of the fleet: any server that speaks PostgreSQL's protocol, or PGlite, which is PostgreSQL in this process.
 *
 * The same SQL runs on both. Numbers of 64 bits come as numbers, times as `Date`.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import {
  type DatabaseConnection,
  type Driver,
  Kysely,
  PGliteDialect,
  type PGliteDialectConfig,
  PostgresDialect,
} from 'kysely';
import type { CustomTypesConfig } from 'pg';
import { RecorderError } from '../errors.ts';
import type { FleetTables } from './schema.ts';

export type FleetDatabase = Kysely<FleetTables>;

/** Connections to a server: each carries one transaction. */
const CONNECTIONS = 8;
/** How long a query waits for a connection, in milliseconds: with many shippers at once, for its turn. */
const CONNECT_WITHIN = 30_000;
/** Ends a query that no request should need, and a transaction that was left open: in milliseconds. */
const STATEMENT_WITHIN = 60_000;
/**
 * A server that says nothing for so long is not there any more: it ends queries earlier by itself. The network may be cut
 * without a word, and then a query would wait for an answer for many minutes. In milliseconds.
 */
const SILENT_WITHIN = STATEMENT_WITHIN + 10_000;

/** Where the data is: the URL of a server, or a folder for PGlite. */
export type DatabasePlace =
  | {
      readonly url: string;
      readonly connections?: number;
      /** After how many milliseconds without a word the server counts as gone. */
      readonly silentWithin?: number;
    }
  | { readonly folder: string | undefined };

/**
 * Opens the database.
 * @param place `folder: undefined` keeps everything in memory
 * @param lost is called when an idle connection to the server breaks; the next query makes a new one
 */
export async function openDatabase(
  place: DatabasePlace,
  lost: (error: Error) => void = () => {},
): Promise<FleetDatabase> {
  if ('url' in place) return onServer(place, lost);
  return onPGlite(place.folder);
}

async function onServer(
  { url, connections = CONNECTIONS, silentWithin = SILENT_WITHIN }: Extract<DatabasePlace, { readonly url: string }>,
  lost: (error: Error) => void,
): Promise<FleetDatabase> {
  const { default: pg } = await import('pg');
  const { types } = pg;
  // None of the numbers of 64 bits exceeds 2^53.
  const parserOf = types.getTypeParser as (oid: number, format: string) => unknown;
  const getTypeParser = (oid: number, format: string): unknown => (oid === INT8 ? Number : parserOf(oid, format));
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: CONNECT_WITHIN,
    statement_timeout: STATEMENT_WITHIN,
    idle_in_transaction_session_timeout: STATEMENT_WITHIN,
    application_name: 'incident-fleet',
    types: { getTypeParser } as CustomTypesConfig,
    stream: () => socketWithin(silentWithin),
  });
  pool.on('error', lost);
  // A connection that breaks in the middle of a transaction says so itself; whoever uses it meets the error as well.
  pool.on('connect', (client) => client.on('error', lost));
  return new Kysely<FleetTables>({ dialect: new PostgresDialect({ pool }) });
}

/** A socket that breaks when nothing comes or goes for a while. The pool closes idle connections earlier. */
function socketWithin(silentWithin: number): Socket {
  const socket = new Socket();
  return socket.setTimeout(silentWithin, () =>
    socket.destroy(
      Object.assign(new Error(`the database has said nothing for ${silentWithin} ms`), { code: 'ETIMEDOUT' }),
    ),
  );
}

/** The number of the type in PostgreSQL: pg_type.dat. */
const INT8 = 20;

async function onPGlite(folder: string | undefined): Promise<FleetDatabase> {
  const { PGlite, types } = await import('@electric-sql/pglite').catch((cause: unknown) => {
    throw new RecorderError('config', 'PGlite is not installed; set FLEET_DATABASE_URL to use a server', { cause });
  });
  const unlock = folder === undefined ? () => {} : await lockFolder(folder);
  try {
    const pglite = await PGlite.create({
      ...(folder === undefined ? {} : { dataDir: folder }),
      parsers: { [types.INT8]: Number },
    });
    return new Kysely<FleetTables>({ dialect: new OneAtATime({ pglite }, unlock) });
  } catch (error) {
    unlock();
    throw error;
  }
}

/**
 * Keeps other processes from a folder of PGlite, which would ruin it.
 * @public for tests, which need several processes
 * @returns what ends that
 * @throws RecorderError `config` when a living process has it
 */
export async function lockFolder(folder: string): Promise<() => void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}.lock`;
  const own = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  // A lock is there with its holder at once: an empty one would look like what a dead process has left.
  await writeFile(own, String(process.pid), { flag: 'wx', mode: 0o600 });
  try {
    while (!(await isLinked(own, path))) {
      const holder = await holderOf(path);
      if (isOthers(holder)) {
        const message = `${folder} is in use by process ${holder}; end that first, or use a server: FLEET_DATABASE_URL`;
        throw new RecorderError('config', message);
      }
      await removeDead(path, own);
    }
    return () => rmSync(path, { force: true });
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * Removes a lock that a dead process has left. One process at a time does: else the second would remove what the first has
 * put in its place.
 * @throws RecorderError `config` when a process has died doing this
 */
async function removeDead(path: string, own: string): Promise<void> {
  const turn = `${path}.removing`;
  if (await isLinked(own, turn)) {
    // One that its process has removed meanwhile may be another's at any moment.
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined && !isOthers(Number(text))) rmSync(path, { force: true });
    rmSync(turn, { force: true });
    return;
  }
  const holder = await holderOf(turn);
  // 0: the other one is done.
  if (holder !== 0 && !isAlive(holder))
    throw new RecorderError('config', `process ${holder} has died with ${turn}; remove that file`);
  await setTimeout(10);
}

/** Gives a file a second name, unless that is taken. */
async function isLinked(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The process that a lock names; 0 where there is none. */
const holderOf = async (path: string): Promise<number> => Number(await readFile(path, 'utf8').catch(() => '0'));

/** Whether a lock is that of another living process. A container gives every process the same number. */
const isOthers = (holder: number): boolean => holder !== process.pid && isAlive(holder);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return pid > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** PGlite has one connection. Kysely's dialect gives it to everybody at once, also in the middle of a transaction. */
class OneAtATime extends PGliteDialect {
  readonly #ended: () => void;

  constructor(config: PGliteDialectConfig, ended: () => void) {
    super(config);
    this.#ended = ended;
  }

  override createDriver(): Driver {
    const driver = super.createDriver();
    const acquire = driver.acquireConnection.bind(driver);
    const release = driver.releaseConnection.bind(driver);
    let free = Promise.resolve();
    const releases = new WeakMap<DatabaseConnection, () => void>();
    driver.acquireConnection = async (options) => {
      const before = free;
      const { promise, resolve } = Promise.withResolvers<void>();
      free = promise;
      await before;
      // PGlite works in this thread: between two of its turns, requests are read and answered.
      await new Promise((continued) => setImmediate(continued));
      const connection = await acquire(options);
      releases.set(connection, resolve);
      return connection;
    };
    const destroy = driver.destroy.bind(driver);
    driver.destroy = async (options) => {
      await destroy(options);
      this.#ended();
    };
    driver.releaseConnection = async (connection, options) => {
      await release(connection, options);
      releases.get(connection)?.();
    };
    return driver;
  }
}

/**
 * SQLSTATE (PostgreSQL, appendix A), by class: the connection is lost, no resources, the server stops or starts, or has
 * cancelled a statement that took too long; and of transactions that have lost against others, time after time.
 */
const UNREACHABLE = /^(?:08|53|57|40001|40P01)/;
const UNREACHABLE_SOCKET = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'ETIMEDOUT',
  'ENOENT',
  'EHOSTUNREACH',
]);
const UNREACHABLE_TEXT = /timeout exceeded when trying to connect|Connection terminated|Client has encountered/;

/** Whether an error says that the database can't be reached now: it may be there again soon. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code = '' } = error as NodeJS.ErrnoException;
  return UNREACHABLE.test(code) || UNREACHABLE_SOCKET.has(code) || UNREACHABLE_TEXT.test(error.message);
}

/** A NUL, and a number or a time out of range, or none. */
const UNSTORABLE = new Set(['22003', '22007', '22008', '22021', '22P02']);

/** Whether an error says that no column can hold a value. */
export const isUnstorable = (error: unknown): boolean =>
  error instanceof Error && UNSTORABLE.has(String((error as NodeJS.ErrnoException).code));
