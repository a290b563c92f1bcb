import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { databasePath } from '../../src/projections/database.ts';
import { RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Ledger } from './support/ledger.ts';
import { expectSameTables, readTables, type Tables } from './support/tables.ts';

describe('given a database that was spoilt while the service was stopped', () => {
  const start = runningServices();
  const directory = temporaryDirectories();
  const ledger = new Ledger();
  let log: Buffer;
  let checkpoint: Buffer;
  let database: Buffer;
  let tables: Tables;
  /** The database as it was half-way. */
  let older: Buffer;
  /** The database of another log. */
  let foreign: Buffer;

  /** Runs a service until there are so many reports, and gives its database. */
  const databaseAfter = async (home: ServiceHome, reports: number, noted: Ledger): Promise<Buffer> => {
    const service = await RunningService.start(home);
    await noted.load(service, () => noted.accounts.length < reports);
    expect(await service.end()).to.equal(0);
    return readFileSync(databasePath(home.log));
  };

  before(async () => {
    const home = new ServiceHome(directory());
    older = await databaseAfter(home, 60, ledger);
    database = await databaseAfter(home, 120, ledger);
    tables = readTables(databasePath(home.log));
    log = readFileSync(home.log);
    checkpoint = readFileSync(`${home.log}.checkpoint`);
    foreign = await databaseAfter(new ServiceHome(directory()), 60, new Ledger());
  });

  /** The log with its checkpoint and its database in a directory of its own. */
  const stopped = (): { readonly home: ServiceHome; readonly path: string } => {
    const home = new ServiceHome(directory());
    const path = databasePath(home.log);
    writeFileSync(home.log, log);
    writeFileSync(`${home.log}.checkpoint`, checkpoint);
    writeFileSync(path, database);
    return { home, path };
  };

  for (const [what, spoil] of [
    ['deleted', (path: string) => rmSync(path)],
    ['emptied', (path: string) => truncateSync(path)],
    ['overwritten with zeros', (path: string) => writeFileSync(path, Buffer.alloc(database.length))],
    ['cut in half', (path: string) => truncateSync(path, database.length / 2)],
    ['replaced by something else', (path: string) => writeFileSync(path, 'not a database'.repeat(1000))],
    ['replaced by an older copy', (path: string) => writeFileSync(path, older)],
    ['replaced by that of another log', (path: string) => writeFileSync(path, foreign)],
  ] as const) {
    it(`${what}, then the next start rebuilds it, the same`, async () => {
      const { home, path } = stopped();
      spoil(path);
      const service = await start(home);
      await ledger.check(service);
      expect(await service.end()).to.equal(0);
      expectSameTables(readTables(path), tables);
    });
  }

  it('then the service says how far it has come', async () => {
    const { home, path } = stopped();
    rmSync(path);
    expect((await start(home)).output.join('\n')).to.include('"from_seq":1,"msg":"reading the audit log"');
  });

  it("and SQLite's own log deleted after a kill, then nothing is lost", async () => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const killed = new Ledger();
    await killed.load(service, () => killed.accounts.length < 60);
    await service.end('SIGKILL');
    const path = `${databasePath(home.log)}-wal`;
    expect(statSync(path).size).to.be.greaterThan(0);
    rmSync(path);
    await killed.expectNothingLost(home);
  });
});
