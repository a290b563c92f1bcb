import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HARDENED_NODE } from './hardened-node.ts';

/** How long the service may take, in milliseconds. It starts in a second, but the machine may be busy. */
const PATIENCE = 120_000;

/**
 * Writes the cached data of the bundle in `dist`, made with the flags of the hardened host.
 * @throws when the service does not run
 */
export function makeCachedData(dist: string): void {
  const bundle = join(dist, 'bundle.cjs');
  const cache = `${bundle}.cache`;
  const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-build-'));
  const inDirectory = (name: string): string => join(directory, name);
  try {
    const secret = randomBytes(24).toString('hex');
    for (const name of ['token', 'key']) writeFileSync(inDirectory(name), secret, { mode: 0o600 });
    const socket = inDirectory('socket');
    const args = [...HARDENED_NODE.flags, join(dist, 'warm-up.cjs'), bundle, cache, socket, secret];
    execFileSync(process.execPath, args, {
      env: {
        ...HARDENED_NODE.env,
        BIND_ADDR: `unix:${socket}`,
        AUDIT_LOG_PATH: inDirectory('audit.jsonl'),
        SERVICE_TOKEN_PATH: inDirectory('token'),
        // An access file of this machine is not for this token.
        ACCESS_PATH: 'none',
        AUDIT_HMAC_KEY_PATH: inDirectory('key'),
        CONTAINMENT_POLICY_PATH: join(import.meta.dirname, '../../policy/incident-containment.yaml'),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: PATIENCE,
    });
    // The service wrote the file with its own umask.
    chmodSync(cache, 0o644);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
