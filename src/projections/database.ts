/**
 * The SQLite database that holds the projections, and the only importer of `node:sqlite`.
 *
 * It is opened with SQLite's exclusive lock and keeps it until it is closed or the process ends, however that happens:
 * so it is also the lock that keeps a second recorder off the same log. The file can be deleted at any time while the
 * service is stopped; one that is not a database, or of another layout, is replaced by an empty one.
 *
 * SQLite would sync on the thread that commits, and on a slow disk everything would wait for it. So SQLite does not sync,
 * and `compact` does it in the order that the write-ahead log needs, with syncs in other threads: it syncs the write-ahead
 * log before copying it into the database, the database before truncating the write-ahead log, and that before anything
 * is written to it again. A power cut leaves the state of the last `compact` or a later one, whole, as with
 * `synchronous = NORMAL` (sqlite.org/wal.html).
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, rmSync } from 'node:fs';
import { statfs } from '../async-files.ts';
import { basename, dirname, extname, join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementResultingChanges } from 'node:sqlite';
import { syncData, syncFile } from '../durable-file.ts';
import { RecorderError } from '../errors.ts';
import { LOG_FORMAT } from '../domain/entries.ts';
import { LAYOUT, SCHEMA } from './schema.ts';

/** A log of another format may hold what the database was made without. */
const MADE_FOR = 1000 * LOG_FORMAT + LAYOUT;

type Row = Record<string, SQLOutputValue>;
/** Of parameters in their order; those with names are in an object in front of them. */
type Value = SQLInputValue | Readonly<Record<string, SQLInputValue>>;

/** A statement of SQL. What is wrong with its text shows when it is first used. */
export interface Statement {
  run(...values: Value[]): StatementResultingChanges;
  get(...values: Value[]): Row | undefined;
  all(...values: Value[]): Row[];
  iterate(...values: Value[]): Iterable<Row>;
}

/** The database of a log is in the same directory: `audit.jsonl` has `audit.sqlite`. */
export const databasePath = (logPath: string): string =>
  join(dirname(logPath), `${basename(logPath, extname(logPath))}.sqlite`);

/** Result codes of SQLite that mean the file is of no use (sqlite.org/rescode.html). */
const UNUSABLE: ReadonlySet<unknown> = new Set([11 /* SQLITE_CORRUPT */, 26 /* SQLITE_NOTADB */]);
const BUSY: ReadonlySet<unknown> = new Set([5 /* SQLITE_BUSY */, 6 /* SQLITE_LOCKED */]);

/** The primary result code in an error of node:sqlite. */
const resultCode = (error: unknown): number => ((error as { errcode?: number }).errcode ?? 0) & 0xff;

/**
 * When two start at the same instant, SQLite may refuse the exclusive lock to both. So each tries again a few times, after
 * a random pause of up to so many milliseconds.
 */
const MOST_ATTEMPTS = 6;
const LONGEST_PAUSE = 150;
const pauseAtRandom = (): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10 + Math.random() * LONGEST_PAUSE);
};

export class Database {
  readonly #connection: DatabaseSync;
  readonly #begin: Statement;
  readonly #commit: Statement;
  /** Closed only after the connection: closing any descriptor of the file drops SQLite's lock (fcntl(2)). */
  readonly #file: number;
  readonly #writeAheadLog: number;
  readonly #path: string;
  /** Why a database of the present layout was replaced by an empty one: somebody else had changed it. */
  readonly altered: string | undefined;

  private constructor(path: string, connection: DatabaseSync, altered?: string) {
    this.#path = path;
    this.altered = altered;
    this.#connection = connection;
    this.#begin = connection.prepare('BEGIN');
    this.#commit = connection.prepare('COMMIT');
    this.#file = openSync(path, 'r+');
    this.#writeAheadLog = openSync(`${path}-wal`, 'r+');
  }

  /**
   * Opens or creates the database.
   * @throws RecorderError `locked` when another process holds it
   */
  static open(path: string): Database {
    for (let attempt = 1; ; attempt++) {
      try {
        const opened = connect(path);
        if (opened.connection !== undefined) return new Database(path, opened.connection);
        return new Database(path, connectToNew(path), opened.altered);
      } catch (error) {
        if (UNUSABLE.has(resultCode(error))) return new Database(path, connectToNew(path));
        if (!BUSY.has(resultCode(error))) throw error;
        if (attempt === MOST_ATTEMPTS) {
          throw new RecorderError('locked', `another recorder is running on this log (${path} is locked)`, {
            cause: error,
          });
        }
        pauseAtRandom();
      }
    }
  }

