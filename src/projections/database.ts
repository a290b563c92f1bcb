/**
 * The SQLite database that holds the projections, and the only importer of `node:sqlite`.
 *
 * It is opened with SQLite's exclusive lock and keeps it until it is closed or the process ends, however that happens:
 * so it is also the lock that keeps a second recorder off the same log. The file can be deleted at any time while the
 * service is stopped; one that is not a database, or of another layout, is replaced by an empty one.
 */
import { rmSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { RecorderError } from '../errors.ts';
import { LAYOUT, SCHEMA } from './schema.ts';

export type Statement = StatementSync;

/** The database of a log stands beside it: `audit.jsonl` has `audit.sqlite`. */
export const databasePath = (logPath: string): string =>
  join(dirname(logPath), `${basename(logPath, extname(logPath))}.sqlite`);

/** Result codes of SQLite that mean the file is of no use (sqlite.org/rescode.html). */
const UNUSABLE: ReadonlySet<unknown> = new Set([11 /* SQLITE_CORRUPT */, 26 /* SQLITE_NOTADB */]);
const BUSY: ReadonlySet<unknown> = new Set([5 /* SQLITE_BUSY */, 6 /* SQLITE_LOCKED */]);

/** The primary result code in an error of node:sqlite. */
const resultCode = (error: unknown): number => ((error as { errcode?: number }).errcode ?? 0) & 0xff;

export class Database {
  readonly #connection: DatabaseSync;

  private constructor(connection: DatabaseSync) {
    this.#connection = connection;
  }

  /**
   * Opens or creates the database.
   * @throws RecorderError `locked` when another process holds it
   */
  static open(path: string): Database {
    try {
      return new Database(connect(path) ?? connectAnew(path));
    } catch (error) {
      if (BUSY.has(resultCode(error))) {
        throw new RecorderError('locked', `another recorder is running on this log (${path} is locked)`, {
          cause: error,
        });
      }
      if (UNUSABLE.has(resultCode(error))) return new Database(connectAnew(path));
      throw error;
    }
  }

  prepare(sql: string): Statement {
    return this.#connection.prepare(sql);
  }

  /** Runs `work` in one transaction: all of it is kept, or none when it throws. */
  transaction(work: () => void): void {
    this.#connection.exec('BEGIN');
    try {
      work();
      this.#connection.exec('COMMIT');
    } catch (error) {
      // A full disk may have rolled back already.
      if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK');
      throw error;
    }
  }

  /** Deletes all rows. */
  empty(): void {
    const tables = this.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).all();
    this.transaction(() => {
      for (const { name } of tables) this.#connection.exec(`DELETE FROM ${String(name)}`);
    });
  }

  close(): void {
    this.#connection.close();
  }
}

/** A connection to a database of the present layout; `undefined` when it has another. */
function connect(path: string): DatabaseSync | undefined {
  const connection = new DatabaseSync(path);
  try {
    connection.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA temp_store = MEMORY;
      PRAGMA cache_size = -4096;
    `);
    connection.exec('BEGIN IMMEDIATE');
    const layout = connection.prepare('PRAGMA user_version').get()?.user_version;
    if (layout === 0) connection.exec(`${SCHEMA}; PRAGMA user_version = ${LAYOUT}`);
    connection.exec('COMMIT');
    if (layout === 0 || layout === LAYOUT) return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
  connection.close();
  return undefined;
}

function connectAnew(path: string): DatabaseSync {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${suffix}`, { force: true });
  const connection = connect(path);
  if (connection === undefined) throw new RecorderError('internal', `${path} can't be made anew`);
  return connection;
}
