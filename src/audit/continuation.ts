/**
 * How a log goes on under another key.
 *
 * The files of the old log are sealed and archived. The new file begins with `log.continued`, which names the head of the
 * old log and has the digest of that under both keys: so whoever has both can follow the chain from one to the other, and
 * whoever has only one can forge neither. `seq` and `prev_hash` go on, so places in the log stay what they are.
 *
 * While the files change places, `<log>.rotation` says what is to be done. The service does not start until it is done.
 */
import { open } from '../async-files.ts';
import { basename } from 'node:path';
import type { LogContinuedData } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import type { Head } from './entry.ts';
import { readLines } from './lines.ts';
import { readSmallFile } from './small-file.ts';
import { findSealed } from './segments.ts';

/** What of the old log the first entry of the new one names. */
export interface Continued extends Head {
  readonly logId: string;
}

const statement = ({ entries, hash, logId }: Continued): string =>
  `{"continues":{"last_hash":"${hash}","last_seq":${entries},"log_id":"${logId}"}}`;

/** What the first entry of a log says that goes on with another key. */
export const continuedData = (
  old: Continued,
  { oldHash, newHash }: { readonly oldHash: ChainHash; readonly newHash: ChainHash },
): LogContinuedData => ({
  log_id: old.logId,
  old_last_seq: old.entries,
  old_last_hash: old.hash,
  old_algorithm: oldHash.algorithm,
  old_key_digest: oldHash.digest(statement(old)),
  new_key_digest: newHash.digest(statement(old)),
});

/**
 * Why the first entry of a continued log does not name what comes before it.
 * @param before the end of the old log, as it was verified
 * @returns undefined when it does, under both keys
 */
export function faultOfContinuation(
  { log_id: logId, old_last_seq, old_last_hash, old_key_digest, new_key_digest }: LogContinuedData,
  before: Head,
  { oldHash, newHash }: { readonly oldHash: ChainHash; readonly newHash: ChainHash },
): string | undefined {
  if (old_last_seq !== before.entries || old_last_hash !== before.hash) {
    return `it continues a log that ended with entry ${old_last_seq}, not the one before it`;
  }
  const said = statement({ entries: old_last_seq, hash: old_last_hash, logId });
  if (oldHash.digest(said) !== old_key_digest) return 'it was not written with the old key';
  return newHash.digest(said) === new_key_digest ? undefined : 'it was not written with the new key';
}

/** What is left to do of a rotation. */
export interface Rotation {
  readonly logId: string;
  /** The last entry of the old log. */
  readonly lastSeq: number;
  /** `seq` of the first entry of the old log's newest file. */
  readonly first: number;
  /** The end of the new file. */
  readonly head: Head;
}

export const rotationPath = (logPath: string): string => `${logPath}.rotation`;

/** The path of the file in which the log goes on, until it takes its place. */
export const continuedPath = (logPath: string): string => `${logPath}.continued`;

export const rotationText = ({ logId, lastSeq, first, head }: Rotation): string =>
  `${JSON.stringify({ log_id: logId, last_seq: lastSeq, first, entries: head.entries, hash: head.hash })}\n`;

/** @throws RecorderError `config` when the note is not as `rotationText` writes it */
export function readRotation(logPath: string): Rotation | undefined {
  const text = readSmallFile(rotationPath(logPath));
  if (text === undefined) return undefined;
  const [, logId, lastSeq, first, entries, hash] = NOTE.exec(text) ?? [];
  if (logId === undefined || hash === undefined) {
    throw new RecorderError('config', `${rotationPath(logPath)} is not spelt as rotate-key writes it`);
  }
  return { logId, lastSeq: Number(lastSeq), first: Number(first), head: { entries: Number(entries), hash } };
}

/** How much is read at a time: the first entry of a log is short. */
const FIRST_BYTES = 4096;

const NOTE =
  /^\{"log_id":"([0-9a-f]{64})","last_seq":(\d{1,15}),"first":(\d{1,15}),"entries":(\d{1,15}),"hash":"([0-9a-f]{64})"\}\n$/;

/**
 * Refuses a log whose key is being replaced, or was replaced while this process still has the old one.
 * @param beside the path of the log in the directory of its checkpoint
 * @throws RecorderError `config`
 */
export async function requireCurrentKey(path: string, beside: string, hash: ChainHash): Promise<void> {
  if (readRotation(beside) !== undefined) {
    throw new RecorderError(
      'config',
      `the audit key is being replaced (${rotationPath(beside)}): run incident-recorder rotate-key once more, with the same keys`,
    );
  }
  const [oldest = { path }] = await findSealed(path);
  const first = await firstLine(oldest.path);
  const continued = first === undefined ? undefined : readContinued(first);
  if (continued === undefined) return;
  const { old_last_seq, old_last_hash, log_id, old_key_digest, new_key_digest } = continued;
  const digest = hash.digest(statement({ entries: old_last_seq, hash: old_last_hash, logId: log_id }));
  if (digest !== old_key_digest || digest === new_key_digest) return;
  throw new RecorderError(
    'config',
    `the audit key is the old one: from entry ${old_last_seq + 1} on (${basename(oldest.path)}) the log has another; ` +
      'name that in AUDIT_HMAC_KEY_PATH',
  );
}

/** Whether a file begins with the entry that continues a log under another key. */
export async function isContinued(path: string): Promise<boolean> {
  const line = await firstLine(path);
  return line !== undefined && readContinued(line) !== undefined;
}

/** The first line of a file; undefined when it has none. */
async function firstLine(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (file === undefined) return undefined;
  try {
    for await (const [line] of readLines(file, 0, (await file.stat()).size, FIRST_BYTES)) {
      return line?.whole ? line.bytes.toString('utf8') : undefined;
    }
    return undefined;
  } finally {
    await file.close();
  }
}

/** What an entry says that continues a log, whoever wrote it; undefined for any other line. */
function readContinued(line: string): LogContinuedData | undefined {
  if (!line.includes('"event":"log.continued"')) return undefined;
  try {
    const { event, data } = JSON.parse(line) as { readonly event: unknown; readonly data: LogContinuedData };
    return event === 'log.continued' ? data : undefined;
  } catch {
    return undefined;
  }
}
