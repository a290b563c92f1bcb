/**
 * How long readers of a large fleet wait: every list with every filter and order, first pages and deep ones, search,
 * statistics, and how late a stream is. `--scale 1` is a thousand machines with a million incidents and five million
 * entries, which takes some ten minutes to make and 8 GB; `--scale 0.01` is ten machines.
 *
 * The fleet is a process of its own on a PostgreSQL of its own. Beside the times stands the processor time of both for an
 * answer, which other work on the machine changes little. `FLEET_BENCH_URL` names a database that was filled before.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { sql } from 'kysely';
import { MINUTE } from '../../../src/clock.ts';
import { type FleetDatabase, openDatabase } from '../../../src/fleet/database.ts';
import { migrate } from '../../../src/fleet/migrations.ts';
import { Postgres, postgresPrograms } from '../../fleet/support/postgres.ts';
import { ROOT } from '../../support/running-service.ts';
import type { Bench, Row } from '../bench.ts';
import { populate } from '../fleet/population.ts';
import { type Question, questionsOf, wantedOf } from '../fleet/questions.ts';
import { streamed } from '../fleet/streamed.ts';
import { processorTimeOf, processorTimeOfFamily } from '../processor-time.ts';

const MACHINES = 1000;
/** Each path is asked so often; what a process keeps of sums is asked for once more often than it is made. */
const ROUNDS = 2;
/** After so many milliseconds without a word an answer does not come any more: no query of the fleet takes so long. */
const ANSWERED_WITHIN = 2 * MINUTE;
const [ALL, ONE_SITE] = ['a-token-for-all-of-it', 'a-token-for-one-site'];
const SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  maintenance_work_mem: '512MB',
  synchronous_commit: 'off',
};

export async function fleetReads(bench: Bench): Promise<void> {
  const url = process.env.FLEET_BENCH_URL;
  if (url !== undefined) return measure(bench, url);
  if (postgresPrograms() === undefined) {
    console.warn('SKIPPED: PostgreSQL is not installed (apt-get install postgresql)');
    return;
  }
  const postgres = await Postgres.start(SETTINGS);
  try {
    const made = postgres.database();
    // To make indexes of millions of rows takes longer than any query of the fleet may.
    const db = await openDatabase({ url: made, connections: 1, silentWithin: 60 * MINUTE });
    await sql`SET statement_timeout = 0`.execute(db);
    await migrate(db);
    await populate(db, Math.max(1, Math.round(MACHINES * bench.scale)), (text) => process.stderr.write(`${text}\n`));
    await db.destroy();
    await measure(bench, made);
  } finally {
    postgres.end();
  }
}

async function measure(bench: Bench, url: string): Promise<void> {
  const db = await openDatabase({ url });
  const server = await serverOf(db);
  // A database belongs to one key, and this fleet makes another.
  await db.deleteFrom('meta').where('name', '=', 'fleet_key').execute();
  const home = mkdtempSync(join(bench.directory, 'fleet-'));
  const fleet = await startFleet(home, url);
  try {
    const { rows: ends } = await sql<{ end: Date }>`SELECT max(created_at) AS "end" FROM incidents`.execute(db);
    const spent = (): readonly [fleet: number, server: number] => [
      processorTimeOf(fleet.process.pid!),
      processorTimeOfFamily(server),
    ];
    const only = process.env.FLEET_BENCH_ONLY;
    const rows: Row[] = [];
    for (const question of await questionsOf(db, ends[0]!.end.getTime())) {
      if (only !== undefined && !new RegExp(only).test(question.name)) continue;
      rows.push(await ask(fleet.port, question, spent));
      process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
    }
    if (only === undefined || new RegExp(only).test('stream')) {
      rows.push(await streamed(fleet.port, db, home, ALL));
      process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
    }
    bench.report(`reads of a fleet of ${(await machinesIn(db)).toString()} machines`, rows);
  } finally {
    await fleet.end();
    await db.destroy();
  }
}

