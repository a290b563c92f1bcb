import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { sql } from 'kysely';
import { isUnreachable, openDatabase } from '../../src/fleet/database.ts';
import { durabilityWarnings } from '../../src/fleet/durability.ts';
import { Engine } from './support/engines.ts';
import { Postgres, postgresPrograms } from './support/postgres.ts';

describe('the database of the fleet', () => {
  it('is to be asked again after what passes, and not after what does not', () => {
    const withCode = (code: string): Error => Object.assign(new Error('no'), { code });
    // Among them: cancelled, as it took too long; lost against others.
    for (const code of ['08006', '53300', '57P01', '57014', '40001', '40P01', 'ECONNREFUSED'])
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
      const { lockFolder } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/fleet/database.ts'))});
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

  it('leaves requests their turn while PGlite works without a pause', async () => {
    const db = await openDatabase({ folder: undefined });
    try {
      let turns = 0;
      let isDone = false;
      const count = (): void => {
        turns += 1;
        if (!isDone) setImmediate(count);
      };
      setImmediate(count);
      for (let query = 0; query < 20; query++) await sql`SELECT 1`.execute(db);
      isDone = true;
      expect(turns).to.be.at.least(20);
    } finally {
      await db.destroy();
    }
  });

  it('says when it may lose what it has acknowledged', async function () {
    this.timeout(120_000);
    const engine = new Engine('PGlite');
    const fleet = await engine.fleet();
    try {
      const response = await fetch(`http://127.0.0.1:${fleet.address.port}/health`);
      const health = (await response.json()) as { status: string; warnings: string[] };
      expect(health.status).to.equal('ok');
      expect(health.warnings.join()).to.include('PGlite does not sync its files');
    } finally {
      await fleet.stop();
      engine.end();
    }
    if (postgresPrograms() === undefined) {
      console.warn('SKIPPED on PostgreSQL, which is not installed (apt-get install postgresql)');
      return;
    }
    const postgres = await Postgres.start();
    try {
      const warned = async (statements: readonly string[], needsStandby = false): Promise<string> => {
        const db = await openDatabase({ url: postgres.database(), connections: 1 });
        try {
          for (const statement of statements) await sql.raw(statement).execute(db);
          // The server takes its time to read its settings again.
          for (let attempt = 0; ; attempt++) {
            const warnings = await durabilityWarnings(db, needsStandby);
            if (warnings.length > 0 || statements.length === 0 || attempt === 100) return warnings.join('; ');
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
        } finally {
          await db.destroy();
        }
      };
      expect(await warned([])).to.equal('');
      expect(await warned([], true)).to.include('synchronous_standby_names is empty');
      expect(await warned(['SET synchronous_commit = off'])).to.include('synchronous_commit is off');
      const alter = (setting: string): readonly string[] => [
        'SET synchronous_commit = local',
        `ALTER SYSTEM SET ${setting}`,
        'SELECT pg_reload_conf()',
      ];
      expect(await warned(alter('fsync = off'))).to.include('fsync is off');
      // From here on a commit waits.
      expect(await warned(alter("synchronous_standby_names = 'one'"))).to.include(
        'no synchronous standby is connected',
      );
    } finally {
      postgres.end();
    }
  });
});
