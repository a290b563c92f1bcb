/**
 * What the fleet takes: 50 shippers at once send the log of a machine each to a fleet in a process of its own, over HTTP,
 * compressed, and in batches as large as real ones send when there is much to send. With PostgreSQL all rows that this made
 * are then copied by bare COPY into tables that are alike, with the same indexes: the floor. Two connections do that, one for
 * the entries and one for the rest.
 *
 * All machines send the same log, so each incident would be a campaign: the fleet's policy has no rules for these here.
 * Beside the rates stands the processor time of the fleet and of the server, which other work on the machine changes little.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { chainHash } from '../../../src/audit/chain-hash.ts';
import type { Entry } from '../../../src/domain/entries.ts';
import { type FleetDatabase, openDatabase } from '../../../src/fleet/database.ts';
import { migrate } from '../../../src/fleet/migrations.ts';
import { Postgres, postgresPrograms } from '../../fleet/support/postgres.ts';
import { ROOT } from '../../support/running-service.ts';
import type { Bench } from '../bench.ts';
import { generateLog } from '../generate-log.ts';
import { processorTimeOf, processorTimeOfFamily } from '../processor-time.ts';

const SHIPPERS = 50;
/** As many incidents as give each machine two thousand entries, or twenty thousand (`--large`). */
const INCIDENTS = 520;
const MANY_INCIDENTS = 6000;
const BATCH = 1000;
/** So many machines send the same before, to warm up. */
const WARMERS = 10;
/** What ingest writes besides entries and what there are few of. */
const READ_MODELS = ['incidents', 'documents', 'words', 'later_words', 'deliveries', 'hours', 'stats', 'posture'];

const TOKEN = 'a-token-for-the-bench';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

interface Spent {
  readonly time: number;
  /** Processor time, in milliseconds. */
  readonly fleet: number;
  readonly server: number;
  readonly written: number;
}

interface Log {
  readonly id: string;
  readonly entries: number;
  readonly batches: readonly { readonly from: number; readonly body: Buffer }[];
}

export async function fleetIngest(bench: Bench): Promise<void> {
  const log = await makeLog(bench.directory, bench.large ? MANY_INCIDENTS : INCIDENTS);
  const rows = [await measure(bench, log, undefined)];
  if (postgresPrograms() === undefined) {
    console.warn('SKIPPED: PostgreSQL is not installed (apt-get install postgresql)');
  } else {
    const postgres = await Postgres.start({ shared_buffers: '256MB', max_wal_size: '4GB' });
    try {
      rows.push(await measure(bench, log, postgres));
    } finally {
      postgres.end();
    }
  }
  bench.report('fleet-ingest', rows);
}

async function makeLog(directory: string, incidents: number): Promise<Log> {
  const path = join(directory, 'fleet-audit.jsonl');
  const hash = chainHash(Buffer.alloc(32, 7));
  const { entries } = await generateLog({ incidents, path, hash, segmentBytes: 1e12 });
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const id = (JSON.parse(lines[0]!) as Entry).entry_hash;
  const batches = [];
  for (let at = 0; at < entries; at += BATCH) {
    const text = lines.slice(at, at + BATCH).map((line) => `${line}\n`);
    batches.push({ from: at + 1, body: gzipSync(text.join(''), { level: 2 }) });
  }
  return { id, entries, batches };
}

