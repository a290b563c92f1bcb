/**
 * Enrols this machine with a fleet: makes its key pair and its token, and shows the fleet the one-time secret.
 *
 * What is made is on disk before the fleet hears of it, so that a machine whose enrolment was cut in the middle can
 * still be enrolled with the same token. A key pair that is there already stays; the token is a new one each time.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { readKey } from '../audit/key.ts';
import { MINUTE } from '../clock.ts';
import { replaceFile, syncDirectoryOf } from '../durable-file.ts';
import { RecorderError } from '../errors.ts';
import { isLoopback } from '../loopback.ts';
import { FleetConnection } from './fleet-connection.ts';

/** Only its owner may read it. */
const SECRET = 0o600;
const PUBLIC = 0o644;
const CLOSED_DIRECTORY = 0o700;
/** In bytes. */
const TOKEN_LENGTH = 32;
/** What a machine may be called: it stands in paths, and in the first line of anchors. */
const MACHINE = /^[A-Za-z\d][\w.-]{0,127}$/;

/** The names of the files. */
const FILES = {
  key: 'machine-key.pem',
  token: 'fleet-token',
  recorderToken: 'recorder-token',
  fleetKey: 'fleet-key',
  ca: 'fleet-ca.pem',
  dropIn: 'shipper.conf',
} as const;

export interface EnrolOptions {
  /** `https://host[:port]`. */
  readonly url: string;
  readonly machine: string;
  /** The one-time secret that `fleet enrol` has printed. */
  readonly secret: string;
  /** Where the files are written; it is made when it is not there. */
  readonly directory: string;
  readonly caPath?: string | undefined;
  readonly certPath?: string | undefined;
  readonly keyPath?: string | undefined;
  /** The fleet's IP address; by default what its name means now. */
  readonly address?: string | undefined;
  /** The identity of the local log, where it is known. */
  readonly log?: string | undefined;
  /** The audit key is shown to the fleet only when this names it: whoever has the key can forge the log. */
  readonly auditKeyPath?: string | undefined;
  readonly signal: AbortSignal;
}

export interface Enrolment {
  readonly machine: string;
  /** The fleet's name. */
  readonly fleet: string;
  /** The key that the fleet signs with, as the access file has it. */
  readonly fleetKey: string;
  /** The SHA-256 of the token that the shipper shows the local recorder. */
  readonly recorderTokenSha256: string;
  readonly directory: string;
}

/**
 * @throws RecorderError `config` for what is wrong here, FleetRefused when the fleet takes the secret no more,
 *   FleetNotReachable
 */
export async function enrol(options: EnrolOptions): Promise<Enrolment> {
  const { machine, secret, directory, log, auditKeyPath, url, caPath, certPath, keyPath, address, signal } = options;
  if (!MACHINE.test(machine)) {
    const allowed = '1 to 128 letters, digits, ".", "_" or "-", and begin with a letter or a digit';
    throw new RecorderError('config', `the machine's name ${JSON.stringify(machine)} must be ${allowed}`);
  }
  if (secret === '') throw new RecorderError('config', 'the one-time secret is missing: fleet enrol prints it');
  const auditKey = auditKeyPath === undefined ? undefined : readKey(auditKeyPath).toString('base64');
  const connection = new FleetConnection({ url, caPath, certPath, keyPath, address });
  try {
    makeDirectory(directory);
    const publicKey = await machineKey(join(directory, FILES.key));
    const waiting = join(directory, `${FILES.token}.new`);
    const token = await secretIn(waiting);
    const recorderToken = await secretIn(join(directory, FILES.recorderToken));
    const { body } = await connection.send({
      method: 'POST',
      path: '/api/v1/enrol',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(
        JSON.stringify({
          machine,
          secret,
          token_sha256: sha256(token),
          public_key: publicKey,
          ...(log === undefined ? {} : { log }),
          ...(auditKey === undefined ? {} : { audit_key: auditKey }),
        }),
      ),
      anonymous: true,
      patience: MINUTE,
      signal,
    });
    const enrolled = body as { readonly machine?: unknown; readonly fleet?: unknown; readonly fleet_key?: unknown };
    if (typeof enrolled?.fleet !== 'string' || typeof enrolled.fleet_key !== 'string')
      throw new RecorderError('config', `${url} does not answer as a fleet`);
    renameSync(waiting, join(directory, FILES.token));
    await syncDirectoryOf(waiting);
    await replaceFile(join(directory, FILES.fleetKey), `${enrolled.fleet_key}\n`, PUBLIC);
    await writeDropIn(options);
    return {
      machine,
      fleet: enrolled.fleet,
      fleetKey: enrolled.fleet_key,
      recorderTokenSha256: sha256(recorderToken),
      directory,
    };
  } finally {
    connection.close();
  }
}

