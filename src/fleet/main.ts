/**
 * `incident-recorder fleet`, a program of its own: the recorder's package does not carry it.
 *
 * Exit codes: 0 done, or a requested stop; 2 wrong usage; 78 (EX_CONFIG) for what must be corrected first; 1 anything else.
 */
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pino from 'pino';
import { systemClock } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { ProcessOutput } from '../process-output.ts';
import { verifierKeyOf } from '../signed-note.ts';
import { VERSION } from '../version.ts';
import { askFleet } from './administration-socket.ts';
import { administer, ADMINISTRATION, type AdministrationRequest } from './administration.ts';
import { type FleetConfig, readFleetConfig } from './config.ts';
import { isUnreachable, openDatabase, whyUnreachable } from './database.ts';
import { type FleetCore, openCore, startFleet } from './fleet.ts';
import { citusStatements, migrate } from './migrations.ts';
import { openSigner } from './signer-file.ts';

const EX_USAGE = 2;
const EX_CONFIG = 78;

const USAGE = `Usage: incident-recorder fleet COMMAND

  serve                           run the fleet (the default)
  migrate                         bring the database to the layout of this program
  enrol NAME [--label KEY=VALUE]  admit a machine: prints its one-time secret
  rotate NAME                     let a machine get a new token: prints a one-time secret
  revoke NAME                     take a machine's token away; what it has sent stays
  rename NAME NEW-NAME            show a machine under another name
  pubkey                          print the key that verifies the fleet's anchors and commands
  rebuild NAME                    make the read models of a machine again, from its stored entries
  schema --citus                  print the statements that distribute the tables

FLEET_DATABASE_URL=postgres://… names the database; without it PGlite keeps everything in ./var/fleet.
All variables: src/fleet/README.md.
`;

/** How long to wait for a fleet that starts or stops, and how often to look, in milliseconds. */
const SETTLE_WITHIN = 20_000;
const LOOK_EVERY = 200;

/** The commands that are about no machine. */
const ALONE = ['serve', 'migrate', 'pubkey', 'schema'];

class UsageError extends Error {}

/** What a person reads besides: a script reads the output alone. */
const notice = (text: string): void => void process.stderr.write(`${text}\n`);
const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  process.umask(0o027);
  const { values, positionals } = argumentsOf(process.argv.slice(2));
  const [command = 'serve', ...names] = positionals;
  if (values.help || command === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  if (values.version) {
    print(VERSION);
    return;
  }
  requireFitting(command, names, values);
  if (command === 'schema') {
    print(citusStatements().join('\n'));
    return;
  }
  const config = readFleetConfig(process.env, process.cwd());
  if (isAdministration(command)) {
    const request = requestIn(command, names, labelsIn(values.label));
    const answer = await administerBy(config, request, notice);
    if (answer !== undefined) print(answer);
  } else if (command === 'migrate') await migrateDatabase(config);
  else if (command === 'pubkey') print(verifierKeyOf(await openSigner(config.keyPath, config.name)));
  else await serve(config);
}

const isAdministration = (command: string): command is AdministrationRequest['command'] =>
  (ADMINISTRATION as readonly string[]).includes(command);

/** @throws UsageError for an unknown command, and for what a command does not take */
function requireFitting(
  command: string,
  names: readonly string[],
  { citus, label }: ReturnType<typeof argumentsOf>['values'],
): void {
  if (!isAdministration(command) && !ALONE.includes(command))
    throw new UsageError(`there is no command ${JSON.stringify(command)}`);
  if (citus !== (command === 'schema'))
    throw new UsageError(citus ? `--citus is for schema, not for ${command}` : 'fleet schema needs --citus');
  if (label.length > 0 && command !== 'enrol') throw new UsageError(`--label is for enrol, not for ${command}`);
  if (ALONE.includes(command) && names.length > 0)
    throw new UsageError(`fleet ${command} takes no ${JSON.stringify(names[0])}`);
}

function argumentsOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        label: { type: 'string', multiple: true, default: [] },
        citus: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', short: 'V', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function labelsIn(given: readonly string[]): Readonly<Record<string, string>> {
  const labels = given.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`a label is KEY=VALUE, not ${JSON.stringify(text)}`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  const twice = labels.find(([key], index) => labels.findIndex(([other]) => other === key) !== index);
  if (twice !== undefined) throw new UsageError(`the label ${twice[0]} is given twice`);
  return Object.fromEntries(labels);
}

