/** `incident-recorder verify`: checks an audit log offline. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import { chainHash } from '../audit/chain-hash.ts';
import type { Head } from '../audit/entry.ts';
import { archivedPath } from '../audit/archived-path.ts';
import { readKey } from '../audit/key.ts';
import { findSealed, type SealedSegment } from '../audit/segments.ts';
import { type AnchorsVerified, AnchorVerification } from '../audit/verify-anchors.ts';
import { filesOf, type Verification, verifyFiles } from '../audit/verify.ts';
import { verifyInParallel } from '../audit/verify-in-parallel.ts';
import { RecorderError } from '../errors.ts';
import { fleetKeyIn } from './fleet-key.ts';
import { EXIT, UsageError } from './exit.ts';
import { withJson } from './api-client.ts';
import { progressBar } from './terminal/progress-bar.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const DESCRIPTION = `Checks the chain of an audit log from its first entry, and that it reaches its checkpoint. With one file, the sealed \
segments next to it are checked too; name several files oldest first.

The key is read from the file of --key, else from the file named by AUDIT_HMAC_KEY_PATH, else from audit-hmac-key next \
to the log; without a key the chain is checked as plain SHA-256. An anchor is a number of entries and a head hash that \
you noted elsewhere, as printed here: a log that was rolled back together with its checkpoint no longer has it.

--anchors compares the log with the anchors that it records, and --anchors-from with signed notes in a file: what a fleet \
has signed shows a past that was rewritten later, even by somebody who has the key. --fleet-key is the fleet's public key \
(incident-recorder fleet pubkey), or a file with it; without it, signatures are not checked.

When the key was replaced (rotate-key), --old-key leads from the log to what was archived then.

Exit code 1: the log is not valid, and the first wrong line is named; or entries are missing because the file was cut \
while the recorder wrote it. Given a copy of that file, in its place before the others, the log is checked with it.`;

interface Options {
  readonly key?: string;
  readonly oldKey?: readonly string[];
  readonly anchor?: Head;
  readonly anchors?: true;
  readonly anchorsFrom?: string;
  readonly fleetKey?: readonly string[];
  readonly stateDirectory?: string;
  readonly json?: true;
}

export const define = (command: Command): Command =>
  withJson(
    command
      .description(DESCRIPTION)
      .argument('<file...>', 'the log, or its files')
      .option('--key <file>', 'the audit key')
      .option('--old-key <file>', 'the key before it; repeat it for those before, the oldest first', listed, [])
      .option('--state-directory <dir>', 'where the checkpoint is, with ALLOW_SHARED_LOG_DIRECTORY=1')
      .option('--anchor <entries:hash>', 'a head that was noted elsewhere', readAnchor)
      .option('--anchors', 'the anchors that the log records')
      .option('--anchors-from <file>', 'signed notes that were kept elsewhere')
      .option('--fleet-key <key>', 'the public key of the fleet, or a file with it; may be repeated', listed, []),
  ).action(verify);

async function verify(
  named: readonly string[],
  { key, oldKey = [], anchor, anchors: asked, anchorsFrom, fleetKey = [], stateDirectory, json }: Options,
): Promise<void> {
  const log = named.at(-1) ?? '';
  const archived = oldKey.length === 0 ? [] : await archivedOf(log);
  const files = named.length === 1 ? [...archived.map(({ path }) => path), ...(await filesOf(log))] : named;
  const keyGiven = key ?? (process.env.AUDIT_HMAC_KEY_PATH || undefined);
  const keyPath = keyGiven ?? keyNextTo(log);
  const auditKey = keyPath === undefined ? undefined : readKey(keyPath);
  const hash = chainHash(auditKey);
  const anchors = asked === undefined && anchorsFrom === undefined ? undefined : anchorsOf(fleetKey, anchorsFrom);
  if (asked) await anchors?.addRecorded(files);
  const bar = progressBar(files.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0));
  const start = performance.now();
  const options = {
    onProgress: (bytes: number) => bar.show(bytes),
    ...(anchor === undefined ? {} : { anchor }),
    ...(anchors === undefined ? {} : { anchors }),
    ...(stateDirectory === undefined ? {} : { beside: join(stateDirectory, basename(log)) }),
  };
  const older = oldKey.map((path) => chainHash(readKey(path)));
  const found = await (
    older.length === 0 && anchors === undefined
      ? verifyInParallel(files, auditKey, options)
      : verifyFiles(files, hash, { ...options, older })
  ).finally(() => bar.end());
  const seconds = (performance.now() - start) / 1000;
  const isValid = found.damage === undefined && found.missing.length === 0;
  if (!isValid) process.exitCode = EXIT.refused;
  if (json) {
    const proof = { algorithm: hash.algorithm, ...(keyPath === undefined ? {} : { key: keyPath }) };
    return writeJson({ log, valid: isValid, ...proof, ...found, seconds });
  }
  const proof =
    keyPath === undefined
      ? 'none: shows accidents, not forgery'
      : `${keyPath}${keyGiven === undefined ? ' (found beside the log: whoever can write there can replace both)' : ''}`;
  return writeLines(describe(log, found, hash.algorithm, proof, seconds).map(printable));
}

/** The archived segments of a log; none where there is no archive. */
const archivedOf = (log: string): Promise<readonly SealedSegment[]> =>
  existsSync(dirname(archivedPath(log))) ? findSealed(archivedPath(log)) : Promise.resolve([]);

