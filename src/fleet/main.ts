/**
 * `incident-recorder fleet`, a program of its own: the recorder's package does not carry it.
 *
 * Exit codes: 0 done, or a requested stop; 2 wrong usage; 78 (EX_CONFIG) for what must be corrected first; 1 anything else.
 */
import { parseArgs } from 'node:util';
import pino from 'pino';
import { systemClock } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { ProcessOutput } from '../process-output.ts';
import { verifierKeyOf } from '../signed-note.ts';
import { VERSION } from '../version.ts';
import { type FleetConfig, readFleetConfig } from './config.ts';
import { isUnreachable, openDatabase } from './database.ts';
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

class UsageError extends Error {}

/** What a person is told besides: a script reads the output alone. */
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
  if (command === 'schema') {
    if (!values.citus) throw new UsageError('fleet schema needs --citus');
    print(citusStatements().join('\n'));
    return;
  }
  const config = readFleetConfig(process.env, process.cwd());
  switch (command) {
    case 'serve':
      await serve(config);
      return;
    case 'migrate':
      await migrateDatabase(config);
      return;
    case 'pubkey':
      print(verifierKeyOf(await openSigner(config.keyPath, config.name)));
      return;
    case 'enrol':
    case 'rotate':
    case 'revoke':
    case 'rename':
    case 'rebuild':
      await withCore(config, (core) => act(core, command, names, labelsIn(values.label)));
      return;
    default:
      throw new UsageError(`there is no command ${JSON.stringify(command)}`);
  }
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
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`a label is KEY=VALUE, not ${JSON.stringify(text)}`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

async function act(
  { enrolment, ingest }: FleetCore,
  command: 'enrol' | 'rotate' | 'revoke' | 'rename' | 'rebuild',
  names: readonly string[],
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const [name = '', other = ''] = names;
  if (name === '' || names.length !== (command === 'rename' ? 2 : 1))
    throw new UsageError(`fleet ${command} needs ${command === 'rename' ? 'two names' : 'the name of one machine'}`);
  const who = `${process.env.USER ?? process.env.LOGNAME ?? 'unknown'}@command-line`;
  switch (command) {
    case 'enrol':
      print(await enrolment.invite(name, labels, who));
      notice(`${SECRET} ${enrolCommand(name)}`);
      return;
    case 'rotate':
      print(await enrolment.rotate(name, who));
      notice(`${SECRET} ${enrolCommand(name)}`);
      return;
    case 'revoke':
      await enrolment.revoke(name, who);
      notice(`${name} has no token any more; what it has sent stays. To admit it again: fleet enrol ${name}`);
      return;
    case 'rename':
      await enrolment.rename(name, other, who);
      notice(`${name} is shown as ${other}; its own name stays in addresses and anchors`);
      return;
    case 'rebuild':
      await ingest.rebuild(name, (log, built, through) => process.stderr.write(`${log}: ${built} of ${through}\n`));
      return;
    default:
      command satisfies never;
  }
}

const SECRET = 'That is the one-time secret, good for a week. On the machine, where it is asked for:';
const enrolCommand = (name: string): string => `incident-recorder ship --enrol --fleet URL --machine ${name}`;

async function migrateDatabase(config: FleetConfig): Promise<void> {
  const db = await openDatabase(config.database);
  try {
    const { from, to } = await migrate(db);
    print(from === to ? `the database has layout ${to} already` : `migrated from layout ${from} to ${to}`);
  } finally {
    await db.destroy();
  }
}

async function withCore(config: FleetConfig, work: (core: FleetCore) => Promise<void>): Promise<void> {
  const quiet = pino({ level: 'silent' });
  const core = await openCore(config, systemClock, quiet);
  try {
    await work(core);
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
  if (isUnreachable(error)) return `the database is not reachable: ${message}`;
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
