/**
 * Local use (`--local`): everything that the service needs in one directory, for people who try it.
 *
 * It starts only on request, never because a file is missing. The state of an earlier run is used again. A key is never
 * replaced, because the log was written with it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { BindAddress } from './config.ts';
import { replaceFile } from './durable-file.ts';
import { RecorderError } from './errors.ts';

/** The mode of a secret's file. */
const OWNER_ONLY = 0o600;

/**
 * Creates `<directory>/var` (mode 0700) with a random token and a random audit key (mode 0600), unless they exist.
 * @returns the variables that point the configuration at them; the user's own variables come first
 * @throws RecorderError `config` for a log whose key is gone
 */
export const prepareLocalUse = async (directory: string): Promise<Readonly<Record<string, string>>> => {
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
    await replaceFile(key, `${randomBytes(32).toString('hex')}\n`, OWNER_ONLY);
  }
  if (!existsSync(token)) await replaceFile(token, `${randomBytes(32).toString('base64url')}\n`, OWNER_ONLY);

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
