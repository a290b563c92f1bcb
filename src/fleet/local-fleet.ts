/**
 * `npm run fleet`: a fleet to look at. On PGlite in `./var/fleet`, with three recorders and their shippers on this machine,
 * enrolled and with some incidents. Everything is kept, so the next run goes on with it.
 *
 * Everything listens on the loopback only, and who is on this machine may read.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import pino from 'pino';
import { systemClock } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { verifierKeyOf } from '../signed-note.ts';
import { type FleetConfig, readFleetConfig } from './config.ts';
import { isUnreachable, openDatabase, whyUnreachable } from './database.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { layoutOf, migrate } from './migrations.ts';

const MACHINES = [
  { name: 'berlin-1', labels: { site: 'berlin', stage: 'production' } },
  { name: 'berlin-2', labels: { site: 'berlin', stage: 'test' } },
  { name: 'lisbon-1', labels: { site: 'lisbon', stage: 'production' } },
] as const;

/** A first few reports of each machine, the same in part, so that there is something to compare. */
const REPORTS = [
  { class: 'prompt_injection', source: 'tool-firewall', description: 'The agent was told to ignore its rules' },
  {
    class: 'model_behavior_anomaly',
    source: 'model-monitor',
    description: 'Answers drift',
    evidence: { model: 'mistral-7b' },
  },
  {
    class: 'integrity_violation',
    source: 'integrity-monitor',
    description: 'A binary was replaced',
    evidence: { path: '/usr/bin/agent' },
  },
] as const;

const ROOT = process.cwd();
const STATE = join(ROOT, 'var', 'fleet');
const DIST = join(ROOT, 'dist');
const OWNER_ONLY = 0o600;
const WHO = 'npm run fleet';
/** How long a recorder may take to start, in milliseconds. */
const START_WITHIN = 60_000;
/** The exit code of a recorder whose log another one has, and how long to wait for the end of that, in milliseconds. */
const IN_USE = 75;
const LOOK_EVERY = 200;
/** Has a process end when this one is gone, also without a word: the channel between them closes then. */
const ENDS_WITH_THIS = `--import=data:text/javascript,${encodeURIComponent(
  "process.once('disconnect', () => process.kill(process.pid, 'SIGTERM')); process.channel.unref();",
)}`;

const children: ChildProcess[] = [];

async function main(): Promise<void> {
  if (!existsSync(join(DIST, 'service.cjs'))) throw new RecorderError('config', 'dist/ is not built: npm run build');
  const tokenPath = secretFile(join(STATE, 'token'));
  const env = { FLEET_READ_ACCESS: 'open', FLEET_TOKEN_PATH: tokenPath, LOG_LEVEL: 'warn', ...process.env };
  const config = readFleetConfig(env, ROOT);
  const log = pino({ level: config.logLevel, base: null });
  say(`Starting a fleet and ${MACHINES.length} recorders with their shippers: some 20 seconds.`);
  await prepare(config).catch(ofDatabase);
  const fleet = await startFleet(config, systemClock, log, { trustedBelow: STATE }).catch(ofDatabase);
  const origin = `http://${fleet.address.host}:${fleet.address.port}`;
  const stopped = new Promise<void>((resolve) =>
    process.once('SIGTERM', () => resolve()).once('SIGINT', () => resolve()),
  );
  process.on('SIGHUP', () => {
    try {
      fleet.reload();
      say('The access file was read again.');
    } catch (error) {
      process.stderr.write(`The access file was refused, and what was in force stays: ${(error as Error).message}\n`);
    }
  });
  try {
    for (const machine of MACHINES) await startMachine(fleet, origin, machine);
    say(`Local fleet: the state is kept in ${STATE}`);
    say(`Console: ${origin}/`);
    say(`Token, for what is not only looked at: ${tokenPath}`);
    say('Ctrl-C ends it all; the next start goes on with it. What to try: src/fleet/README.md, "Try it".');
    await stopped;
  } finally {
    const ended = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    const end = Promise.all(ended.map((child) => once(child, 'exit')));
    for (const child of ended) child.kill('SIGTERM');
    await Promise.all([end, fleet.stop()]);
  }
}

/** Makes the tables in a server's database that is still empty: `FLEET_DATABASE_URL` is all that it takes. */
async function prepare({ database }: FleetConfig): Promise<void> {
  if ('folder' in database) return;
  const db = await openDatabase(database);
  try {
    if ((await layoutOf(db)) === 0) await migrate(db);
  } finally {
    await db.destroy();
  }
}

/** Whether this database has the machine: the files on this machine may be of a fleet with another database. */
async function isEnrolled({ db }: Fleet, machine: string, tokenPath: string): Promise<boolean> {
  if (!existsSync(tokenPath)) return false;
  const row = await db.selectFrom('machines').select('token_sha256').where('machine', '=', machine).executeTakeFirst();
  return row?.token_sha256 === sha256(readFileSync(tokenPath, 'utf8').trim());
}

