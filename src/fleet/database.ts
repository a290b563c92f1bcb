/**
 * The database of the fleet: any server that speaks PostgreSQL's protocol, or PGlite, which is PostgreSQL in a thread of this
 * process.
 *
 * The same SQL runs on both. Numbers of 64 bits come as numbers, times as `Date`.
 */
import { Socket } from 'node:net';
import { type Driver, Kysely, PostgresDialect, type PostgresDialectConfig } from 'kysely';
import type { CustomTypesConfig, Pool, PoolConfig } from 'pg';
import { RecorderError } from '../errors.ts';
import { lockFolder } from './pglite/folder-lock.ts';
import { PGliteThread, type ThreadPlace, type Troubles } from './pglite/pglite-thread.ts';
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
  | ThreadPlace;

/** How many transactions there can be at once: PGlite has one connection. */
export const connectionsOf = (place: DatabasePlace): number =>
  'url' in place ? (place.connections ?? CONNECTIONS) : 1;

/**
 * Opens the database.
 * @param place `folder: undefined` keeps everything in memory
 * @param lost is called when an idle connection to the server breaks; the next query makes a new one
 * @param failed is called when PGlite ends unasked: nothing can be asked any more, and the process has to end
 * @param troubled is called whenever what is wrong with PGlite has changed, while it goes on
 */
export async function openDatabase(
  place: DatabasePlace,
  lost: (error: Error) => void = () => {},
  failed: (error: Error) => void = endWith,
  troubled: (troubles: Troubles) => void = () => {},
): Promise<FleetDatabase> {
  if ('url' in place) return onServer(place, lost);
  return onPGlite(place, failed, troubled);
}

/** Nobody waits for it, so the process gets it as an uncaught exception. */
function endWith(error: Error): never {
  throw error;
}

async function onServer(
  { url, connections = CONNECTIONS, silentWithin = SILENT_WITHIN }: Extract<DatabasePlace, { readonly url: string }>,
  lost: (error: Error) => void,
): Promise<FleetDatabase> {
  const pool = await poolOf({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: CONNECT_WITHIN,
    statement_timeout: STATEMENT_WITHIN,
    idle_in_transaction_session_timeout: STATEMENT_WITHIN,
    application_name: 'incident-fleet',
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

async function onPGlite(
  place: ThreadPlace,
  failed: (error: Error) => void,
  troubled: (troubles: Troubles) => void,
): Promise<FleetDatabase> {
  const { folder } = place;
  try {
    import.meta.resolve('@electric-sql/pglite');
  } catch (cause) {
    throw new RecorderError('config', 'PGlite is not installed; set FLEET_DATABASE_URL to use a server', { cause });
  }
  const unlock = folder === undefined ? () => {} : await lockFolder(folder);
  try {
    const thread = await PGliteThread.start(place, failed, troubled);
    const pool = await poolOf({
      // There is one, and it stays. Everybody waits for it, and a transaction has it for itself.
      max: 1,
      idleTimeoutMillis: 0,
      ssl: false,
      stream: () => thread.connect(),
    });
    const end = async (): Promise<void> => {
      await thread.close();
      unlock();
    };
    const db = new Kysely<FleetTables>({ dialect: new EndingDialect({ pool }, end) });
    // Kysely ends only what it has used.
    await db.connection().execute(() => Promise.resolve());
    return db;
  } catch (error) {
    unlock();
    throw error;
  }
}

/** A pool of connections whose numbers of 64 bits come as numbers: none exceeds 2^53. */
async function poolOf(config: PoolConfig): Promise<Pool> {
  const { default: pg } = await import('pg');
  const parserOf = pg.types.getTypeParser as (oid: number, format: string) => unknown;
  const getTypeParser = (oid: number, format: string): unknown => (oid === INT8 ? Number : parserOf(oid, format));
  return new pg.Pool({ ...config, types: { getTypeParser } as CustomTypesConfig });
}

/** Ends what it works on after its connections. */
class EndingDialect extends PostgresDialect {
  readonly #end: () => Promise<void>;

  constructor(config: PostgresDialectConfig, end: () => Promise<void>) {
    super(config);
    this.#end = end;
  }

  override createDriver(): Driver {
    const driver = super.createDriver();
    const destroy = driver.destroy.bind(driver);
    driver.destroy = async (options) => {
      await destroy(options);
      await this.#end();
    };
    return driver;
  }
}

/** SQLSTATE (PostgreSQL, appendix A). */
const DISK_FULL = '53100';
const READ_ONLY = '25006';
/**
 * SQLSTATE, by class: the connection is lost, no resources, the server stops or starts, or has cancelled a statement that took
 * too long; of transactions that have lost against others, time after time; and of changes where there can be none now.
 */
const UNREACHABLE = /^(?:08|53|57|40001|40P01|25006)/;
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

/** Why nothing can be asked or stored now, of an error that `isUnreachable` knows. */
export function whyUnreachable(error: unknown): string {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === DISK_FULL) return 'the disk of the database is full';
  if (code === READ_ONLY) return 'the database can only be read now: its disk is full, or it is a standby';
  return 'the database is not reachable';
}

/** A NUL, and a number or a time out of range, or none. */
const UNSTORABLE = new Set(['22003', '22007', '22008', '22021', '22P02']);

/** Whether an error says that no column can hold a value. */
export const isUnstorable = (error: unknown): boolean =>
  error instanceof Error && UNSTORABLE.has(String((error as NodeJS.ErrnoException).code));
