import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { sql } from 'kysely';
import { isUnreachable, openDatabase } from '../../src/fleet/database.ts';

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
});
