/** The engines on which the fleet's tests run: PGlite everywhere, and PostgreSQL where it is installed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiLogger } from '../../../src/api/dependencies.ts';
import { type Clock, systemClock } from '../../../src/clock.ts';
import type { FleetConfig } from '../../../src/fleet/config.ts';
import { type DatabasePlace, openDatabase } from '../../../src/fleet/database.ts';
import { type Fleet, type FleetCore, openCore, startFleet } from '../../../src/fleet/fleet.ts';
import { migrate } from '../../../src/fleet/migrations.ts';
import { Postgres, postgresPrograms } from './postgres.ts';

const SILENT: ApiLogger = { debug() {}, info() {}, warn() {}, error() {} };

/** One engine, from `begin` to `end`. */
export class Engine {
  readonly name: 'PGlite' | 'PostgreSQL';
  postgres: Postgres | undefined;
  readonly #directories: string[] = [];

  constructor(name: 'PGlite' | 'PostgreSQL') {
    this.name = name;
  }

  async begin(): Promise<void> {
    if (this.name === 'PostgreSQL') this.postgres = await Postgres.start({ fsync: 'off' });
  }

  end(): void {
    this.postgres?.end();
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }

  directory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'incident-fleet-'));
    this.#directories.push(directory);
    return directory;
  }

  /** A new database, at the layout of this program. */
  async database(): Promise<DatabasePlace> {
    if (this.postgres === undefined) return { folder: undefined };
    const place = { url: this.postgres.database() };
    const db = await openDatabase(place);
    await migrate(db);
    await db.destroy();
    return place;
  }

  async config(changes: Partial<FleetConfig> = {}): Promise<FleetConfig> {
    return {
      database: await this.database(),
      host: '127.0.0.1',
      port: 0,
      name: 'fleet.test',
      keyPath: join(this.directory(), 'key'),
      accessPath: undefined,
      tokenPath: undefined,
      policyPath: undefined,
      readAccess: 'open',
      tls: undefined,
      quota: { entriesPerSecond: 1e9, bytesPerSecond: 1e12 },
      silentAfter: 300_000,
      logLevel: 'silent',
      ...changes,
    };
  }

  async core(changes: Partial<FleetConfig> = {}, clock: Clock = systemClock): Promise<FleetCore> {
    return openCore(await this.config(changes), clock, SILENT);
  }

  async fleet(changes: Partial<FleetConfig> = {}): Promise<Fleet> {
    return startFleet(await this.config(changes), systemClock, SILENT);
  }
}

/** Runs tests on each engine; says loudly which one is missing. */
export function onEachEngine(title: string, tests: (engine: Engine) => void): void {
  for (const name of ['PGlite', 'PostgreSQL'] as const) {
    const isMissing = name === 'PostgreSQL' && postgresPrograms() === undefined;
    if (isMissing) console.warn(`SKIPPED: ${title} on PostgreSQL, which is not installed (apt-get install postgresql)`);
    (isMissing ? describe.skip : describe)(`${title} on ${name}`, () => {
      const engine = new Engine(name);
      before(() => engine.begin());
      after(() => engine.end());
      tests(engine);
    });
  }
}

/** Runs tests with places of databases without tables: on PGlite, and on PostgreSQL where it is installed. */
export function onEachPlace(tests: (place: () => DatabasePlace, name: Engine['name']) => void): void {
  for (const name of ['PGlite', 'PostgreSQL'] as const)
    describe(`in ${name}`, () => {
      if (name === 'PGlite') return tests(() => ({ folder: undefined }), name);
      if (postgresPrograms() === undefined) return void it('is skipped: PostgreSQL is not installed');
      let postgres: Postgres;
      before(async () => {
        postgres = await Postgres.start({ fsync: 'off' });
      });
      after(() => postgres?.end());
      tests(() => ({ url: postgres.database() }), name);
    });
}
