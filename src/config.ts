/** The configuration: read from the environment and checked as a whole, before anything is opened. */
import { isIPv4, isIPv6 } from 'node:net';
import { isAbsolute } from 'node:path';
import type { AttestorAddress } from './containment/attestor.ts';
import { RecorderError } from './errors.ts';
import { isLoopback } from './loopback.ts';
import { environmentTargets, TARGET_VARIABLES, type TargetVariables } from './policy/environment-targets.ts';
import type { Targets } from './policy/targets.ts';

export type BindAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** A listening socket that systemd has passed to this process: sd_listen_fds(3). */
export interface InheritedSocket {
  readonly kind: 'inherited';
  /** The file descriptor. */
  readonly fd: number;
  /** Its name in `LISTEN_FDNAMES`: the `FileDescriptorName=` of its unit. */
  readonly name: string;
  /** Whether it must not be reachable from other machines. */
  readonly loopbackOnly: boolean;
}

export interface Config {
  /**
   * Where the API listens: the sockets that systemd has passed, and what `BIND_ADDR` names besides. With port 0 the system
   * chooses a port.
   */
  readonly bind: readonly (BindAddress | InheritedSocket)[];
  /** Whether addresses that other machines can reach are allowed. */
  readonly allowNonLoopback: boolean;
  readonly policyPath: string;
  readonly logPath: string;
  readonly tokenPath: string;
  /** The file that says who may do what, or `none`. */
  readonly accessPath: string;
  /** The file with the audit key. Without one the chain is plain SHA-256. */
  readonly keyPath: string | undefined;
  /** The file with the key that signs forensic exports. Without one there are none. */
  readonly forensicKeyPath?: string;
  /** The file with the key that signs evidence bundles. Without one they are not signed. */
  readonly exportKeyPath?: string;
  /** Whether the group of the log's directory may write there. */
  readonly sharedLogDirectory: boolean;
  /** A directory of the recorder's own, for what must not be in a shared one. */
  readonly stateDirectory: string | undefined;
  /** Directories above this one are trusted: local use trusts the checkout that it is run in. */
  readonly trustedBelow: string;
  /** Who may read: anybody, or only clients with the service token. */
  readonly readAccess: (typeof READ_ACCESS)[number];
  /** Who sees the evidence of reports: whoever may read, or only auditors, operators and recovery. */
  readonly readEvidence: (typeof READ_EVIDENCE)[number];
  /** The longest body of a command, in bytes. */
  readonly maxBodyBytes: number;
  /** The size in bytes at which the audit log's file is sealed. */
  readonly segmentBytes: number;
  /** How many live actors are kept at most. */
  readonly liveActors: number;
  readonly logLevel: LogLevel;
  /** Where actions are sent that the policy has no target for; not there when the environment names no service. */
  readonly environmentTargets?: Targets;
  /** The attestor that is asked before an incident may be over; undefined when no variable names one. */
  readonly attestor: AttestorAddress | undefined;
}

/** A longer body might not fit into an entry of the log (`MAX_ENTRY_BYTES`), and a few of them not into memory. */
const LONGEST_BODY = 256 * 1024;

const READ_ACCESS = ['open', 'token'] as const;
const READ_EVIDENCE = ['open', 'restricted'] as const;

/** The levels of pino. */
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the configuration. An empty variable counts as not set.
 * @param env the environment
 * @param defaults values for variables that the environment does not set
 * @throws RecorderError `config`; its message names every fault, one a line, and says what is allowed
 */