/** Starts a recorder and its shipper; enrols the machine first, where that was not done. */
async function startMachine(fleet: Fleet, origin: string, { name, labels }: (typeof MACHINES)[number]): Promise<void> {
  const home = join(STATE, 'machines', name);
  const state = join(home, 'var');
  const shipper = join(home, 'shipper');
  const audit = secretFile(join(state, 'audit-hmac-key'));
  const token = secretFile(join(state, 'service-token'));
  const isNew = !existsSync(join(shipper, 'fleet-token'));
  if (!(await isEnrolled(fleet, name, join(shipper, 'fleet-token')))) {
    const secret = join(home, 'secret');
    await fleet.enrolment.revoke(name, WHO).catch(() => {});
    writeFileSync(secret, await fleet.enrolment.invite(name, labels, WHO), { mode: OWNER_ONLY });
    const of = ['--machine', name, '--secret-file', secret, '--with-audit-key', audit, '--directory', shipper];
    await enrol(['ship', '--enrol', '--fleet', origin, ...of, '--json']);
  }
  writeFileSync(join(state, 'access.yaml'), accessOf(name, fleet, join(shipper, 'recorder-token')), {
    mode: OWNER_ONLY,
  });
  const url = await startRecorder(name, home, {
    CONTAINMENT_POLICY_PATH: join(ROOT, 'policy', 'incident-containment.yaml'),
    ACCESS_PATH: join(state, 'access.yaml'),
    BIND_ADDR: '127.0.0.1:0',
    LOG_LEVEL: 'info',
  });
  if (isNew)
    for (const report of REPORTS) await send(url, token, { ...report, description: `${report.description} (${name})` });
  const credentials = [
    '--fleet-token-file',
    join(shipper, 'fleet-token'),
    '--token-file',
    join(shipper, 'recorder-token'),
  ];
  const ship = [join(DIST, 'cli.js'), 'ship', '--fleet', origin, '--machine', name, '--url', url, ...credentials];
  start(ship, home, {}).stdout!.resume();
  say(`${name}: a recorder at ${url}/`);
}

const accessOf = (name: string, fleet: Fleet, recorderToken: string): string => `version: 1
service_token:
  roles: [reader, reporter, implementer, operator, recovery, auditor, admin]
  sources: any
  classes: any
  actions: any
fleet_key: ${JSON.stringify(verifierKeyOf(fleet.signer))}
fleet: { machine: ${name}, roles: [operator, recovery] }
principals:
  incident-shipper:
    roles: [reader, anchor]
    token_sha256: ${sha256(readFileSync(recorderToken, 'utf8').trim())}
`;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Starts a recorder. That of a run before, which was killed, may be about to end. @returns where it listens */
async function startRecorder(name: string, home: string, env: Readonly<Record<string, string>>): Promise<string> {
  const deadline = Date.now() + START_WITHIN;
  for (;;) {
    const recorder = start([join(DIST, 'service.cjs'), '--local'], home, env);
    try {
      return await addressOf(recorder, name);
    } catch (error) {
      if (recorder.exitCode !== IN_USE || Date.now() > deadline) throw error;
      await setTimeout(LOOK_EVERY);
    }
  }
}

function start(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn(process.execPath, [ENDS_WITH_THIS, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  children.push(child);
  return child;
}

/** Runs a command beside the fleet, which has to answer it. */
const enrol = (args: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(DIST, 'cli.js'), ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`incident-recorder ${args[0]}: exit ${code}`)),
    );
  });

/** Where a recorder listens, as its log says. */
function addressOf(recorder: ChildProcess, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = globalThis.setTimeout(
      () => reject(new Error(`the recorder of ${name} has not started`)),
      START_WITHIN,
    );
    recorder.once('exit', (code) => reject(new Error(`the recorder of ${name} has ended (${code})`)));
    createInterface(recorder.stdout!).on('line', (line) => {
      const [, host, port] = /"msg":"listening"/.test(line) ? (/"host":"([^"]+)","port":(\d+)/.exec(line) ?? []) : [];
      if (port === undefined) return;
      clearTimeout(late);
      resolve(`http://${host}:${port}`);
    });
  });
}

const send = (url: string, tokenPath: string, report: object): Promise<void> =>
  new Promise((resolve, reject) => {
    const authorization = `Bearer ${readFileSync(tokenPath, 'utf8').trim()}`;
    const headers = { authorization, 'content-type': 'application/json' };
    const sent = request(`${url}/api/v1/incidents/report`, { method: 'POST', headers }, (response) => {
      response.resume();
      response.once('end', resolve);
    });
    sent.once('error', reject);
    sent.end(JSON.stringify(report));
  });

/** A file with a random secret; makes it where there is none. */
function secretFile(path: string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (!existsSync(path)) writeFileSync(path, `${randomBytes(32).toString('hex')}\n`, { mode: OWNER_ONLY });
  return path;
}

/** Why it can't go on: in a line for what its reader can mend. */
function reasonOf(error: unknown): string {
  const { message, stack } = error as Error;
  return error instanceof RecorderError ? message : (stack ?? String(error));
}

/** @throws the error, in a line where it says that the database can't be used */
function ofDatabase(error: unknown): never {
  if (!isUnreachable(error)) throw error;
  throw new RecorderError('config', `${whyUnreachable(error)}: ${(error as Error).message}; see FLEET_DATABASE_URL`);
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`npm run fleet: ${reasonOf(error)}\n`);
    process.exit(1);
  },
);
