/**
 * Local use (`--local`): everything that the service needs, in a directory of its own, for somebody who tries it.
 *
 * It happens only when asked for, never because a file is missing. Each secret is made once: a later run uses the state
 * of an earlier one, and a key is never replaced, because the log was written with it.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { BindAddress, Config } from './config.ts';
import { RecorderError } from './errors.ts';

/**
 * Makes `<directory>/var` (mode 0700) with a random token and audit key (mode 0600) unless they are there.
 *
 * Returns the variables that point the configuration at them; those that the user has set win over these. Throws
 * RecorderError('config') for a log whose key is gone.
 */
export const prepareLocalUse = (directory: string): Readonly<Record<string, string>> => {
  const state = resolve(directory, 'var');
  const log = join(state, 'incident-recorder-audit.jsonl');
  const token = join(state, 'service-token');
  const key = join(state, 'audit-hmac-key');

  mkdirSync(state, { recursive: true, mode: 0o700 });
  if (!existsSync(key)) {
    const written = [log, `${log}.checkpoint`].find((path) => existsSync(path));
    if (written !== undefined) {
      throw new RecorderError(
        'config',
        `${written} is there, but the audit key that it was written with, ${key}, is not: ` +
          `put the key back, or move ${state} away to start afresh`,
      );
    }
    writeSecret(key, `${randomBytes(32).toString('hex')}\n`);
  }
  if (!existsSync(token)) writeSecret(token, `${randomBytes(32).toString('base64url')}\n`);

  return {
    CONTAINMENT_POLICY_PATH: resolve(directory, 'policy', 'incident-containment.yaml'),
    AUDIT_LOG_PATH: log,
    SERVICE_TOKEN_PATH: token,
    AUDIT_HMAC_KEY_PATH: key,
  };
};

const BODY = JSON.stringify({
  class: 'prompt_injection',
  source: 'try-out',
  description: 'A first report',
});

/**
 * The text to print when the service is up: where the state is, the console's address, and a command, ready to paste in
 * any directory, that reports a first incident. Over a unix socket there is no console that a browser could open.
 *
 * `bind` is where the service really listens. The token goes from its file to curl through a pipe, so neither the text nor
 * the list of processes shows it.
 */
export const localUseNotice = (
  bind: BindAddress,
  { logPath, tokenPath }: Pick<Config, 'logPath' | 'tokenPath'>,
): string => {
  const isTcp = bind.kind === 'tcp';
  const origin = isTcp
    ? `http://${bind.host.includes(':') ? `[${bind.host}]` : bind.host}:${bind.port}`
    : 'http://localhost';
  const socket = isTcp ? '' : `--unix-socket ${shellWord(bind.path)} `;
  return [
    `Local use: the state is kept in ${dirname(logPath)}`,
    ...(isTcp ? [`Console: ${origin}/`] : []),
    'Report a first incident:',
    `  sed 's/^/Authorization: Bearer /' ${shellWord(tokenPath)} | ` +
      `curl -H @- --json '${BODY}' ${socket}${origin}/api/v1/incidents/report`,
  ].join('\n');
};

const shellWord = (text: string): string =>
  /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** Writes a file that only the user can read. After a power cut it is there whole, or not at all. */
const writeSecret = (path: string, text: string): void => {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  const parent = openSync(dirname(path), 'r');
  try {
    fsyncSync(parent);
  } finally {
    closeSync(parent);
  }
};