  prepare(sql: string): Statement {
    return new PreparedOnUse(this.#connection, sql);
  }

  /** Begins a transaction unless one is open. */
  begin(): void {
    if (!this.#connection.isTransaction) this.#begin.run();
  }

  /** Keeps what was written since `begin`. Throws when there is no room; then `rollBack`. */
  commit(): void {
    if (this.#connection.isTransaction) this.#commit.run();
  }

  /** Undoes what was written since `begin`. A full disk may have done so already. */
  rollBack(): void {
    if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK');
  }

  /** Deletes all rows. */
  empty(): void {
    // The search index keeps further tables, which SQLite empties itself.
    const tables = this.prepare(`
      SELECT name, type FROM pragma_table_list
      WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'`).all();
    this.begin();
    for (const { name, type } of tables) {
      const table = String(name);
      this.#connection.exec(
        type === 'virtual' ? `INSERT INTO ${table} (${table}) VALUES ('delete-all')` : `DELETE FROM ${table}`,
      );
    }
    this.commit();
  }

  /** How many bytes there are left on its disk. */
  async room(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#path);
    return bavail * bsize;
  }

  /** The size of the write-ahead log in bytes. */
  get uncompacted(): number {
    return fstatSync(this.#writeAheadLog).size;
  }

  /** Copies the write-ahead log into the database. No transaction may be open, nor begin, until that is done. */
  async compact(): Promise<void> {
    await syncData(this.#writeAheadLog);
    this.#connection.exec('PRAGMA wal_checkpoint(PASSIVE)');
    await syncData(this.#file);
    this.#connection.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    await syncFile(this.#writeAheadLog);
  }

  close(): void {
    try {
      fdatasyncSync(this.#writeAheadLog);
      this.#connection.exec('PRAGMA wal_checkpoint(PASSIVE)');
      fdatasyncSync(this.#file);
    } catch {
      // With a full disk the write-ahead log stays for the next start.
    }
    this.#connection.close();
    closeSync(this.#file);
    closeSync(this.#writeAheadLog);
  }
}

/**
 * A statement that SQLite prepares when it is first used. There are two hundred, of which an idle service uses a few: to
 * prepare all of them takes a fortieth of a start, and more than a MiB.
 */
class PreparedOnUse implements Statement {
  readonly #connection: DatabaseSync;
  readonly #sql: string;

  constructor(connection: DatabaseSync, sql: string) {
    this.#connection = connection;
    this.#sql = sql;
  }

  // At the first call of one, all are replaced by those of Node's own statement: from then on it costs no more than that.

  run(...values: Value[]): StatementResultingChanges {
    return this.#prepare().run(...values);
  }

  get(...values: Value[]): Row | undefined {
    return this.#prepare().get(...values);
  }

  all(...values: Value[]): Row[] {
    return this.#prepare().all(...values);
  }

  iterate(...values: Value[]): Iterable<Row> {
    return this.#prepare().iterate(...values);
  }

  #prepare(): Statement {
    const prepared = this.#connection.prepare(this.#sql) as unknown as Statement;
    this.run = prepared.run.bind(prepared);
    this.get = prepared.get.bind(prepared);
    this.all = prepared.all.bind(prepared);
    this.iterate = prepared.iterate.bind(prepared);
    return prepared;
  }
}

/** A connection to a database of the present layout; without one, why it can't be used when its layout is no reason. */
interface Opened {
  readonly connection?: DatabaseSync;
  readonly altered?: string;
}

function connect(path: string): Opened {
  const connection = new DatabaseSync(path);
  try {
    connection.exec(`
      PRAGMA trusted_schema = OFF;
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = OFF;
      PRAGMA wal_autocheckpoint = 0;
      PRAGMA temp_store = MEMORY;
      PRAGMA cache_size = -4096;
    `);
    connection.exec('BEGIN IMMEDIATE');
    const layout = connection.prepare('PRAGMA user_version').get()?.user_version;
    const isNew = layout === 0 && schemaOf(connection).size === 0;
    if (isNew) connection.exec(`${SCHEMA}; PRAGMA user_version = ${MADE_FOR}`);
    connection.exec('COMMIT');
    if (isNew) return { connection };
    const altered = layout === 0 || layout === MADE_FOR ? differenceIn(connection) : undefined;
    if ((layout === 0 || layout === MADE_FOR) && altered === undefined) return { connection };
    connection.close();
    return altered === undefined ? {} : { altered };
  } catch (error) {
    connection.close();
    throw error;
  }
}

function connectToNew(path: string): DatabaseSync {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${suffix}`, { force: true });
  const { connection } = connect(path);
  if (connection === undefined) throw new RecorderError('internal', `${path} can't be replaced by an empty database`);
  return connection;
}

/** How the schema of a database differs from `SCHEMA`: a trigger could hide what is written, a view what is read. */
function differenceIn(connection: DatabaseSync): string | undefined {
  const model = new DatabaseSync(':memory:');
  try {
    model.exec(SCHEMA);
    const [found, expected] = [schemaOf(connection), schemaOf(model)];
    const names = [...new Set([...found.keys(), ...expected.keys()])];
    const name = names.find((one) => found.get(one) !== expected.get(one));
    if (name === undefined) return undefined;
    return `${name} in the database ${expected.has(name) ? 'is not as the recorder makes it' : 'is not of the recorder'}`;
  } finally {
    model.close();
  }
}

/** Everything in the schema of a database: its type and name, and the SQL that makes it. */
function schemaOf(connection: DatabaseSync): ReadonlyMap<string, string> {
  const rows = connection.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema').all();
  return new Map(rows.map(({ type, name, tbl_name, sql }) => [[type, name].join(' '), [tbl_name, sql].join(' ')]));
}