const listed = (one: string, before: readonly string[]): readonly string[] => [...before, one];

function readAnchor(text: string): Head {
  const [, entries, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (entries === undefined || hash === undefined) {
    throw new UsageError('--anchor must be ENTRIES:HASH, a whole number and 64 lower-case hex digits');
  }
  return { entries: Number(entries), hash };
}

/**
 * What to compare the log with.
 * @param from a file with notes
 * @throws UsageError when a key or a note can't be used
 */
function anchorsOf(keys: readonly string[], from: string | undefined): AnchorVerification {
  try {
    const anchors = new AnchorVerification(keys.map(fleetKeyIn));
    if (from === undefined) return anchors;
    if (keys.length === 0)
      throw new UsageError('--anchors-from needs --fleet-key: without it anybody may have written the notes');
    if (anchors.addNotes(from, readFileSync(from, 'utf8')) === 0) throw new UsageError(`${from} holds no signed note`);
    return anchors;
  } catch (error) {
    if (error instanceof RecorderError) throw new UsageError(error.message);
    if ((error as NodeJS.ErrnoException).code !== undefined) throw new UsageError((error as Error).message);
    throw error;
  }
}

/** Local use keeps the key next to the log. */
function keyNextTo(path: string): string | undefined {
  const keyPath = join(dirname(path), 'audit-hmac-key');
  return existsSync(keyPath) ? keyPath : undefined;
}

function describe(
  log: string,
  found: Verification,
  algorithm: string,
  key: string,
  seconds: number,
): readonly string[] {
  const { damage, missing, entries, first, last, hash, files, bytes, checkpoint, anchors } = found;
  return [
    `${log}: ${verdictOn(found)}`,
    ...missing.map(({ file, reason }) => `missing     ${file}, line 1: ${reason}`),
    ...(damage === undefined
      ? []
      : [`${damage.newer ? 'newer       ' : 'damage      '}${damage.file}, line ${damage.line}: ${damage.reason}`]),
    `entries     ${entries}${damage === undefined ? '' : ` valid before ${damage.newer ? 'that' : 'the damage'}`}`,
    `first       ${first ?? '-'}`,
    `last        ${last ?? '-'}`,
    `head hash   ${hash === '' ? '-' : hash}`,
    `algorithm   ${algorithm}`,
    `key         ${key}`,
    `checkpoint  ${checkpoint === undefined ? 'none' : `${checkpoint} entries`}`,
    ...(anchors === undefined ? [] : [`anchors     ${anchorWords(anchors)}`]),
    `files       ${files}, ${bytes} bytes`,
    `speed       ${rate(bytes, seconds)} bytes/s, ${rate(entries, seconds)} entries/s, ${seconds.toFixed(2)} s`,
  ];
}

function anchorWords({ agree, roots, archived, signatures, last }: AnchorsVerified): string {
  const rest = archived === 0 ? '' : `; ${archived} of entries that are not here`;
  if (last === undefined) return `none${rest}`;
  const signed = signatures === 'verified' ? 'signatures verified' : 'signatures not checked (--fleet-key)';
  return `${agree} agree (${roots} with the root), the last of entry ${last.seq} from ${last.time}; ${signed}${rest}`;
}

function verdictOn({ damage, missing }: Verification): string {
  if (damage?.newer) return 'NOT KNOWN, a newer version wrote it';
  if (damage !== undefined) return 'NOT VALID';
  return missing.length === 0 ? 'valid' : 'NOT COMPLETE';
}

const rate = (count: number, seconds: number): string =>
  Math.round(count / Math.max(seconds, 0.001)).toLocaleString('en');
