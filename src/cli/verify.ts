/** `incident-recorder verify`: checks an audit log offline. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chainHash } from '../audit/chain-hash.ts';
import { readKey } from '../audit/key.ts';
import { type Verification, verifyLog } from '../audit/verify.ts';

const USAGE = `usage: incident-recorder verify [--key FILE] LOG

Checks the chain of an audit log from its first entry and that it reaches its checkpoint. The key is read from FILE,
else from the file named by AUDIT_HMAC_KEY_PATH, else from audit-hmac-key beside the log; without one the chain is taken
for plain SHA-256. Exit code 0: valid. 1: not valid, the first line that is wrong is named. 2: usage.
`;

export async function run(args: readonly string[]): Promise<number> {
  let key: string | undefined;
  let path: string | undefined;
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { key: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    key = values.key;
    path = positionals.length === 1 ? positionals[0] : undefined;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
  }
  if (path === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  try {
    const keyPath = key ?? (process.env.AUDIT_HMAC_KEY_PATH || keyBeside(path));
    const hash = chainHash(keyPath === undefined ? undefined : readKey(keyPath));
    const verification = await verifyLog(path, hash);
    process.stdout.write(describe(path, verification, hash.algorithm));
    return verification.damage === undefined ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${path}: ${(error as Error).message}\n`);
    return 1;
  }
}

/** In local use the key is made beside the log. */
function keyBeside(path: string): string | undefined {
  const beside = join(dirname(path), 'audit-hmac-key');
  return existsSync(beside) ? beside : undefined;
}

function describe(path: string, found: Verification, algorithm: string): string {
  const { damage, entries, first, last, hash, checkpoint } = found;
  const lines = [
    damage === undefined ? `${path}: valid` : `${path}: NOT VALID at line ${damage.line} of ${damage.file}: ${damage.reason}`,
    `entries     ${entries}${damage === undefined ? '' : ' valid before it'}`,
    `first       ${first ?? '-'}`,
    `last        ${last ?? '-'}`,
    `head hash   ${hash === '' ? '-' : hash}`,
    `algorithm   ${algorithm}${algorithm === 'sha256' ? ' (no key: shows accidents, not forgery)' : ''}`,
    `checkpoint  ${checkpoint === undefined ? 'none' : `${checkpoint} entries`}`,
  ];
  return `${lines.join('\n')}\n`;
}