/** What has to be added to the access file of the recorder. */
export const accessLines = ({ machine, fleetKey, recorderTokenSha256 }: Enrolment): readonly string[] => [
  `fleet_key: ${JSON.stringify(fleetKey)}`,
  `# What the fleet may do here, e.g. roles: [operator]. Without this: nothing.`,
  `#fleet: { machine: ${JSON.stringify(machine)}, roles: [operator] }`,
  'principals:',
  '  incident-shipper:',
  '    roles: [reader, anchor]',
  `    token_sha256: ${recorderTokenSha256}`,
];

function makeDirectory(directory: string): void {
  if (!existsSync(directory)) mkdirSync(directory, { recursive: true, mode: CLOSED_DIRECTORY });
  const { uid, mode } = statSync(directory);
  if (uid !== process.geteuid!())
    throw new RecorderError('config', `${directory} belongs to user ${uid}: run this as that user`);
  if ((mode & 0o022) !== 0) chmodSync(directory, CLOSED_DIRECTORY);
}

/**
 * What is in a file of an enrolment before this one.
 * @throws RecorderError `config` where somebody else may know it, or has put it there
 */
function readOwn(path: string): string {
  const { uid, mode } = statSync(path);
  if (uid !== process.geteuid!() || (mode & 0o077) !== 0) {
    throw new RecorderError('config', `${path} is not closed to others, or belongs to user ${uid}: remove it`);
  }
  return readFileSync(path, 'utf8');
}

/** The public half of the machine's key (Ed25519), as base64 of its SPKI; makes the pair when there is none. */
async function machineKey(path: string): Promise<string> {
  let key: KeyObject;
  if (existsSync(path)) {
    key = createPrivateKey(readOwn(path));
  } else {
    key = generateKeyPairSync('ed25519').privateKey;
    await replaceFile(path, key.export({ type: 'pkcs8', format: 'pem' }), SECRET);
  }
  return createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64');
}

/** The secret in a file; makes one when there is none. */
async function secretIn(path: string): Promise<string> {
  if (existsSync(path)) return readOwn(path).trim();
  const secret = randomBytes(TOKEN_LENGTH).toString('base64url');
  await replaceFile(path, `${secret}\n`, SECRET);
  return secret;
}

/** The drop-in that opens the unit's network to the fleet, and to nothing else. */
async function writeDropIn({
  url,
  machine,
  directory,
  caPath,
  certPath,
  keyPath,
  address,
}: EnrolOptions): Promise<void> {
  const { hostname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const reached = isLoopback(host) ? undefined : (address ?? (await lookup(host)).address);
  if (caPath !== undefined) await replaceFile(join(directory, FILES.ca), readFileSync(caPath), PUBLIC);
  const credential = (name: string, path: string, variable: string): string[] => [
    `LoadCredential=${name}:${path}`,
    `Environment=${variable}=%d/${name}`,
  ];
  const lines = [
    '# Written by incident-recorder ship --enrol: where the fleet is. The shipper reaches this address and the loopback.',
    '[Service]',
    `Environment=FLEET_URL=${url}`,
    `Environment=FLEET_MACHINE=${machine}`,
    ...(reached === undefined ? [] : [`Environment=FLEET_ADDRESS=${reached}`, `IPAddressAllow=${reached}`]),
    ...credential('machine-key', join(directory, FILES.key), 'FLEET_MACHINE_KEY_PATH'),
    ...(caPath === undefined ? [] : credential('fleet-ca', join(directory, FILES.ca), 'FLEET_CA_PATH')),
    ...(certPath === undefined ? [] : credential('fleet-client-cert', certPath, 'FLEET_CLIENT_CERT_PATH')),
    ...(keyPath === undefined ? [] : credential('fleet-client-key', keyPath, 'FLEET_CLIENT_KEY_PATH')),
  ];
  await replaceFile(join(directory, FILES.dropIn), `${lines.join('\n')}\n`, PUBLIC);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
