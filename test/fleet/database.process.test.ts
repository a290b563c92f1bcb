import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { sql } from 'kysely';
import { RecorderError } from '../../src/errors.ts';
import { isUnreachable, openDatabase } from '../../src/fleet/database.ts';
import { durabilityWarnings } from '../../src/fleet/durability.ts';
import { lockFolder } from '../../src/fleet/pglite/folder-lock.ts';
import { Engine } from './support/engines.ts';
import { Postgres, postgresPrograms } from './support/postgres.ts';

describe('the database of the fleet', () => {
  it('is to be asked again after what passes, and not after what does not', () => {
    const withCode = (code: string): Error => Object.assign(new Error('no'), { code });
    // Among them: cancelled, as it took too long; lost against others.
    for (const code of ['08006', '53300', '57P01', '57014', '40001', '40P01', '25006', 'ECONNREFUSED'])
      expect(isUnreachable(withCode(code)), code).to.equal(true);
    for (const code of ['23505', '42P01', '22P02', '40002', 'ENOSPC'])
      expect(isUnreachable(withCode(code)), code).to.equal(false);
  });

  it('gives the folder of PGlite to one process, of many that find the lock of a dead one', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'fleet-lock-'));
    const folder = join(parent, 'database');
    // No process has this number.
    writeFileSync(`${folder}.lock`, '4194999');
    // They start together, and keep what they have got until all have said.
    const program = `
      const { lockFolder } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/fleet/pglite/folder-lock.ts'))});
      process.stdout.write('ready');
      await new Promise((resolve) => process.stdin.once('data', resolve));
      try { await lockFolder(${JSON.stringify(folder)}); process.stdout.write('locked'); }
      catch (error) { process.stdout.write(error.code); }`;
    const children = Array.from({ length: 4 }, () => spawn(process.execPath, ['--input-type=module', '-e', program]));
    const says = async ({ stdout }: (typeof children)[number]): Promise<string> => {
      const [said] = (await once(stdout, 'data')) as [Buffer];
      return said.toString();
    };
    try {
      expect(await Promise.all(children.map(says))).to.deep.equal(Array.from({ length: 4 }, () => 'ready'));
      const answers = Promise.all(children.map(says));
      for (const { stdin } of children) stdin.write('go');
      const said = await answers;
      await Promise.all(
        children.map(async (child) => {
          const exited = once(child, 'exit');
          child.stdin.end();
          await exited;
        }),
      );
      expect(said.toSorted()).to.deep.equal(['config', 'config', 'config', 'locked']);
      expect(readdirSync(parent).toSorted()).to.deep.equal(['database', 'database.lock']);
    } finally {
      for (const child of children) child.kill();
      rmSync(parent, { recursive: true, force: true });
    }
  });

  it('takes no other process for the one that has left a lock and had the same number', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'fleet-lock-'));
    const folder = join(parent, 'database');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const other = process.ppid;
    const start = readFileSync(`/proc/${other}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[19];
    const lockedOver = async (text: string): Promise<string> => {
      writeFileSync(`${folder}.lock`, text);
      const unlock = await lockFolder(folder).catch((error: { readonly code: string }) => error.code);
      if (typeof unlock === 'string') return unlock;
      unlock();
      return 'locked';
    };
    try {
      expect(await lockedOver(`${other} 1 ${boot}`)).to.equal('locked');
      expect(await lockedOver(`${other} ${start} 00000000-0000-0000-0000-000000000000`)).to.equal('locked');
      expect(await lockedOver(`${other} ${start} ${boot}`)).to.equal('config');
      const unlock = await lockFolder(join(parent, 'another'));
      expect(
        await lockFolder(join(parent, 'another')).catch((error: { readonly code: string }) => error.code),
      ).to.equal('config');
      unlock();
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  });

  it('says what is in the way of a lock and is none, and waits for nothing', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'fleet-lock-'));
    const folder = join(parent, 'database');
    const [lock, removing] = [`${folder}.lock`, `${folder}.lock.removing`];
    const faultOf = async (): Promise<string> => {
      const caught: unknown = await lockFolder(folder).catch((error: unknown) => error);
      return caught instanceof RecorderError ? `${caught.code}: ${caught.message}` : 'locked';
    };
    try {
      mkdirSync(lock);
      expect(await faultOf()).to.equal(`config: ${lock} can't be read (EISDIR); if no fleet runs here, remove it`);
      rmSync(lock, { recursive: true });
      // A lock of a process that is dead, which none has removed.
      writeFileSync(lock, '4194999');
      mkdirSync(removing);
      expect(await faultOf()).to.equal(`config: ${removing} can't be read (EISDIR); if no fleet runs here, remove it`);
      rmSync(removing, { recursive: true });
      writeFileSync(removing, '');
      expect(await faultOf()).to.equal(`config: ${removing} is empty; remove that file`);
      rmSync(removing);
      expect(await faultOf()).to.equal('locked');
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  });

  it('says when PGlite can make no checkpoint, goes on, and tries again', async function () {
    this.timeout(120_000);
    const engine = new Engine('PGlite');
    const folder = join(engine.directory(), 'database');
    const fleet = await engine.fleet({ database: { folder, checkpointAfter: 1, checkpointAgain: 0 } });
    const mappings = join(folder, 'pg_logical/mappings');
    const health = async () => {
      const response = await fetch(`http://127.0.0.1:${fleet.address.port}/health`);
      return { code: response.status, ...((await response.json()) as { status: string; warnings: string[] }) };
    };
    const changed = async () => {
      await fleet.enrolment.invite('a', {}, 'test');
      return health();
    };
    try {
      expect(await changed()).to.deep.include({ status: 'ok', warnings: [] });
      // Each checkpoint looks into it.
      renameSync(mappings, `${mappings}-elsewhere`);
      const failed = await changed();
      expect(failed).to.include({ code: 200, status: 'ok' });
      expect(failed.warnings).to.have.length(1);
      expect(failed.warnings[0]).to.match(/^the last checkpoint of the database has failed: .*pg_logical\/mappings/);
      renameSync(`${mappings}-elsewhere`, mappings);
      expect(await changed()).to.deep.include({ status: 'ok', warnings: [] });
    } finally {
      await fleet.stop();
      engine.end();
    }
  });

  it('leaves this thread its turns while PGlite works', async () => {
    const db = await openDatabase({ folder: undefined });
    try {
      let turns = 0;
      let isDone = false;
      const count = (): void => {
        turns += 1;
        if (!isDone) setImmediate(count);
      };
      setImmediate(count);
      // One statement that takes a while.
      await sql`SELECT count(*) FROM generate_series(1, 1000000)`.execute(db);
      isDone = true;
      expect(turns).to.be.at.least(100);
    } finally {
      await db.destroy();
    }
  });

  it('gives a transaction on PGlite the connection for itself', async () => {
    const db = await openDatabase({ folder: undefined });
    try {
      await sql`CREATE TABLE kept (name text PRIMARY KEY, count bigint)`.execute(db);
      const add = (name: string) => sql`INSERT INTO kept VALUES (${name}, 1)`;
      const undone = db.transaction().execute(async (tx) => {
        await add('undone').execute(tx);
        await new Promise((resolve) => setTimeout(resolve, 50));
        throw new Error('undo it');
      });
      const outside = add('outside').execute(db);
      expect(await undone.catch(String)).to.equal('Error: undo it');
      await outside;
      // A statement that fails gives the code of PostgreSQL, and the connection goes on.
      expect(
        await add('outside')
          .execute(db)
          .catch(({ code }: { code: string }) => code),
      ).to.equal('23505');
      expect((await sql`SELECT * FROM kept`.execute(db)).rows).to.deep.equal([{ name: 'outside', count: 1 }]);
    } finally {
      await db.destroy();
    }
  });

  it('says when PGlite ends unasked, and why', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'fleet-damaged-'));
    try {
      const folder = join(directory, 'database');
      await openDatabase({ folder }).then((db) => db.destroy());
      rmSync(join(folder, 'global'), { recursive: true });
      const error = await openDatabase({ folder }).catch((caught: unknown) => caught as Error);
      expect(error).to.be.instanceOf(Error);
      expect((error as Error).message)
        .to.include('could not open')
        .and.to.include('global/pg_control');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('says when it may lose what it has acknowledged', async function () {
    this.timeout(120_000);
    const engine = new Engine('PGlite');
    const folder = join(engine.directory(), 'database');
    for (const [place, warning] of [
      [{ folder: undefined }, 'fsync is off'],
      [{ folder }, ''],
    ] as const) {
      const fleet = await engine.fleet({ database: place });
      try {
        const response = await fetch(`http://127.0.0.1:${fleet.address.port}/health`);
        const health = (await response.json()) as { status: string; warnings: string[] };
        expect(health.status).to.equal('ok');
        expect(health.warnings).to.have.length(warning === '' ? 0 : 1);
        expect(health.warnings.join()).to.include(warning);
      } finally {
        await fleet.stop();
      }
    }
    engine.end();
    if (postgresPrograms() === undefined) {
      console.warn('SKIPPED on PostgreSQL, which is not installed (apt-get install postgresql)');
      return;
    }
    const postgres = await Postgres.start();
    try {
      const expectWarned = async (awaited: string, statements: readonly string[], needsStandby = false) => {
        const db = await openDatabase({ url: postgres.database(), connections: 1 });
        try {
          for (const statement of statements) await sql.raw(statement).execute(db);
          // The server takes its time to read its settings again.
          for (let attempt = 0; ; attempt++) {
            const warnings = (await durabilityWarnings(db, needsStandby)).join('; ');
            if (attempt === 100) throw new Error(`expected "${awaited}", and the warnings are "${warnings}"`);
            if (awaited === '' ? warnings === '' : warnings.includes(awaited)) return;
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
        } finally {
          await db.destroy();
        }
      };
      await expectWarned('', []);
      await expectWarned('synchronous_standby_names is empty', [], true);
      await expectWarned('synchronous_commit is off', ['SET synchronous_commit = off']);
      const alter = (setting: string): readonly string[] => [
        'SET synchronous_commit = local',
        `ALTER SYSTEM SET ${setting}`,
        'SELECT pg_reload_conf()',
      ];
      await expectWarned('fsync is off', alter('fsync = off'));
      // From here on a commit waits.
      await expectWarned('no synchronous standby is connected', alter("synchronous_standby_names = 'one'"));
    } finally {
      postgres.end();
    }
  });
});
