/** The parts of the fleet, put together, and its server. */
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConsoleFiles } from '../api/console/console-files.ts';
import { respondJson } from '../api/respond.ts';
import type { ApiLogger } from '../api/dependencies.ts';
import type { ApiRoute } from '../api/middleware/routing.ts';
import { type Clock, SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { type Signer, verifierKeyOf } from '../signed-note.ts';
import { VERSION } from '../version.ts';
import { FleetAccess } from './access.ts';
import { takeCommands } from './administration-socket.ts';
import { clockWarnings, FleetAlarms } from './alarms.ts';
import { createFleetApp } from './app.ts';
import { Campaigns } from './campaigns.ts';
import { FleetCommands } from './commands.ts';
import type { FleetConfig } from './config.ts';
import { connectionsOf, type FleetDatabase, openDatabase } from './database.ts';
import { durabilityWarnings } from './durability.ts';
import { Enrolment } from './enrolment.ts';
import { readFleetPolicy } from './fleet-policy.ts';
import { Ingest } from './ingest/ingest.ts';
import type { Troubles } from './pglite/pglite-thread.ts';
import { LabelActs } from './label-acts.ts';
import { ReleaseActs } from './release-acts.ts';
import { SilenceActs } from './silence-acts.ts';
import { machineRoutes } from './machine-routes.ts';
import { layoutOf, migrate, requireLayout } from './migrations.ts';
import { Sums } from './read-models/sums.ts';
import { Quotas } from './quotas.ts';
import { Seal } from './sealed.ts';
import { Upkeep } from './upkeep.ts';
import { startWatch } from './watch.ts';
import { openSigner } from './signer-file.ts';

/** The console as it was built: beside this file's bundle in `dist`, or in the `dist` of the sources. */
const BUILT_CONSOLE = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../../dist' : '.', 'console');

/**
 * Milliseconds for the headers of a request, for a whole one (a shipper's may be slow, and is not read before the database
 * has said whose it is), and between two.
 */
const HEADERS_WITHIN = 30 * SECOND;
const REQUEST_WITHIN = 300 * SECOND;
const IDLE = 65 * SECOND;
/** Connections at once: each machine has a few. */
const CONNECTIONS = 20_000;
const HEADER_BYTES = 16 * 1024;
/** How long requests that are under way may take when the fleet stops, in milliseconds. */
const GRACE = 5 * SECOND;

export interface Fleet {
  readonly address: { readonly host: string; readonly port: number };
  readonly db: FleetDatabase;
  readonly enrolment: Enrolment;
  readonly ingest: Ingest;
  readonly signer: Signer;
  /** Reads the access file and the policy again. @throws RecorderError; then what was in force stays */
  reload(): void;
  /** Looks for alarms and campaigns now. */
  look(): Promise<void>;
  stop(): Promise<void>;
}

/** What works on the database without a server: for commands. */
export interface FleetCore {
  readonly db: FleetDatabase;
  readonly signer: Signer;
  readonly enrolment: Enrolment;
  readonly ingest: Ingest;
  /** What is wrong with a database that goes on. */
  readonly troubles: () => Troubles;
}

/**
 * Opens the database and what works on it. PGlite, which nobody else has open, is brought to the layout at once.
 * @throws RecorderError `config` for a database of another layout, or of another fleet
 */
export async function openCore(config: FleetConfig, clock: Clock, log: ApiLogger): Promise<FleetCore> {
  const signer = await openSigner(config.keyPath, config.name);
  let troubles: Troubles = {};
  const db = await openDatabase(
    config.database,
    (err) => log.warn({ err }, 'a connection to the database has ended'),
    undefined,
    (now) => {
      logTroubles(log, troubles, now);
      troubles = now;
    },
  );
  try {
    if ('folder' in config.database) await migrate(db);
    await requireLayout(db);
    await requireOwn(db, signer);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  const seal = new Seal(signer);
  const enrolment = new Enrolment({ db, signer, seal });
  const ingest = new Ingest({
    db,
    clock,
    signer,
    connections: connectionsOf(config.database),
    quota: config.quota,
    unseal: (sealed) => seal.open(sealed),
    onDiverged: (machine, divergence) =>
      log.error({ machine, ...divergence }, 'THE LOG OF A MACHINE DOES NOT CONTINUE WHAT THE FLEET HOLDS'),
  });
  return { db, signer, enrolment, ingest, troubles: () => troubles };
}

/** Says what has begun and what is over. */
function logTroubles(log: ApiLogger, before: Troubles, now: Troubles): void {
  if (now.full !== undefined && before.full === undefined) log.error({}, now.full);
  if (now.full === undefined && before.full !== undefined) log.info({}, 'the disk of the database has room again');
  if (now.checkpoint !== undefined && now.checkpoint !== before.checkpoint)
    log.error({ reason: now.checkpoint }, CHECKPOINT_FAILED);
  if (now.checkpoint === undefined && before.checkpoint !== undefined)
    log.info({}, 'the database makes checkpoints again');
}

const CHECKPOINT_FAILED =
  'the last checkpoint of the database has failed: nothing is lost, but its log of changes grows until one succeeds';

/** Anchors of one fleet are signed with one key. @throws RecorderError `config` */
async function requireOwn(db: FleetDatabase, signer: Signer): Promise<void> {
  const key = verifierKeyOf(signer);
  const find = () =>
    db.selectFrom('meta').select('value').where('machine', '=', '').where('name', '=', 'fleet_key').executeTakeFirst();
  let row = await find();
  if (row === undefined) {
    await db
      .insertInto('meta')
      .values({ machine: '', name: 'fleet_key', value: key })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    row = await find();
  }
  if (row?.value === key) return;
  throw new RecorderError(
    'config',
    `the database belongs to the fleet with the key ${row?.value}, and this one is ${key}`,
  );
}

/**
 * Starts the fleet; resolves when it listens.
 * @throws RecorderError `config`
 */
export async function startFleet(
  config: FleetConfig,
  clock: Clock,
  log: ApiLogger,
  { trustedBelow }: { readonly trustedBelow?: string } = {},
): Promise<Fleet> {
  const { accessPath, tokenPath, readAccess, readEvidence = 'open', silentAfter, scratch } = config;
  const access = new FleetAccess(
    { accessPath, tokenPath, ...(trustedBelow === undefined ? {} : { trustedBelow }) },
    clock,
  );
  const core = await openCore(config, clock, log);
  const { db, signer, enrolment, ingest } = core;
  try {
    const quotas = new Quotas(config.quota, () => clock.monotonic());
    let policy = readFleetPolicy(config.policyPath);
    const alarms = new FleetAlarms({ db, clock, silentAfter, log });
    const commands = new FleetCommands({ db, signer, clock });
    const acts = new LabelActs({ db, commands, silentAfter });
    const releases = new ReleaseActs({ db, commands, silentAfter });
    const silences = new SilenceActs({ db, commands, silentAfter, clock });
    const campaigns = new Campaigns({ db, clock, policy: () => policy, log });
    const console = new ConsoleFiles(BUILT_CONSOLE);
    const shared = { db, access, signer, clock, log, readAccess, readEvidence, silentAfter };
    const app = createFleetApp(
      { ...shared, alarms, commands, acts, releases, silences, console, ...(scratch && { scratch }) },
      [...machineRoutes({ db, clock, ingest, enrolment, quotas, silentAfter }), ...stateRoutes(core, config)],
    );
    const server = serverFor(config);
    server.on('request', (request, response) => void app.callback()(request, response));
    const address = await listen(server, config);
    const { database } = config;
    const endCommands =
      'folder' in database && database.folder !== undefined
        ? await takeCommands(database.folder, core, log)
        : async () => {};
    for (const warning of await durabilityWarnings(db, config.needsStandby === true)) log.warn({}, warning);
    const watch = startWatch({
      alarms,
      campaigns,
      acts: [acts, releases, silences],
      sums: new Sums({ db, clock }),
      ...('folder' in database && { upkeep: new Upkeep({ db, clock }) }),
      log,
    });
    return {
      ...core,
      address,
      reload: () => {
        const next = readFleetPolicy(config.policyPath);
        access.reload();
        policy = next;
      },
      look: () => watch.look(),
      stop: async () => {
        await endCommands();
        await close(server);
        await watch.stop();
        await db.destroy();
      },
    };
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

/** For whoever watches the process: whether it lives, and whether it has its database. */
const stateRoutes = (
  { db, signer: { name: fleet }, troubles }: FleetCore,
  { needsStandby = false }: Pick<FleetConfig, 'needsStandby'>,
): readonly ApiRoute[] => [
  { method: 'GET', path: '/livez', handle: (ctx) => respondJson(ctx, 200, '{"status":"ok"}') },
  {
    method: 'GET',
    path: '/health',
    handle: async (ctx) => {
      try {
        const layout = await layoutOf(db);
        const warnings = [...(await durabilityWarnings(db, needsStandby)), ...(await clockWarnings(db))];
        const { full, checkpoint } = troubles();
        if (checkpoint !== undefined) warnings.push(`${CHECKPOINT_FAILED} (${checkpoint})`);
        const state = full === undefined ? { status: 'ok' } : { status: 'degraded', reasons: [full] };
        const health = { ...state, warnings, fleet, version: VERSION, database: { layout } };
        respondJson(ctx, full === undefined ? 200 : 503, JSON.stringify(health));
      } catch {
        const reasons = ['the database is not reachable'];
        const health = { status: 'degraded', reasons, fleet, version: VERSION, database: 'not reachable' };
        respondJson(ctx, 503, JSON.stringify(health));
      }
    },
  },
];

function serverFor({ tls }: FleetConfig): Server {
  const options = {
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: HEADERS_WITHIN,
    requestTimeout: REQUEST_WITHIN,
    keepAliveTimeout: IDLE,
  };
  const server =
    tls === undefined
      ? createServer(options)
      : createTlsServer({
          ...options,
          cert: readFileSync(tls.certPath),
          key: readFileSync(tls.keyPath),
          minVersion: 'TLSv1.2',
          // A client without a certificate shows a token.
          ...(tls.clientCaPath === undefined
            ? {}
            : { ca: readFileSync(tls.clientCaPath), requestCert: true, rejectUnauthorized: false }),
        });
  server.maxConnections = CONNECTIONS;
  return server;
}

const listen = (server: Server, { host, port }: FleetConfig): Promise<{ host: string; port: number }> =>
  new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new RecorderError(
          'config',
          `can't listen on ${host} port ${port}: ${cause.message}; end what is there, or set FLEET_BIND`,
          {
            cause,
          },
        ),
      ),
    );
    server.listen({ host, port }, () => resolve({ host, port: (server.address() as AddressInfo).port }));
  });

function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const deadline = setTimeout(() => server.closeAllConnections(), GRACE);
  return closed.finally(() => clearTimeout(deadline));
}
