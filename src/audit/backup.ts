/**
 * A backup of a log, also of one that is being written: a directory with a consistent copy of its files.
 *
 * The checkpoint is read first and the files are copied after it, so the copy reaches its checkpoint. The file that grows
 * is copied to its last whole line. When a segment is sealed or archived meanwhile, the copy is made again. The copy is
 * verified, synced, and only then gets its name. `backup.json` says what is in it, with the fingerprint of the audit key.
 * The key itself is never in it.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, lstat, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { syncDirectoryOf } from '../durable-file.ts';
import { RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { checkpointPath } from './checkpoint.ts';
import { identityPath } from './identity.ts';
import { NEWLINE } from './lines.ts';
import { filesOf, type Verification, verifyLog } from './verify.ts';

/** The name of the list in a backup. */
export const MANIFEST = 'backup.json';
/** How often a copy is made again because files were sealed or archived meanwhile. */
const MOST_ATTEMPTS = 5;
/** In milliseconds. */
const PAUSE = 50;
const WINDOW = 1024 * 1024;
/** Nobody but its owner reads a backup. */
const FILE_MODE = 0o600;

/** A file of a backup. */
export interface BackedUpFile {
  readonly name: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** What `backup.json` says. */
export interface BackupManifest {
  readonly format: 1;
  /** RFC 3339. */
  readonly made_at: string;
  /** The name of the log. */
  readonly log: string;
  /** Its last entry: an anchor to note elsewhere. */
  readonly entries: number;
  readonly last_hash: string;
  readonly algorithm: ChainHash['algorithm'];
  /** See `keyFingerprint`. */
  readonly key_fingerprint: string;
  readonly files: readonly BackedUpFile[];
}

/** Tells keys apart and says nothing of the key: a hash under it. */
export const keyFingerprint = (hash: ChainHash): string => hash.digest('the fingerprint of the audit key');

export interface BackupOptions {
  /** The path of the log. */
  readonly log: string;
  /** Its path in the directory of its checkpoint; by default they are in one. */
  readonly beside?: string;
  /** The directory to make. */
  readonly directory: string;
  readonly hash: ChainHash;
  readonly now: () => number;
}

export interface Backup {
  readonly manifest: BackupManifest;
  readonly verification: Verification;
}

/**
 * Makes a backup.
 * @throws RecorderError `config` when the directory exists or the log is not there, `damaged_log` when what was copied
 *   does not verify, `log_unavailable` when files kept changing; nothing is left behind then
 */
export async function backUp({ log, beside = log, directory, hash, now }: BackupOptions): Promise<Backup> {
  const target = resolve(directory);
  if (await exists(target)) throw new RecorderError('config', `${target} is there already: name a new directory`);
  // The file at its path is away for a moment while it is sealed.
  if (!(await exists(log)) && !(await exists(checkpointPath(beside))))
    throw new RecorderError('config', `${log} is not there`);
  for (let attempt = 1; ; attempt++) {
    // For its owner only; never one that is there already.
    const partial = await mkdtemp(`${target}.partial-`);
    try {
      const files = await copyAll(log, beside, partial);
      if (files !== undefined) return await finish(files, partial, target, { log, hash, now });
      if (attempt >= MOST_ATTEMPTS)
        throw new RecorderError('log_unavailable', `the files of ${log} kept changing while they were copied`);
      await rm(partial, { recursive: true, force: true });
      await pause(PAUSE);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
  }
}

/** Copies the files; undefined when they have become others meanwhile. */
async function copyAll(log: string, beside: string, into: string): Promise<readonly BackedUpFile[] | undefined> {
  // First: it must not be ahead of the log.
  const small = [
    [checkpointPath(beside), checkpointPath(log)],
    [identityPath(beside), identityPath(log)],
  ] as const;
  const files: BackedUpFile[] = [];
  for (const [from, name] of small) {
    const content = await readFile(from).catch(unlessMissing);
    if (content === undefined) continue;
    await writeFile(join(into, basename(name)), content, { mode: FILE_MODE, flag: 'wx' });
    files.push({ name: basename(name), bytes: content.length, sha256: sha256Of(content) });
  }
  const before = await filesOf(log);
  for (const path of before) {
    const copied = await copyLines(path, join(into, basename(path)), path === log);
    if (copied === undefined) return undefined;
    files.push(copied);
  }
  return before.join() === (await filesOf(log)).join() ? files : undefined;
}

/** Copies a file of the log, the one that grows to its last whole line; undefined when it is not there any more. */
async function copyLines(from: string, to: string, grows: boolean): Promise<BackedUpFile | undefined> {
  const source = await open(from, 'r').catch(unlessMissing);
  if (source === undefined) return undefined;
  const copy = await open(to, 'wx', FILE_MODE);
  try {
    const { size } = await source.stat();
    const end = grows ? await lastLineEnd(source, size) : size;
    const hash = createHash('sha256');
    const window = Buffer.alloc(Math.min(WINDOW, Math.max(1, end)));
    for (let position = 0; position < end;) {
      const { bytesRead } = await source.read(window, 0, Math.min(window.length, end - position), position);
      // It was cut: what the recorder makes of that is copied the next time.
      if (bytesRead === 0) return undefined;
      const part = window.subarray(0, bytesRead);
      hash.update(part);
      for (let done = 0; done < part.length;) done += (await copy.write(part, done)).bytesWritten;
      position += bytesRead;
    }
    await copy.sync();
    return { name: basename(to), bytes: end, sha256: hash.digest('hex') };
  } finally {
    await source.close();
    await copy.close();
  }
}

/** Where the last whole line ends, in bytes. */
export async function lastLineEnd(file: FileHandle, size: number): Promise<number> {
  const window = Buffer.alloc(Math.min(WINDOW, Math.max(1, size)));
  for (let end = size; end > 0;) {
    const from = Math.max(0, end - window.length);
    const { bytesRead } = await file.read(window, 0, end - from, from);
    const newline = window.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (newline !== -1) return from + newline + 1;
    end = from;
  }
  return 0;
}

/** Verifies the copy, lists it, syncs it and gives it its name. */
async function finish(
  files: readonly BackedUpFile[],
  partial: string,
  target: string,
  { log, hash, now }: Pick<BackupOptions, 'log' | 'hash' | 'now'>,
): Promise<Backup> {
  const verification = await verifyLog(join(partial, basename(log)), hash);
  const { damage } = verification;
  if (damage !== undefined) {
    const message = `the log does not verify: ${damage.file}, line ${damage.line}: ${damage.reason}`;
    throw new RecorderError('damaged_log', message);
  }
  const manifest: BackupManifest = {
    format: 1,
    made_at: new Date(now()).toISOString(),
    log: basename(log),
    entries: verification.entries,
    last_hash: verification.hash,
    algorithm: hash.algorithm,
    key_fingerprint: keyFingerprint(hash),
    files,
  };
  await writeFile(join(partial, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`, {
    mode: FILE_MODE,
    flag: 'wx',
  });
  for (const name of [...files.map((one) => one.name), MANIFEST]) await syncFileAt(join(partial, name));
  await syncDirectoryOf(join(partial, MANIFEST));
  await rename(partial, target);
  await syncDirectoryOf(target);
  return { manifest, verification };
}

async function syncFileAt(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

const sha256Of = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

const exists = async (path: string): Promise<boolean> => (await lstat(path).catch(unlessMissing)) !== undefined;

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
