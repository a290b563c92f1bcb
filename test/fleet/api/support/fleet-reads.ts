import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../../../src/clock.ts';
import { type DatabasePlace, type FleetDatabase, openDatabase } from '../../../../src/fleet/database.ts';
import type { FleetDependencies } from '../../../../src/fleet/api/dependencies.ts';
import type { FleetPrincipal } from '../../../../src/fleet/access.ts';
import { createFleetApp } from '../../../../src/fleet/app.ts';
import { Ingest } from '../../../../src/fleet/ingest/ingest.ts';
import { migrate } from '../../../../src/fleet/migrations.ts';
import { newSigner } from '../../../../src/signed-note.ts';
import { ServiceClient, TOKEN } from '../../../support/service-client.ts';

const LOG = { debug() {}, info() {}, warn() {}, error: console.error };
const ROLES = ['reader', 'operator', 'recovery', 'auditor', 'admin'] as const;

/** The fleet's reads over a database of their own, with real HTTP. */
export class FleetReads extends ServiceClient {
  readonly db: FleetDatabase;
  readonly #ingest: Ingest;
  readonly #server: Server;

  private constructor(db: FleetDatabase, ingest: Ingest, server: Server) {
    super();
    this.db = db;
    this.#ingest = ingest;
    this.#server = server;
  }

  /** @param principals by token; without them `TOKEN` has every role on every machine */
  static async start(
    place: DatabasePlace,
    principals: Readonly<Record<string, FleetPrincipal>> = {
      [TOKEN]: { name: 'ada', roles: ROLES, machines: 'any' },
    },
    more: Partial<Pick<FleetDependencies, 'few' | 'mostLookedAt' | 'clock'>> = {},
  ): Promise<FleetReads> {
    const db = await openDatabase(place);
    await migrate(db);
    const signer = newSigner('fleet.example');
    const access = {
      principalOf: (token: string | undefined) => (token === undefined ? undefined : principals[token]),
      proofKey: () => undefined,
    };
    const app = createFleetApp(
      { db, access, signer, clock: systemClock, log: LOG, readAccess: 'token', silentAfter: 300_000, ...more },
      [],
    );
    const server = createServer((request, response) => void app.callback()(request, response));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    return new FleetReads(db, new Ingest({ db, clock: systemClock, signer, unseal: () => [] }), server);
  }

  /** Enrols a machine. */
  async enrol(machine: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.db
      .insertInto('machines')
      .values({ machine, labels: JSON.stringify(labels), enrolled_at: new Date() })
      .execute();
  }

  /** Takes the entries of a machine's log, from one on. */
  async take(machine: string, lines: readonly string[], from = 1): Promise<void> {
    const { entry_hash: log } = JSON.parse(lines[0]!) as { readonly entry_hash: string };
    const known = this.#logs.get(machine) ?? log;
    this.#logs.set(machine, known);
    for (let at = 0; at < lines.length; at += 500) {
      const body = Buffer.from(
        lines
          .slice(at, at + 500)
          .map((line) => `${line}\n`)
          .join(''),
      );
      await this.#ingest.store({ machine, log: known, from: from + at, body, arrived: systemClock.monotonic() });
    }
  }

  /** Takes another log of a machine, which begins again. */
  async restart(machine: string, lines: readonly string[]): Promise<void> {
    this.#logs.delete(machine);
    await this.take(machine, lines);
  }

  readonly #logs = new Map<string, string>();

  async stop(): Promise<void> {
    this.disconnect();
    this.#server.closeAllConnections();
    await new Promise((resolve) => void this.#server.close(resolve));
    await this.db.destroy();
  }

  protected override get address() {
    return { port: (this.#server.address() as AddressInfo).port };
  }
}
