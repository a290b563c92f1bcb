/** Where the log and its key are, for the subcommands that read them themselves. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { type ChainHash, chainHash } from '../audit/chain-hash.ts';
import { readKey } from '../audit/key.ts';
import { withJson } from './api-client.ts';

/** As on an installed host. */
const USUAL_LOG = '/var/lib/secure-ai/logs/incident-recorder-audit.jsonl';
const USUAL_KEY = '/etc/secure-ai/incident-recorder/audit-hmac-key';

export interface LogOptions {
  readonly log?: string;
  readonly key?: string;
  readonly stateDirectory?: string;
  readonly json?: true;
}

export const withLog = (command: Command): Command =>
  withJson(
    command
      .option('--log <file>', `the audit log (AUDIT_LOG_PATH, else ${USUAL_LOG})`)
      .option('--key <file>', `the audit key (AUDIT_HMAC_KEY_PATH, else ${USUAL_KEY}, else beside the log)`)
      .option(
        '--state-directory <dir>',
        'where the checkpoint is, with ALLOW_SHARED_LOG_DIRECTORY=1 (then STATE_DIRECTORY)',
      ),
  );

/** The log that is meant: its path, the same beside its checkpoint, and its hash. */
export function logOf({ log, key, stateDirectory }: LogOptions): {
  readonly path: string;
  readonly beside: string;
  readonly hash: ChainHash;
  readonly keyPath: string | undefined;
} {
  const { ALLOW_SHARED_LOG_DIRECTORY: isShared, STATE_DIRECTORY: usualState } = process.env;
  const state = stateDirectory ?? (isShared === '1' ? usualState || undefined : undefined);
  const path = resolve(log ?? (process.env.AUDIT_LOG_PATH || USUAL_LOG));
  const usual = [USUAL_KEY, join(dirname(path), 'audit-hmac-key')].find((one) => existsSync(one));
  const keyPath = key ?? (process.env.AUDIT_HMAC_KEY_PATH || usual);
  return {
    path,
    beside: state === undefined ? path : join(resolve(state), basename(path)),
    hash: chainHash(keyPath === undefined ? undefined : readKey(keyPath)),
    keyPath,
  };
}
