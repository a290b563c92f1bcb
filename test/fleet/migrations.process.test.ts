import { expect } from 'chai';
import { sql } from 'kysely';
import { openDatabase } from '../../src/fleet/database.ts';
import { citusStatements, LAYOUT, layoutOf, migrate, requireLayout } from '../../src/fleet/migrations.ts';
import { TABLES } from '../../src/fleet/schema.ts';
import { onEachEngine } from './support/engines.ts';

onEachEngine('migrations', (engine) => {
  const open = async () =>
    openDatabase(engine.postgres === undefined ? { folder: undefined } : { url: engine.postgres.database() });

  it('bring an empty database to the layout of this program, and may be run again', async () => {
    const db = await open();
    try {
      const refusal = await requireLayout(db).catch((error: Error) => error.message);
      expect(refusal).to.match(/the database is empty.*fleet migrate/);
      expect(await migrate(db)).to.deep.equal({ from: 0, to: LAYOUT });
      expect(await migrate(db)).to.deep.equal({ from: LAYOUT, to: LAYOUT });
      await requireLayout(db);
    } finally {
      await db.destroy();
    }
  });

  it('may be run by several at the same time', async function () {
    if (engine.postgres === undefined) this.skip();
    const place = { url: engine.postgres.database() };
    const all = await Promise.all(Array.from({ length: 4 }, () => openDatabase(place)));
    try {
      const done = await Promise.all(all.map((db) => migrate(db)));
      expect(done.map(({ to }) => to)).to.deep.equal([LAYOUT, LAYOUT, LAYOUT, LAYOUT]);
      await requireLayout(all[0]!);
    } finally {
      await Promise.all(all.map((db) => db.destroy()));
    }
  });

  it('are refused by an older program', async () => {
    const db = await open();
    try {
      await migrate(db);
      await db
        .updateTable('meta')
        .set({ value: String(LAYOUT + 1) })
        .where('name', '=', 'layout')
        .execute();
      for (const attempt of [migrate, requireLayout]) {
        const refusal = await attempt(db).catch((error: Error) => error);
        expect(refusal).to.include({ code: 'config' });
        expect((refusal as Error).message).to.include('a newer one has migrated it');
      }
      expect(await layoutOf(db)).to.equal(LAYOUT + 1);
    } finally {
      await db.destroy();
    }
  });

  it('make tables whose keys all begin with the machine, and no sequence', async () => {
    const db = await open();
    try {
      await migrate(db);
      const { rows } = await sql<{ table: string; first: string }>`
        SELECT t.relname AS table, a.attname AS first FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
        JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE i.indisprimary AND n.nspname = 'public'`.execute(db);
      expect(rows.map(({ table }) => table).toSorted()).to.deep.equal([...TABLES].toSorted());
      expect(new Set(rows.map(({ first }) => first))).to.deep.equal(new Set(['machine']));
      const unique = await sql`
        SELECT 1 FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE i.indisunique AND NOT i.indisprimary AND n.nspname = 'public'`.execute(db);
      const sequences = await sql`SELECT 1 FROM pg_class WHERE relkind = 'S'`.execute(db);
      expect([...unique.rows, ...sequences.rows]).to.deep.equal([]);
    } finally {
      await db.destroy();
    }
  });
});

describe('fleet schema --citus', () => {
  it('distributes every table by machine', () => {
    const statements = citusStatements();
    expect(statements).to.have.length(TABLES.length);
    const all = statements.join('\n');
    for (const table of TABLES) {
      // It has few rows and belongs to no machine: each node has all of it.
      if (table === 'campaigns') expect(all).to.include(`create_reference_table('${table}')`);
      else expect(all).to.include(`create_distributed_table('${table}', 'machine'`);
    }
  });
});