function requestIn(
  command: AdministrationRequest['command'],
  names: readonly string[],
  labels: Readonly<Record<string, string>>,
): AdministrationRequest {
  const [name = '', newName] = names;
  if (name === '' || names.length !== (command === 'rename' ? 2 : 1))
    throw new UsageError(`fleet ${command} needs ${command === 'rename' ? 'two names' : 'the name of one machine'}`);
  const who = `${process.env.USER ?? process.env.LOGNAME ?? 'unknown'}@command-line`;
  return { command, name, labels, who, ...(newName !== undefined && { newName }) };
}

async function migrateDatabase(config: FleetConfig): Promise<void> {
  const db = await openDatabase(config.database);
  try {
    const { from, to } = await migrate(db);
    print(from === to ? `the database has layout ${to} already` : `migrated from layout ${from} to ${to}`);
  } finally {
    await db.destroy();
  }
}

/** Carries a command out with the database; where a fleet that runs has that to itself, has it do so. */
async function administerBy(
  config: FleetConfig,
  request: AdministrationRequest,
  note: (line: string) => void,
): Promise<string | undefined> {
  const { database } = config;
  const folder = 'folder' in database ? database.folder : undefined;
  const deadline = Date.now() + SETTLE_WITHIN;
  for (;;) {
    const asked = folder === undefined ? undefined : await askFleet(folder, request, note);
    if (asked !== undefined) return asked.printed;
    try {
      return await withCore(config, (core) => administer(core, request, note));
    } catch (error) {
      // One that starts or stops has the folder, and takes no commands yet or any more.
      const isInUse = error instanceof RecorderError && error.fields.in_use === true;
      if (!isInUse || Date.now() > deadline) throw error;
      await setTimeout(LOOK_EVERY);
    }
  }
}

async function withCore<Result>(config: FleetConfig, work: (core: FleetCore) => Promise<Result>): Promise<Result> {
  const quiet = pino({ level: 'silent' });
  const core = await openCore(config, systemClock, quiet);
  try {
    return await work(core);
  } finally {
    await core.db.destroy();
  }
}

async function serve(config: FleetConfig): Promise<void> {
  const output = new ProcessOutput();
  process.once('exit', () => output.end());
  const logger = pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime }, output);
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    process.once('SIGTERM', resolve).once('SIGINT', resolve);
  });
  const fleet = await startFleet(config, systemClock, logger);
  process.on('SIGHUP', () => {
    try {
      fleet.reload();
      logger.info('access file read again');
    } catch (err) {
      logger.error({ err }, 'access file refused: what was in force stays');
    }
  });
  const { host, port } = fleet.address;
  const database = 'url' in config.database ? 'server' : `PGlite in ${config.database.folder}`;
  logger.info({ address: { host, port }, database, key: verifierKeyOf(fleet.signer) }, 'listening');
  const signal = await stopped;
  logger.info({ signal }, 'stopping');
  await fleet.stop();
}

/** Why the database can't be used, in one line; undefined for another error. */
function unreachable(error: unknown): string | undefined {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  if (isUnreachable(error)) return `${whyUnreachable(error)}: ${message}`;
  // SQLSTATE: there is no such role or database, or this one may not do that.
  return /^(?:28|3D|42501)/.test(String(code)) ? `the database refuses: ${message}` : undefined;
}

function fail(error: unknown): never {
  const isUsage = error instanceof UsageError;
  const isKnown = error instanceof RecorderError;
  const text = isKnown || isUsage ? error.message : (unreachable(error) ?? String((error as Error)?.stack ?? error));
  process.stderr.write(`incident-fleet: ${text}\n${isUsage ? `\n${USAGE}` : ''}`);
  const isConfig = isKnown && (error.code === 'config' || error.code === 'invalid_access');
  process.exit(isUsage ? EX_USAGE : isConfig ? EX_CONFIG : 1);
}

// Among them that PGlite has ended unasked.
process.once('uncaughtException', fail);
main().then(() => process.exit(), fail);
