import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { Database, databasePath } from '../../src/projections/database.ts';
import { RecorderError } from '../../src/errors.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

describe('Database', () => {
  const directory = temporaryDirectories();

  it('is next to the log', () => {
    expect(databasePath('/logs/incident-recorder-audit.jsonl')).to.equal('/logs/incident-recorder-audit.sqlite');
    expect(databasePath('/logs/audit')).to.equal('/logs/audit.sqlite');
  });

  it('prepares a statement when it is first used', () => {
    const database = Database.open(join(directory(), 'audit.sqlite'));
    const faulty = database.prepare('SELECT one FROM nowhere');
    expect(() => faulty.get()).to.throw(/no such table/);
    const hours = database.prepare('SELECT count(*) AS n, $named AS named FROM hours WHERE hour > ?');
    expect(hours.get({ named: 1 }, 5)).to.include({ n: 0, named: 1 });
    expect(hours.all({ named: 2 }, 5)).to.have.length(1);
    expect([...hours.iterate({ named: 3 }, 5)]).to.have.length(1);
    database.close();
  });

  it('is locked for as long as it is open', () => {
    const path = join(directory(), 'audit.sqlite');
    const first = Database.open(path);
    expect(() => Database.open(path))
      .to.throw(RecorderError, /another recorder/)
      .with.property('code', 'locked');
    first.close();
    Database.open(path).close();
  });

  for (const [what, content] of [
    ['that is no database', 'not a database, and longer than its header of 100 bytes'.repeat(3)],
    ['of zeros', Buffer.alloc(8192)],
    ['of nothing', ''],
  ] as const) {
    it(`replaces a file ${what}`, () => {
      const path = join(directory(), 'audit.sqlite');
      writeFileSync(path, content);
      const database = Database.open(path);
      expect(database.prepare('SELECT count(*) AS n FROM incidents').get()?.n).to.equal(0);
      database.close();
    });
  }

  it('replaces a database of another layout', () => {
    const path = join(directory(), 'audit.sqlite');
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE incidents (what TEXT); PRAGMA user_version = 999');
    other.close();
    const database = Database.open(path);
    expect(database.prepare('SELECT count(*) AS n FROM entries').get()?.n).to.equal(0);
    database.close();
  });

  for (const [what, sql] of [
    ['trigger', "CREATE TRIGGER hide AFTER INSERT ON incidents BEGIN DELETE FROM incidents WHERE source = 'x'; END"],
    ['view', 'CREATE VIEW mine AS SELECT 1'],
    ['table', 'CREATE TABLE mine (what TEXT)'],
    ['index', 'CREATE INDEX mine ON incidents (source)'],
    ['changed table', 'DROP TABLE webhooks; CREATE TABLE webhooks (url TEXT, seq INTEGER)'],
    ['missing table', 'DROP TABLE webhooks'],
    [
      'trigger in a new file',
      'CREATE TRIGGER hide AFTER INSERT ON incidents BEGIN SELECT 1; END; PRAGMA user_version = 0',
    ],
  ] as const) {
    it(`replaces a database with a ${what} of somebody else`, () => {
      const path = join(directory(), 'audit.sqlite');
      Database.open(path).close();
      const other = new DatabaseSync(path);
      other.exec(sql);
      other.exec("INSERT INTO entered (state, count) VALUES ('open', 17)");
      other.close();
      const database = Database.open(path);
      expect(database.altered).to.match(/in the database is not/);
      expect(database.prepare('SELECT count(*) AS n FROM entered').get()?.n).to.equal(0);
      expect(database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE type = 'trigger'").get()?.n).to.equal(0);
      database.close();
      const again = Database.open(path);
      expect(again.altered).to.equal(undefined);
      again.close();
    });
  }

  it('keeps what was committed and nothing of what was rolled back', () => {
    const path = join(directory(), 'audit.sqlite');
    const database = Database.open(path);
    const enter = database.prepare('INSERT INTO entered (state, count) VALUES (?, 1)');
    database.begin();
    enter.run('open');
    database.rollBack();
    database.begin();
    enter.run('contained');
    database.commit();
    expect(
      database
        .prepare('SELECT state FROM entered')
        .all()
        .map(({ state }) => state),
    ).to.deep.equal(['contained']);
    database.close();
    expect(existsSync(`${path}-wal`)).to.equal(false);
  });

  it('compacts a write-ahead log that has grown, and keeps what is in it', async () => {
    const path = join(directory(), 'audit.sqlite');
    const database = Database.open(path);
    const enter = database.prepare('INSERT INTO idempotency (key, fingerprint, incident, seq) VALUES (?, ?, 1, 1)');
    for (let n = 0; database.uncompacted < 4_000_000; n++) {
      database.begin();
      enter.run(`key ${n}`, 'x'.repeat(100_000));
      database.commit();
    }
    const count = (): unknown => database.prepare('SELECT count(*) AS n FROM idempotency').get()?.n;
    const before = count();
    await database.compact();
    expect([database.uncompacted, statSync(`${path}-wal`).size]).to.deep.equal([0, 0]);
    expect(count()).to.equal(before);
    database.close();
  });
});
