import { copyFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { databasePath } from '../../src/projections/database.ts';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { expectSameTables, readTables } from './support/tables.ts';

describe('given a database that was spoilt while the service was stopped', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  for (const [what, spoil] of [
    ['deleted', (path: string) => rmSync(path)],
    ['emptied', (path: string) => truncateSync(path)],
    ['overwritten with zeros', (path: string) => writeFileSync(path, Buffer.alloc(statSync(path).size))],
    ['cut in half', (path: string) => truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096)],
    ['replaced by something else', (path: string) => writeFileSync(path, 'not a database'.repeat(1000))],
    ['replaced by an older copy', (path: string, older: string) => copyFileSync(older, path)],
    ['replaced by that of another log', (path: string, _: string, foreign: string) => copyFileSync(foreign, path)],
  ] as const) {
    it(`${what}, then the next start makes it anew, the same`, async () => {
      const home = new ServiceHome(directory());
      const path = databasePath(home.log);
      const ledger = new Ledger();
      const older = `${path}.older`;
      for (const reports of [60, 120]) {
        const service = await start(home);
        await ledger.load(service, () => ledger.accounts.length < reports);
        expect(await service.end()).to.equal(0);
        if (reports === 60) copyFileSync(path, older);
      }
      const before = readTables(path);

      spoil(path, older, await foreignDatabase());
      const service = await start(home);
      await ledger.check(service);
      expect(await service.end()).to.equal(0);
      expectSameTables(readTables(path), before);
    });
  }

  it('then the service says how far it has come', async () => {
    const home = new ServiceHome(directory());
    const first = await start(home);
    await first.report();
    await first.end();
    rmSync(databasePath(home.log));
    expect((await start(home)).output.join('\n')).to.match(/"msg":"[^"]*projections/);
  });

  it("and SQLite's own log deleted after a kill, then nothing is lost", async () => {
    const home = new ServiceHome(directory());
    const first = await start(home);
    const ledger = new Ledger();
    await ledger.load(first, () => ledger.accounts.length < 60);
    await first.end('SIGKILL');
    expect(statSync(`${databasePath(home.log)}-wal`).size).to.be.greaterThan(0);
    rmSync(`${databasePath(home.log)}-wal`);
    await ledger.expectNothingLost(home);
  });

  const foreignDatabase = async (): Promise<string> => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const ledger = new Ledger();
    await ledger.load(service, () => ledger.accounts.length < 60);
    await service.end();
    return databasePath(home.log);
  };
});
