import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';

/** The rows of every table in the order of its primary key, each as JSON. */
export type Tables = ReadonlyMap<string, readonly string[]>;

/** Reads the database of a service that has stopped, from a copy, so that nothing is touched. */
export function readTables(path: string): Tables {
  const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-'));
  const copy = join(directory, 'copy.sqlite');
  // SQLite's own log stays behind where it could not be moved into the database.
  for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
  const database = new DatabaseSync(copy);
  try {
    // How an index of words is laid out in its own tables depends on when it was written.
    const names = database
      .prepare(
        `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'
         ORDER BY name`,
      )
      .all();
    return new Map(names.map(({ name }) => [String(name), rowsOf(database, String(name))]));
  } finally {
    database.close();
    rmSync(directory, { recursive: true });
  }
}

function rowsOf(database: DatabaseSync, table: string): readonly string[] {
  const keys = database
    .prepare(`SELECT name FROM pragma_table_info('${table}') WHERE pk > 0 ORDER BY pk`)
    .all()
    .map(({ name }) => name);
  return database
    .prepare(`SELECT * FROM ${table} ORDER BY ${keys.join()}`)
    .all()
    .map((row) => JSON.stringify(row));
}

/** How far the log was applied moves with every start and stop; what was made of it must not. */
const MOVES = 'position';

export function expectSameTables(rebuilt: Tables, before: Tables): void {
  expect([...rebuilt.keys()]).to.deep.equal([...before.keys()]);
  for (const [table, rows] of before) {
    if (table === MOVES) continue;
    const again = rebuilt.get(table)!;
    const differs = rows.findIndex((row, n) => row !== again[n]);
    expect(again[differs], `row ${differs} of ${table}`).to.equal(rows[differs]);
    expect(again.length, `rows of ${table}`).to.equal(rows.length);
  }
}