async function measure(bench: Bench, log: Log, postgres: Postgres | undefined) {
  const home = mkdtempSync(join(bench.directory, 'fleet-'));
  const url = postgres?.database();
  const place = url === undefined ? { folder: join(home, 'var/fleet/database') } : { url };
  const db = await openDatabase(place);
  await migrate(db);
  const warmers = Array.from({ length: WARMERS }, (_, at) => `warmer-${at}`);
  const machines = Array.from({ length: SHIPPERS }, (_, at) => `machine-${at}`);
  for (const machine of [...warmers, ...machines]) {
    await db
      .insertInto('machines')
      .values({ machine, labels: '{}', token_sha256: sha256(TOKEN) })
      .execute();
  }
  if (url === undefined) await db.destroy();
  const policy = join(home, 'fleet-policy.yaml');
  writeFileSync(policy, 'version: 1\ncampaigns: []\n');
  const fleet = spawn(process.execPath, [join(ROOT, 'dist/fleet.js'), 'serve'], {
    cwd: home,
    env: {
      ...process.env,
      FLEET_DATABASE_URL: url ?? '',
      FLEET_POLICY_PATH: policy,
      FLEET_BIND: '127.0.0.1:0',
      LOG_LEVEL: 'info',
      FLEET_MACHINE_ENTRIES_PER_SECOND: '1000000',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const port = await portOf(fleet);
    await Promise.all(warmers.map((machine) => ship(port, machine, log)));
    const entries = SHIPPERS * log.entries;
    const work = async (): Promise<Spent> => ({
      time: performance.now(),
      fleet: processorTimeOf(fleet.pid!),
      server: postgres === undefined ? 0 : processorTimeOfFamily(postgres.pid),
      written: postgres === undefined ? 0 : await writtenBytes(db),
    });
    const before = await work();
    await Promise.all(machines.map((machine) => ship(port, machine, log)));
    const after = await work();
    const rate = entries / ((after.time - before.time) / 1000);
    const row = {
      engine: postgres === undefined ? 'PGlite' : 'PostgreSQL',
      shippers: SHIPPERS,
      entries,
      'entries/s': Math.round(rate),
      'fleet µs': (1000 * (after.fleet - before.fleet)) / entries,
    };
    if (postgres === undefined) return row;
    const floor = await copyFloor(db, home);
    return {
      ...row,
      'server µs': (1000 * (after.server - before.server)) / entries,
      'WAL bytes': Math.round((after.written - before.written) / entries),
      'COPY/s': Math.round(floor.rate),
      'its WAL bytes': Math.round(floor.written),
      ratio: Math.round((rate / floor.rate) * 100) / 100,
    };
  } finally {
    const ended = new Promise((resolve) => fleet.once('exit', resolve));
    fleet.kill('SIGTERM');
    await ended;
    if (url !== undefined) await db.destroy();
  }
}

const portOf = (fleet: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    fleet.once('exit', (code) => reject(new Error(`the fleet has ended (${code})`)));
    createInterface(fleet.stdout!).on('line', (line) => {
      if (/"level":[56]0/.test(line)) console.error(line);
      const [, port] = /"port":(\d+).*"msg":"listening"/.exec(line) ?? [];
      if (port !== undefined) resolve(Number(port));
    });
  });

/** Sends a log, batch by batch, each when the one before is stored. */
async function ship(port: number, machine: string, { id, batches }: Log): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (const { from, body } of batches)
      await put(agent, port, `/api/v1/machines/${machine}/logs/${id}/entries?from=${from}`, body);
  } finally {
    agent.destroy();
  }
}

/** Sends a batch; again after a while where the fleet asks for that. */
async function put(agent: Agent, port: number, path: string, body: Buffer): Promise<void> {
  for (;;) {
    const { status, wait } = await sendOnce(agent, port, path, body);
    if (status === 200) return;
    if (wait === undefined) throw new Error(`the fleet answered ${status}`);
    await sleep(1000 * wait);
  }
}

interface Answer {
  readonly status: number;
  /** In seconds. */
  readonly wait: number | undefined;
}

const sendOnce = (agent: Agent, port: number, path: string, body: Buffer): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-encoding': 'gzip', 'content-length': body.length };
    const sent = request({ agent, host: '127.0.0.1', port, method: 'PUT', path, headers }, (response) => {
      const { statusCode: status = 0, headers: answered } = response;
      const wait = answered['retry-after'] === undefined ? undefined : Number(answered['retry-after']);
      response.resume();
      response.once('end', () => resolve({ status, wait }));
    });
    sent.once('error', reject);
    sent.end(body);
  });

/** How much the server has written to its log of changes. */
async function writtenBytes(db: FleetDatabase): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS bytes`.execute(db);
  return rows[0]!.bytes;
}

/** @returns how many entries a second bare COPY stores, with all other rows; and what is written for each to the log of changes */
async function copyFloor(
  db: FleetDatabase,
  home: string,
): Promise<{ readonly rate: number; readonly written: number }> {
  const files = join(home, 'copy');
  mkdirSync(files);
  // The server writes and reads the files, as another user.
  for (const directory of [dirname(home), home, files]) chmodSync(directory, 0o777);
  for (const table of ['entries', ...READ_MODELS]) {
    await sql.raw(`COPY ${table} TO '${files}/${table}'`).execute(db);
    await sql.raw(`CREATE TABLE floor_${table} (LIKE ${table} INCLUDING ALL)`).execute(db);
    await sql.raw(`ALTER TABLE floor_${table} SET (toast_tuple_target = 8160)`).execute(db);
  }
  const copy = async (tables: readonly string[]): Promise<void> => {
    for (const table of tables) await sql.raw(`COPY floor_${table} FROM '${files}/${table}'`).execute(db);
  };
  const { rows } = await sql<{ count: number }>`SELECT count(*)::int AS count FROM entries`.execute(db);
  const { count } = rows[0]!;
  const before = await writtenBytes(db);
  const start = performance.now();
  await Promise.all([copy(['entries']), copy(READ_MODELS)]);
  const rate = count / ((performance.now() - start) / 1000);
  return { rate, written: ((await writtenBytes(db)) - before) / count };
}
