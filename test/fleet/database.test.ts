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
