/** `incident-recorder verify`: checks an audit log offline. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chainHash } from '../audit/chain-hash.ts';
import type { Head } from '../audit/entry.ts';
import { readKey } from '../audit/key.ts';
import { filesOf, type Verification, verifyFiles } from '../audit/verify.ts';
import { EXIT, subcommand } from './subcommand.ts';

const USAGE = `usage: incident-recorder verify [--key FILE] [--anchor ENTRIES:HASH] LOG
       incident-recorder verify [--key FILE] [--anchor ENTRIES:HASH] SEGMENT... LOG

Checks the chain of an audit log from its first entry, and that it reaches its checkpoint. Of one file the sealed
segments beside it are taken too; several files are taken as they are named, the oldest first. The key is read from
FILE, else from the file named by AUDIT_HMAC_KEY_PATH, else from audit-hmac-key beside the log; without one the chain is
taken for plain SHA-256. An anchor is a count of entries and a head hash that were noted elsewhere, as printed here: a
log that was rolled back together with its checkpoint no longer holds it.

Exit code 0: valid. 1: not valid, the first line that is wrong is named. 2: usage.
`;

interface Arguments {
  readonly files: readonly string[];
  readonly key: string | undefined;
  readonly anchor: Head | undefined;
}

export const run = subcommand({ usage: USAGE, read: readArguments, act: verify });

async function verify({ files: named, key, anchor }: Arguments): Promise<number> {
  const log = named.at(-1) ?? '';
  const files = named.length === 1 ? await filesOf(log) : named;
  const keyPath = key ?? (process.env.AUDIT_HMAC_KEY_PATH || keyBeside(log));
  const hash = chainHash(keyPath === undefined ? undefined : readKey(keyPath));
  const verification = await verifyFiles(files, hash, anchor === undefined ? {} : { anchor });
  process.stdout.write(describe(log, verification, hash.algorithm));
  return verification.damage === undefined ? EXIT.done : EXIT.refused;
}

function readArguments(args: string[]): Arguments | 'help' {
  const { values, positionals } = parseArgs({
    args,
    options: {
      key: { type: 'string' },
      anchor: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
  });
  if (values.help) return 'help';
  if (positionals.length === 0) throw new Error('no file was named');
  return { files: positionals, key: values.key, anchor: readAnchor(values.anchor) };
}

function readAnchor(text: string | undefined): Head | undefined {
  if (text === undefined) return undefined;
  const [, entries, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (entries === undefined || hash === undefined) {
    throw new Error('--anchor must be ENTRIES:HASH, a whole number and 64 lower-case hex digits');
  }
  return { entries: Number(entries), hash };
}

/** In local use the key is made beside the log. */
function keyBeside(path: string): string | undefined {
  const beside = join(dirname(path), 'audit-hmac-key');
  return existsSync(beside) ? beside : undefined;
}

function describe(log: string, found: Verification, algorithm: string): string {
  const { damage, entries, first, last, hash, files, bytes, checkpoint } = found;
  const lines = [
    damage === undefined ? `${log}: valid` : `${log}: NOT VALID`,
    ...(damage === undefined ? [] : [`damage      ${damage.file}, line ${damage.line}: ${damage.reason}`]),
    `entries     ${entries}${damage === undefined ? '' : ' valid before the damage'}`,
    `first       ${first ?? '-'}`,
    `last        ${last ?? '-'}`,
    `head hash   ${hash === '' ? '-' : hash}`,
    `algorithm   ${algorithm}${algorithm === 'sha256' ? ' (no key: shows accidents, not forgery)' : ''}`,
    `checkpoint  ${checkpoint === undefined ? 'none' : `${checkpoint} entries`}`,
    `files       ${files}, ${bytes} bytes`,
  ];
  return `${lines.join('\n')}\n`;
}