export const readConfig = (env: Environment, defaults: Environment = {}): Config => {
  const faults: string[] = [];
  const read = <Value>(name: string, fallback: string, parse: Parse<Value>): Value =>
    parse(env[name] || defaults[name] || fallback, (what) => faults.push(`${name} ${what}`));

  const allowNonLoopback = read('ALLOW_NON_LOOPBACK', '0', flag);
  const inherited = inheritedSockets(env, !allowNonLoopback);
  const ownAddress = inherited.length === 0 ? '127.0.0.1:8515' : '';
  const forensicKeyPath = read('FORENSIC_HMAC_KEY_PATH', '', optionalPath);
  const exportKeyPath = read('EXPORT_KEY_PATH', '', optionalPath);
  const config: Config = {
    bind: [...inherited, ...read('BIND_ADDR', ownAddress, bindAddresses(allowNonLoopback))],
    allowNonLoopback,
    policyPath: read('CONTAINMENT_POLICY_PATH', '/etc/secure-ai/policy/incident-containment.yaml', absolutePath),
    logPath: read('AUDIT_LOG_PATH', '/var/lib/secure-ai/logs/incident-recorder-audit.jsonl', absolutePath),
    tokenPath: read('SERVICE_TOKEN_PATH', '/run/secure-ai/service-token', absolutePath),
    accessPath: read('ACCESS_PATH', '/etc/secure-ai/policy/incident-access.yaml', pathOrNone),
    keyPath: read('AUDIT_HMAC_KEY_PATH', '', optionalPath),
    ...(forensicKeyPath === undefined ? {} : { forensicKeyPath }),
    ...(exportKeyPath === undefined ? {} : { exportKeyPath }),
    sharedLogDirectory: read('ALLOW_SHARED_LOG_DIRECTORY', '0', flag),
    stateDirectory: read('STATE_DIRECTORY', '', optionalPath),
    trustedBelow: '/',
    readAccess: read('READ_ACCESS', 'open', oneOf(READ_ACCESS)),
    readEvidence: read('READ_EVIDENCE', 'open', oneOf(READ_EVIDENCE)),
    maxBodyBytes: read('MAX_BODY_BYTES', String(LONGEST_BODY), count(1024, LONGEST_BODY)),
    segmentBytes: read('AUDIT_SEGMENT_BYTES', String(64 * 1024 * 1024), count(1024, 1024 ** 4)),
    liveActors: read('LIVE_ACTORS', '512', count(1, 100_000)),
    logLevel: read('LOG_LEVEL', 'info', oneOf(LOG_LEVELS)),
    attestor: attestor(read, (fault) => faults.push(fault)),
  };
  if (config.sharedLogDirectory && config.stateDirectory === undefined) {
    faults.push('ALLOW_SHARED_LOG_DIRECTORY needs STATE_DIRECTORY, a directory that only this user can write');
  }
  const targets = targetsIn(read, allowNonLoopback, (name, what) => faults.push(`${name} ${what}`));
  if (faults.length > 0) throw new RecorderError('config', faults.join('\n'), { fields: { faults } });
  return Object.keys(targets).length === 0 ? config : { ...config, environmentTargets: targets };
};

/** The targets that the appliance's unit names. What is no absolute path, where one must be, is a fault already. */
function targetsIn(
  read: (name: string, fallback: string, parse: Parse<string | undefined>) => string | undefined,
  allowNonLoopback: boolean,
  fault: (name: string, what: string) => void,
): Targets {
  const variables: { -readonly [Name in keyof TargetVariables]: TargetVariables[Name] } = {};
  for (const name of TARGET_VARIABLES) {
    const value = read(name, '', name.endsWith('_URL') ? asGiven : optionalPath);
    if (value !== undefined) variables[name] = value;
  }
  return environmentTargets(variables, allowNonLoopback, fault);
}

/** Parses the text of a variable. After a call of `fault`, the result is not used. */
type Parse<Value> = (text: string, fault: (what: string) => void) => Value;

/** Reads a variable, or its default. */
type Read = <Value>(name: string, fallback: string, parse: Parse<Value>) => Value;

/** Where the appliance's attestor listens. */
const ATTESTOR = 'http://127.0.0.1:8505';

/** The attestor's three variables. With none of them nobody is asked; the files have no defaults. */
const attestor = (read: Read, fault: (fault: string) => void): AttestorAddress | undefined => {
  const given = read('RUNTIME_ATTESTOR_URL', '', (text) => text);
  const tokenPath = read('RUNTIME_ATTESTOR_TOKEN_PATH', '', optionalPath);
  const keyPath = read('ATTESTATION_HMAC_KEY_PATH', '', optionalPath);
  if (given === '' && tokenPath === undefined && keyPath === undefined) return undefined;
  const origin = read('RUNTIME_ATTESTOR_URL', ATTESTOR, attestorUrl);
  if (tokenPath === undefined)
    fault('RUNTIME_ATTESTOR_TOKEN_PATH is not set, and the attestor takes no request without');
  if (keyPath === undefined) fault('ATTESTATION_HMAC_KEY_PATH is not set, and no answer can be verified without');
  return { ...origin, tokenPath: tokenPath ?? '', keyPath: keyPath ?? '' };
};

