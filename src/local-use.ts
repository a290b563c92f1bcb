/**
 * Local use (`--local`): everything that the service needs, in a directory of its own, for somebody trying it.
 *
 * It is asked for and never what happens because a file is missing. What it makes it makes once: the state of an earlier
 * run is used again, and a key is never replaced, because the log was written with it.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { BindAddress } from './config.ts';
import { RecorderError } from './errors.ts';

/**
 * Makes `<directory>/var` (mode 0700) with a random token and audit key (mode 0600) unless they are there.
 *
 * Returns the variables that point the configuration at them, to be overridden by those that the user has set. Throws
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
 * What to print when the service is up: that this is local use, and a command ready to paste that reports a first
 * incident. `bind` is where the service really listens, `directory` the one that the command will be pasted in. The
 * token goes from its file to curl through a pipe, so neither the text nor the list of processes shows it.
 */
export const firstReport = (bind: BindAddress, tokenPath: string, directory: string): string => {
  const near = relative(directory, tokenPath);
  const token = shellWord(near.startsWith('..') ? tokenPath : near);
  const endpoint = 'api/v1/incidents/report';
  const target =
    bind.kind === 'unix'
      ? `--unix-socket ${shellWord(bind.path)} http://localhost/${endpoint}`
      : `http://${bind.host.includes(':') ? `[${bind.host}]` : bind.host}:${bind.port}/${endpoint}`;
  return [
    `Local use: the state is kept in ${dirname(tokenPath)}. Report a first incident with`,
    `  sed 's/^/Authorization: Bearer /' ${token} | curl -H @- --json '${BODY}' ${target}`,
  ].join('\n');
};

const shellWord = (text: string): string =>
  /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** Writes a file that is there, whole, after a power cut, or not at all. */
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
