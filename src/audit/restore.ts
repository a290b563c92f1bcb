/**
 * Puts a backup back: checks everything, then copies it to where the log was, with owner and mode.
 *
 * A directory that some other tool has copied from a running recorder has no `backup.json`, and its checkpoint may be
 * ahead of its log. Nothing proves then whether entries were cut off, or written between the copying of the two. Such a
 * copy is refused, unless it is asked for as it is: then the log gets a checkpoint of its own, and a note (`<log>.damage`)
 * by which the next start raises the finding that entries are missing.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectoryOf, writeAll } from '../durable-file.ts';
import { RecorderError } from '../errors.ts';
import { type BackupManifest, type BackedUpFile, keyFingerprint, lastLineEnd, MANIFEST } from './backup.ts';
import type { ChainHash } from './chain-hash.ts';
import { checkpointPath, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { markDamage } from './damage-marker.ts';
import { identityPath } from './identity.ts';
import { findSealed } from './segments.ts';
import { filesOf, type Verification, verifyFiles } from './verify.ts';

const WINDOW = 1024 * 1024;
/** As the recorder makes its files. */
const FILE_MODE = 0o640;

export interface RestoreOptions {
  /** The backup, or a directory that some other tool has copied. */
  readonly directory: string;
  /** Where the log is to be. */
  readonly log: string;
  /** The same in the directory of its checkpoint; by default they are in one. */
  readonly beside?: string;
  readonly hash: ChainHash;
  /** Files that must not be there: the database of another log. */
  readonly obstacles: readonly string[];
  /** Whether a copy is taken whose checkpoint is ahead of its log. */
  readonly asIs: boolean;
}

export interface Restored {
  readonly verification: Verification;
  /** When the backup was made: RFC 3339; undefined where another tool has made it. */
  readonly made_at?: string;
  /** Where each file is now. */
  readonly files: readonly string[];
  readonly owner: { readonly uid: number; readonly gid: number };
  /** How many entries the checkpoint of a copy counts that the log does not have. */
  readonly lacking: number;
}

/**
 * Restores a log.
 * @throws RecorderError `config` when a log is there already or something is not as it should be, `damaged_log` when what
 *   is in the directory does not verify; nothing has changed then
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { directory, log, beside = log, hash, asIs } = options;
  const manifest = await readManifest(directory);
  const source = join(directory, manifest?.log ?? (await onlyLogIn(directory, log)));
  if (manifest !== undefined) await requireWhole(directory, manifest, hash);
  await requireFree(options);
  // Another tool may have copied a line while it was written.
  const end = manifest === undefined ? await endOf(source) : undefined;
  const { verification, lacking } = await verified(source, end, hash, asIs);

  const [place, besidePlace] = [dirname(log), dirname(beside)];
  // Where others write beside the log, its directory may be somebody else's.
  const { uid, gid } = await stat(besidePlace);
  const names: (readonly [from: string, to: string])[] = (await filesOf(source)).map((path) => [
    path,
    join(
      place,
      basename(path).replace(stemOf(source), () => stemOf(log)),
    ),
  ]);
  const identity = identityPath(source);
  if (await isThere(identity)) names.push([identity, identityPath(beside)]);
  // Last, so that a log that is there in part has none and can't pass for whole.
  if (lacking === 0 && (await isThere(checkpointPath(source))))
    names.push([checkpointPath(source), checkpointPath(beside)]);
  for (const [from, to] of names) await copy(from, to, { uid, gid }, from === source ? end : undefined);
  if (lacking > 0) {
    await writeCheckpoint(beside, { entries: verification.entries, hash: verification.hash }, hash);
    markDamage(beside, {
      file: basename(log),
      line: 1,
      offset: 0,
      finding: 'log_cut',
      reason: `restored from a copy whose checkpoint counts ${lacking} entries more than its log has`,
    });
    for (const path of [checkpointPath(beside), `${beside}.damage`]) await give(path, { uid, gid });
  }
  await syncDirectoryOf(join(besidePlace, '.'));
  await syncDirectoryOf(join(place, '.'));
  return {
    verification,
    lacking,
    files: names.map(([, to]) => to),
    owner: { uid, gid },
    ...(manifest === undefined ? {} : { made_at: manifest.made_at }),
  };
}

async function readManifest(directory: string): Promise<BackupManifest | undefined> {
  const path = join(directory, MANIFEST);
  const text = await readFile(path, 'utf8').catch(unlessMissing);
  if (text === undefined) return undefined;
  try {
    const manifest = JSON.parse(text) as Partial<BackupManifest> | null;
    const isList = Array.isArray(manifest?.files) && manifest.files.every(isFile);
    const isPlain = (name: unknown): boolean => typeof name === 'string' && name === basename(name) && name !== '';
    if (manifest?.format === 1 && isList && isPlain(manifest.log)) return manifest as BackupManifest;
  } catch {
    // Said below.
  }
  throw new RecorderError('config', `${path} is not a list that incident-recorder backup has written`);
}

const isFile = (value: unknown): value is BackedUpFile => {
  const { name, bytes, sha256 } = (value ?? {}) as Partial<BackedUpFile>;
  return (
    typeof name === 'string' && name === basename(name) && Number.isSafeInteger(bytes) && typeof sha256 === 'string'
  );
};

/** The name of the log in a directory without a list: that of the log to be restored, or the only one. */
async function onlyLogIn(directory: string, log: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.jsonl') && !/\.\d{12}\.jsonl$/.test(name));
  const found = names.find((name) => name === basename(log)) ?? (names.length === 1 ? names[0] : undefined);
  if (found !== undefined) return found;
  throw new RecorderError('config', `${directory} holds no backup: neither ${MANIFEST} nor ${basename(log)}`);
}