/** The process of the server, which runs here. */
async function serverOf(db: FleetDatabase): Promise<number> {
  const { rows } = await sql<{ data_directory: string }>`SHOW data_directory`.execute(db);
  return Number(readFileSync(join(rows[0]!.data_directory, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

const machinesIn = async (db: FleetDatabase): Promise<number> =>
  (await sql<{ count: number }>`SELECT count(*) AS count FROM machines`.execute(db)).rows[0]!.count;

interface RunningFleet {
  readonly process: ChildProcess;
  readonly port: number;
  readonly end: () => Promise<void>;
}

async function startFleet(home: string, url: string): Promise<RunningFleet> {
  const tokens = { all: ALL, site: ONE_SITE };
  for (const [name, token] of Object.entries(tokens)) writeFileSync(join(home, name), `${token}\n`, { mode: 0o600 });
  const access = join(home, 'access.yaml');
  writeFileSync(
    access,
    `version: 1
principals:
  all: { token_path: ${join(home, 'all')}, roles: [reader], machines: any }
  site: { token_path: ${join(home, 'site')}, roles: [reader], machines: { site: berlin } }
`,
    { mode: 0o600 },
  );
  const fleet = spawn(process.execPath, [join(ROOT, 'dist/fleet.js'), 'serve'], {
    cwd: home,
    env: {
      ...process.env,
      FLEET_DATABASE_URL: url,
      FLEET_ACCESS_PATH: access,
      FLEET_BIND: '127.0.0.1:0',
      LOG_LEVEL: 'info',
      FLEET_SILENT_AFTER_SECONDS: '864000',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    fleet.once('exit', (code) => reject(new Error(`the fleet has ended (${code})`)));
    createInterface(fleet.stdout).on('line', (line) => {
      if (/"level":[56]0/.test(line)) console.error(line);
      const [, found] = /"port":(\d+).*"msg":"listening"/.exec(line) ?? [];
      if (found !== undefined) resolve(Number(found));
    });
  });
  const end = async (): Promise<void> => {
    const ended = new Promise((resolve) => fleet.once('exit', resolve));
    fleet.kill('SIGTERM');
    await ended;
  };
  return { process: fleet, port, end };
}

interface Answer {
  readonly status: number;
  readonly bytes: number;
  readonly took: number;
}

function get(port: number, path: string, token: string): Promise<Answer> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const sent = request({ host: '127.0.0.1', port, path, headers }, (response) => {
      let bytes = 0;
      response.on('data', (some: Buffer) => void (bytes += some.length));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, bytes, took: performance.now() - begun }));
      // A response that is cut off has no end.
      response.once('error', reject).once('aborted', () => reject(new Error(`${path}: cut off after ${bytes} bytes`)));
    });
    sent.setTimeout(ANSWERED_WITHIN, () => sent.destroy(new Error(`${path} was not answered in time`)));
    sent.once('error', reject).end();
  });
}

async function ask(port: number, question: Question, spent: () => readonly [number, number]): Promise<Row> {
  const { name, paths } = question;
  const times: { readonly path: string; readonly took: number }[] = [];
  const before = spent();
  for (let round = 0; round < ROUNDS; round++) {
    for (const path of paths) {
      const { status, took } = await get(port, path, question.isBound === true ? ONE_SITE : ALL);
      if (status !== 200) throw new Error(`${path} was answered ${status}`);
      times.push({ path, took });
    }
  }
  const after = spent();
  times.sort((one, other) => one.took - other.took);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(share * times.length))]!.took;
  const wanted = wantedOf(question);
  return {
    question: name,
    asked: times.length,
    'p50 ms': at(0.5),
    'p99 ms': at(0.99),
    'max ms': times.at(-1)!.took,
    wanted: `≤ ${wanted}`,
    '': at(0.99) <= wanted ? '' : 'slow',
    'fleet ms': (after[0] - before[0]) / times.length,
    'server ms': (after[1] - before[1]) / times.length,
    slowest: decodeURIComponent(
      times
        .at(-1)!
        .path.replace('/api/v1', '')
        .replace(/cursor=[\w-]+/, 'cursor=…'),
    ),
  };
}
