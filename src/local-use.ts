/**
 * Local use (`--local`): everything that the service needs in one directory, for people who try it.
 *
 * It starts only on request, never because a file is missing. The state of an earlier run is used again. A key is never
 * replaced, because the log was written with it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { BindAddress, Config } from './config.ts';
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
    ACCESS_PATH: resolve(directory, 'policy', 'incident-access.yaml'),
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
 * `bind` is where the service really listens. The token goes from its file to curl through a pipe, so neither the text
 * nor the list of processes shows it.
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