/** Compares the files with the list, and the key with its fingerprint. */
async function requireWhole(directory: string, manifest: BackupManifest, hash: ChainHash): Promise<void> {
  if (manifest.key_fingerprint !== keyFingerprint(hash)) {
    const message = hash.keyed
      ? 'the key is not the one that this backup was made with'
      : 'this backup was made with an audit key: name its file with --key';
    throw new RecorderError('config', message);
  }
  const expected = new Set(manifest.files.map(({ name }) => name));
  const extra = (await findSealed(join(directory, manifest.log))).find(({ path }) => !expected.has(basename(path)));
  if (extra !== undefined) throw new RecorderError('config', `${extra.path} is not in the list of the backup`);
  for (const { name, bytes, sha256 } of manifest.files) {
    const path = join(directory, name);
    const found = await digestOf(path);
    if (found === undefined) throw new RecorderError('config', `${path} is missing`);
    if (found.bytes !== bytes || found.sha256 !== sha256)
      throw new RecorderError('config', `${path} is not as it was backed up`);
  }
}

async function digestOf(path: string): Promise<{ readonly bytes: number; readonly sha256: string } | undefined> {
  const file = await open(path, 'r').catch(unlessMissing);
  if (file === undefined) return undefined;
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const part of windowsOf(file)) {
      hash.update(part);
      bytes += part.length;
    }
    return { bytes, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

async function* windowsOf(file: FileHandle, end = Infinity): AsyncGenerator<Buffer> {
  const window = Buffer.alloc(WINDOW);
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(window, 0, Math.min(window.length, end - position), position);
    if (bytesRead === 0) return;
    yield window.subarray(0, bytesRead);
    position += bytesRead;
  }
}

/** @throws RecorderError `config` when any part of a log is in the place */
async function requireFree({ log, beside = log, obstacles }: RestoreOptions): Promise<void> {
  const parts = [
    log,
    checkpointPath(beside),
    identityPath(beside),
    `${beside}.posture`,
    `${beside}.damage`,
    ...obstacles,
  ];
  const sealed = await findSealed(log).catch(unlessMissing);
  if (sealed === undefined) throw new RecorderError('config', `the directory ${dirname(log)} is not there`);
  for (const path of [...parts, ...sealed.map((segment) => segment.path)]) {
    if (!(await isThere(path))) continue;
    const message = `${path} is there: nothing is overwritten; stop the recorder and move everything of that log away first (archive/ may stay)`;
    throw new RecorderError('config', message);
  }
}

/** Verifies the copy. One whose checkpoint is ahead is verified without that, when it is to be taken as it is. */
async function verified(
  source: string,
  to: number | undefined,
  hash: ChainHash,
  asIs: boolean,
): Promise<{ readonly verification: Verification; readonly lacking: number }> {
  const files = await filesOf(source);
  const part = to === undefined ? {} : { to };
  const verification = await verifyFiles(files, hash, part);
  if (verification.damage === undefined) return { verification, lacking: 0 };
  const lacking = (readCheckpoint(source, hash).head?.entries ?? 0) - verification.entries;
  const { file, line, reason } = verification.damage;
  const isAhead = verification.damage.finding === 'log_cut' && lacking > 0;
  if (isAhead && asIs) {
    const without = await verifyFiles(files, hash, { ...part, beside: `${source}.without-checkpoint` });
    if (without.damage === undefined) return { verification: without, lacking };
  }
  const way = isAhead
    ? ': look for a copy that reaches its checkpoint; with --as-is the log is taken as it ends, and /health says what is missing'
    : '';
  throw new RecorderError('damaged_log', `nothing was restored: ${file}, line ${line}: ${reason}${way}`);
}

/** Copies a file under another name first, so that what has the right name is whole. */
async function copy(from: string, to: string, owner: Restored['owner'], end = Infinity): Promise<void> {
  const temporary = `${to}.restoring`;
  await rm(temporary, { force: true });
  const [source, target] = [await open(from, 'r'), await open(temporary, 'wx', FILE_MODE)];
  try {
    for await (const part of windowsOf(source, end)) await writeAll(target.fd, part);
    await target.chmod(FILE_MODE);
    await own(target, owner, to);
    await target.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await source.close();
    await target.close();
  }
  await rename(temporary, to);
}

async function give(path: string, owner: Restored['owner']): Promise<void> {
  // Whoever owns the directory could have put a link there.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await own(file, owner, path);
  } finally {
    await file.close();
  }
}

/** @throws RecorderError `config` when the owner of the directory can't be given the file */
async function own(file: FileHandle, { uid, gid }: Restored['owner'], path: string): Promise<void> {
  const now = await file.stat();
  if (now.uid === uid && now.gid === gid) return;
  await file.chown(uid, gid).catch((error: unknown) => {
    const message = `${path} can't be given to the owner of its directory (user ${uid}, group ${gid}): run this as root`;
    throw new RecorderError('config', message, { cause: error });
  });
}

async function endOf(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    return await lastLineEnd(file, (await file.stat()).size);
  } finally {
    await file.close();
  }
}

const stemOf = (log: string): string => basename(log).replace(/\.[^.]*$/, '');

const isThere = async (path: string): Promise<boolean> => (await lstat(path).catch(unlessMissing)) !== undefined;

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
