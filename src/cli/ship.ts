/** `incident-recorder ship`: ships the log of this machine to its fleet. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { wholeNumber } from './filter-options.ts';
import { FleetNotReachable } from '../ship/errors.ts';
import { EXIT, UsageError } from './exit.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

interface Options {
  readonly fleet?: string;
  readonly machine?: string;
  readonly fleetTokenFile?: string;
  readonly machineKey?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly certKey?: string;
  readonly address?: string;
  readonly limit?: number;
  readonly metrics?: string;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly prove: boolean;
  readonly once?: true;
  readonly enrol?: true;
  readonly secretFile?: string;
  readonly withAuditKey?: string | true;
  readonly directory: string;
  readonly json?: true;
}

const DIRECTORY = '/etc/secure-ai/incident-shipper';
const AUDIT_KEY = '/etc/secure-ai/incident-recorder/audit-hmac-key';
/** In bytes. A one-time secret is much shorter. */
const LONGEST_SECRET = 4096;

const DESCRIPTION = `Ships the log of this machine to its fleet, follows it, and carries the fleet's anchors and commands to the recorder. It keeps \
nothing: the fleet says how far it has the log. The variables in brackets stand for the options. See src/ship/README.md.`;

export const define = (command: Command): Command =>
  command
    .description(DESCRIPTION)
    .option('--fleet <url>', 'the fleet: https://host[:port] [FLEET_URL]')
    .option('--machine <name>', 'as what this machine is enrolled [FLEET_MACHINE]; else its host name')
    .option(
      '--fleet-token-file <file>',
      `the file with the token for the fleet [FLEET_TOKEN_PATH]; else ${DIRECTORY}/fleet-token`,
    )
    .option(
      '--machine-key <file>',
      'the key that signs the requests [FLEET_MACHINE_KEY_PATH]; else machine-key.pem beside the token, where there is one',
    )
    .option('--ca <file>', 'certificates that the one of the fleet has to come from [FLEET_CA_PATH]')
    .option('--cert <file>', 'a client certificate [FLEET_CLIENT_CERT_PATH]')
    .option('--cert-key <file>', 'the key of the client certificate [FLEET_CLIENT_KEY_PATH]')
    .option('--address <ip>', 'connect to this address, without a resolver [FLEET_ADDRESS]')
    .option('--limit <bytes>', 'bytes that may leave in a second [SHIP_BYTES_PER_SECOND]', wholeNumber)
    .option('--metrics <address>', 'serve /metrics on host:port of the loopback, or unix:/path [SHIP_METRICS_ADDR]')
    .option('--url <url>', 'the recorder: http://host:port or unix:/path')
    .option('--token-file <file>', `the file with the token for the recorder; else ${DIRECTORY}/recorder-token`)
    .option('--no-prove', 'believe a recorder that has not proved itself')
    .option('--once', 'ship what is there now, and end')
    .option('--enrol', 'enrol this machine with the fleet: make its key and its tokens, and end')
    .option('--secret-file <file>', 'the one-time secret for --enrol; else it is read from standard input')
    .option(
      '--with-audit-key [file]',
      `show the fleet the audit key, so that it can check every hash; else ${AUDIT_KEY}`,
    )
    .option('--directory <path>', 'where --enrol writes its files', DIRECTORY)
    .option('--json', 'JSON, for scripts')
    .action(ship);

async function ship(options: Options): Promise<void> {
  const { env } = process;
  const given = (value: string | undefined, variable: string): string | undefined =>
    value ?? (env[variable] || undefined);
  const url = given(options.fleet, 'FLEET_URL');
  if (url === undefined) throw new UsageError('where is the fleet? name it with --fleet or FLEET_URL');
  const certPath = given(options.cert, 'FLEET_CLIENT_CERT_PATH');
  const keyPath = given(options.certKey, 'FLEET_CLIENT_KEY_PATH');
  if ((certPath === undefined) !== (keyPath === undefined))
    throw new UsageError('a client certificate needs its key, and the other way round: --cert and --cert-key');
  const place: Place = {
    url,
    machine: given(options.machine, 'FLEET_MACHINE') ?? hostname(),
    caPath: given(options.ca, 'FLEET_CA_PATH'),
    certPath,
    keyPath,
    address: given(options.address, 'FLEET_ADDRESS'),
  };
  const stop = new AbortController();
  const onSignal = (signal: string): void => stop.abort(new Error(signal));
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
  try {
    await (options.enrol ? enrolHere(options, place, stop.signal) : shipFrom(options, place, stop.signal));
  } catch (error) {
    if (!(error instanceof FleetNotReachable)) throw error;
    writeNotice(error.message);
    process.exitCode = EXIT.notReachable;
  } finally {
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
  }
}