/** By number, as text: no resolver and no other spelling of an address decides who gets the token. */
const attestorUrl: Parse<Pick<AttestorAddress, 'host' | 'port' | 'path'>> = (text, fault) => {
  const [, ipv4 = '', ipv6, digits = '80', path = ''] =
    /^http:\/\/(?:(127(?:\.\d{1,3}){3})|\[(::1)\])(?::(\d{1,5}))?((?:\/[\w.~-]+)*)\/?$/.exec(text) ?? [];
  const host = ipv6 ?? ipv4;
  const port = Number(digits);
  if ((!isIPv4(host) && !isIPv6(host)) || port === 0 || port > 65_535) {
    fault(`must be http://127.x.x.x:port or http://[::1]:port, by number, not ${shown(text)}`);
  }
  return { host, port, path };
};

const flag: Parse<boolean> = (text, fault) => {
  if (text !== '0' && text !== '1') fault(`must be 0 or 1, not ${shown(text)}`);
  return text === '1';
};

const absolutePath: Parse<string> = (text, fault) => {
  if (!isAbsolute(text)) fault(`must be an absolute path, not ${shown(text)}`);
  else if (text.includes('\0')) fault('must be a path without a NUL');
  return text;
};

const pathOrNone: Parse<string> = (text, fault) => (text === 'none' ? text : absolutePath(text, fault));
const asGiven: Parse<string | undefined> = (text) => text || undefined;

const optionalPath: Parse<string | undefined> = (text, fault) => (text === '' ? undefined : absolutePath(text, fault));

const count =
  (least: number, most: number): Parse<number> =>
  (text, fault) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    if (value < least || value > most) fault(`must be a whole number from ${least} to ${most}, not ${shown(text)}`);
    return value;
  };

const oneOf =
  <Word extends string>(words: readonly Word[]): Parse<Word> =>
  (text, fault) => {
    if (!words.includes(text as Word)) fault(`must be one of ${words.join(', ')}, not ${shown(text)}`);
    return text as Word;
  };

/** The first file descriptor that systemd passes: sd_listen_fds(3). */
const FIRST_FD = 3;

/** The sockets that systemd has passed to this process; none when the variables are for another process. */
const inheritedSockets = (env: Environment, loopbackOnly: boolean): readonly InheritedSocket[] => {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = env;
  if (LISTEN_PID !== String(process.pid) || !/^\d{1,3}$/.test(LISTEN_FDS ?? '')) return [];
  const names = LISTEN_FDNAMES.split(':');
  return Array.from({ length: Number(LISTEN_FDS) }, (_, index) => ({
    kind: 'inherited',
    fd: FIRST_FD + index,
    name: names[index] ?? '',
    loopbackOnly,
  }));
};

/** One address or several, with commas between them. No path of a socket contains a comma. */
const bindAddresses = (allowNonLoopback: boolean): Parse<readonly BindAddress[]> => {
  const parse = bindAddress(allowNonLoopback);
  return (text, fault) => {
    if (text === '') return [];
    const all = text.split(',');
    const repeated = all.find((one, index) => all.indexOf(one) !== index && !one.endsWith(':0'));
    if (repeated !== undefined) fault(`names ${shown(repeated)} twice`);
    return all.map((one) => parse(one, fault));
  };
};

/** `sun_path` holds 108 bytes, the last of them NUL: unix(7). */
const LONGEST_SOCKET_PATH = 107;

const bindAddress =
  (allowNonLoopback: boolean): Parse<BindAddress> =>
  (text, fault) => {
    if (text.startsWith('unix:')) {
      const path = text.slice('unix:'.length);
      absolutePath(path, (what) => fault(`unix: ${what}`));
      if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH) {
        fault(`unix: must be a path of at most ${LONGEST_SOCKET_PATH} bytes`);
      }
      return { kind: 'unix', path };
    }
    const [, ipv6, name = '', digits] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(text) ?? [];
    const host = ipv6 ?? name;
    const port = Number(digits);
    if (digits === undefined || port > 65_535 || (ipv6 !== undefined && !isIPv6(ipv6))) {
      fault(`must be host:port, [::1]:port or unix:/path, not ${shown(text)}`);
    } else if (!allowNonLoopback && !isLoopback(host)) {
      fault(
        `must be on the loopback (127.0.0.0/8, [::1], localhost), not ${shown(text)}; ` +
          'set ALLOW_NON_LOOPBACK=1 if other machines are meant to reach the service',
      );
    }
    return { kind: 'tcp', host, port };
  };

const shown = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
