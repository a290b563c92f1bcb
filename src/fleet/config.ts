/** The configuration of the fleet: read from the environment and checked as a whole, before anything is opened. */
import { isAbsolute } from 'node:path';
import { RecorderError } from '../errors.ts';
import { isLoopback } from '../loopback.ts';
import { isKeyName } from '../signed-note.ts';
import type { DatabasePlace } from './database.ts';
import type { Quota } from './quotas.ts';

export interface FleetConfig {
  readonly database: DatabasePlace;
  readonly host: string;
  readonly port: number;
  /** The name of the fleet's key, which stands in every anchor. */
  readonly name: string;
  /** The file with the key that signs anchors and commands. */
  readonly keyPath: string;
  /** The file that says who may do what; without one the token in `tokenPath` has every role. */
  readonly accessPath: string | undefined;
  readonly tokenPath: string | undefined;
  /** The file that says what counts as a campaign; undefined for the default. */
  readonly policyPath?: string | undefined;
  /** Who may read: only those with a token, or anybody who reaches the fleet. */
  readonly readAccess: 'token' | 'open';
  /** Who sees the evidence of reports: whoever may read, or only auditor, operator and recovery. */
  readonly readEvidence?: 'open' | 'restricted';
  readonly tls:
    | { readonly certPath: string; readonly keyPath: string; readonly clientCaPath: string | undefined }
    | undefined;
  /** What one machine may send. */
  readonly quota: Quota;
  /** After how many milliseconds without a word a machine is silent. */
  readonly silentAfter: number;
  /** Whether the database must have a synchronous standby. */
  readonly needsStandby?: boolean;
  /** The directory that exports are put together in. */
  readonly scratch?: string;
  readonly logLevel: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * Reads the configuration. An empty variable counts as not set.
 * @param directory holds `var/fleet`, where everything is that no variable places
 * @throws RecorderError `config`; its message names every fault, one a line
 */
export function readFleetConfig(env: Environment, directory: string): FleetConfig {
  const faults: string[] = [];
  const given = (name: string): string | undefined => env[name] || undefined;
  const path = (name: string): string | undefined => {
    const value = given(name);
    if (value !== undefined && !isAbsolute(value)) faults.push(`${name} must be an absolute path`);
    return value;
  };
  const count = (name: string, fallback: number, most: number): number => {
    const text = given(name);
    if (text === undefined) return fallback;
    const value = /^\d{1,12}$/.test(text) ? Number(text) : 0;
    if (value < 1 || value > most) faults.push(`${name} must be a whole number from 1 to ${most}`);
    return value;
  };
  const choice = <Word extends string>(name: string, fallback: Word, words: readonly Word[]): Word => {
    const text = given(name) ?? fallback;
    if (!words.includes(text as Word)) faults.push(`${name} must be one of ${words.join(', ')}`);
    return text as Word;
  };

  const certPath = path('FLEET_TLS_CERT');
  const tlsKeyPath = path('FLEET_TLS_KEY');
  const clientCaPath = path('FLEET_TLS_CLIENT_CA');
  if ((certPath === undefined) !== (tlsKeyPath === undefined)) faults.push('FLEET_TLS_CERT needs FLEET_TLS_KEY');
  if (clientCaPath !== undefined && certPath === undefined) faults.push('FLEET_TLS_CLIENT_CA needs FLEET_TLS_CERT');
  const tls =
    certPath === undefined || tlsKeyPath === undefined ? undefined : { certPath, keyPath: tlsKeyPath, clientCaPath };

  const bind = given('FLEET_BIND') ?? '127.0.0.1:8520';
  const [, ipv6, name4 = '', digits = ''] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(bind) ?? [];
  const [host, port] = [ipv6 ?? name4, Number(digits)];
  if (digits === '' || port > 65_535) faults.push('FLEET_BIND must be host:port or [::1]:port');
  else if (tls === undefined && !isLoopback(host) && given('FLEET_ALLOW_PLAIN_HTTP') !== '1') {
    faults.push(
      'FLEET_BIND is no loopback address: give FLEET_TLS_CERT and FLEET_TLS_KEY, ' +
        'or FLEET_ALLOW_PLAIN_HTTP=1 where a proxy before it ends TLS',
    );
  }

  const name = given('FLEET_NAME') ?? 'fleet';
  if (!isKeyName(name) || name.includes('/')) faults.push('FLEET_NAME must be a word without spaces, + and /');
  const url = given('FLEET_DATABASE_URL');
  if (url !== undefined && !/^postgres(?:ql)?:\/\//.test(url)) faults.push('FLEET_DATABASE_URL must be postgres://…');
  // Its text is not shown: it may hold a password.
  else if (url !== undefined && !URL.canParse(url.replace('@/', '@localhost/')))
    faults.push('FLEET_DATABASE_URL is no URL: in a password write #, /, ?, @ and others as %23, %2F, %3F, %40');
  const state = `${directory}/var/fleet`;
  const config: FleetConfig = {
    database:
      url === undefined
        ? { folder: `${state}/database` }
        : { url, connections: count('FLEET_DATABASE_CONNECTIONS', 8, 1000) },
    host,
    port,
    name,
    keyPath: path('FLEET_KEY_PATH') ?? `${state}/key`,
    accessPath: path('FLEET_ACCESS_PATH'),
    tokenPath: path('FLEET_TOKEN_PATH'),
    policyPath: path('FLEET_POLICY_PATH'),
    readAccess: choice('FLEET_READ_ACCESS', 'token', ['token', 'open']),
    readEvidence: choice('FLEET_READ_EVIDENCE', 'open', ['open', 'restricted']),
    tls,
    quota: {
      entriesPerSecond: count('FLEET_MACHINE_ENTRIES_PER_SECOND', 5000, 1e9),
      bytesPerSecond: count('FLEET_MACHINE_BYTES_PER_SECOND', 8 * 1024 * 1024, 1e12),
    },
    silentAfter: count('FLEET_SILENT_AFTER_SECONDS', 300, 1e9) * 1000,
    needsStandby: choice('FLEET_REQUIRE_STANDBY', '0', ['0', '1']) === '1',
    scratch: `${state}/exports`,
    logLevel: choice('LOG_LEVEL', 'info', LOG_LEVELS),
  };
  if (faults.length > 0) throw new RecorderError('config', faults.join('\n'), { fields: { faults } });
  return config;
}