/** Where the fleet is, and who this machine is there. */
interface Place {
  readonly url: string;
  readonly machine: string;
  readonly caPath: string | undefined;
  readonly certPath: string | undefined;
  readonly keyPath: string | undefined;
  readonly address: string | undefined;
}

async function shipFrom(options: Options, { machine, ...fleet }: Place, signal: AbortSignal): Promise<void> {
  const [{ Shipper }, { jsonLines, plainLines }] = await Promise.all([
    import('../ship/shipper.ts'),
    import('../ship/ship-log.ts'),
  ]);
  const { env } = process;
  const { once, json, prove, directory } = options;
  // With --once the lines are for whoever waits for the end, and standard output is for what came of it.
  const say = once ? plainLines(writeNotice) : jsonLines((line) => void process.stdout.write(line));
  const tokenPath = options.fleetTokenFile ?? (env.FLEET_TOKEN_PATH || undefined);
  const token = tokenPath ?? (fleet.certPath === undefined ? `${directory}/fleet-token` : undefined);
  const usualKey = join(token === undefined ? directory : dirname(token), 'machine-key.pem');
  const shipper = new Shipper({
    machine,
    fleet: {
      ...fleet,
      tokenPath: token,
      machineKeyPath:
        options.machineKey ?? (env.FLEET_MACHINE_KEY_PATH || (existsSync(usualKey) ? usualKey : undefined)),
    },
    recorder: {
      url: options.url ?? (env.INCIDENT_RECORDER_URL || undefined),
      tokenPath: options.tokenFile ?? (env.INCIDENT_RECORDER_TOKEN_PATH || `${directory}/recorder-token`),
      prove,
    },
    bytesPerSecond: bytesIn(options.limit === undefined ? env.SHIP_BYTES_PER_SECOND : String(options.limit)),
    metrics: options.metrics ?? (env.SHIP_METRICS_ADDR || undefined),
    say,
  });
  if (!once) return shipper.run(signal);
  await shipper.once(signal);
  const { log, through, entries, foundDivergence: diverged } = shipper.progress;
  const outcome = { machine, log, through, entries, diverged };
  await (json
    ? writeJson(outcome)
    : writeLines([`the fleet has the log of ${machine} through entry ${through} of ${entries}`]));
  if (diverged) {
    writeNotice('and it holds another past of this log: see its incident log_diverged');
    process.exitCode = 1;
  }
}

function bytesIn(text = ''): number | undefined {
  if (text === '') return undefined;
  const bytes = Number(text);
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw new UsageError(`a limit is a number of bytes above 0, not ${text}`);
  return bytes;
}

async function enrolHere(options: Options, place: Place, signal: AbortSignal): Promise<void> {
  const [{ accessLines, enrol }, { readFileSync }] = await Promise.all([import('../ship/enrol.ts'), import('node:fs')]);
  const { secretFile, withAuditKey, directory, json } = options;
  const secret = secretFile === undefined ? await secretFromInput() : readFileSync(secretFile, 'utf8').trim();
  const auditKeyPath = withAuditKey === true ? process.env.AUDIT_HMAC_KEY_PATH || AUDIT_KEY : withAuditKey;
  const enrolment = await enrol({ ...place, secret, directory, auditKeyPath, log: await ownLog(options), signal });
  if (json) return writeJson(enrolment);
  const unit = 'secure-ai-incident-shipper.service';
  await writeLines([
    printable(`${enrolment.machine} is enrolled with ${enrolment.fleet}; key and tokens are in ${directory}`),
    '',
    'To the access file of the recorder (/etc/secure-ai/policy/incident-access.yaml) add:',
    '',
    ...accessLines(enrolment).map(printable),
    '',
    'Then:',
    '',
    'systemctl reload secure-ai-incident-recorder',
    `install -D -m 0644 ${directory}/shipper.conf /etc/systemd/system/${unit}.d/fleet.conf`,
    // It may run, under another name.
    `systemctl daemon-reload && systemctl enable ${unit} && systemctl restart ${unit}`,
  ]);
}

async function secretFromInput(): Promise<string> {
  if (process.stdin.isTTY) writeNotice('the one-time secret:');
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += String(chunk);
    if (text.includes('\n') || text.length > LONGEST_SECRET) break;
  }
  return text.split('\n')[0]!.trim();
}

/** The identity of the local log, which everybody may ask for; undefined when the recorder does not say. */
async function ownLog({ url }: Options): Promise<string | undefined> {
  const { Connection } = await import('../client/connection.ts');
  const connection = new Connection({ url: url ?? (process.env.INCIDENT_RECORDER_URL || undefined), prove: false });
  try {
    const { text } = await connection.send({ path: '/health', timeout: 5000 });
    const { audit } = JSON.parse(text) as { readonly audit?: { readonly log_id?: string | null } };
    return audit?.log_id ?? undefined;
  } catch {
    // It may not run yet; the fleet learns the log with its first entry.
    return undefined;
  } finally {
    connection.close();
  }
}
