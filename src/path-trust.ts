/**
 * Who can change or read the files that the service depends on.
 *
 * A file is only as safe as the directories on the way to it: whoever can write one of them can put another file in its
 * place. So all of them belong to root or to this user, and nobody else can write them. A directory with the sticky bit
 * that root owns, as `/tmp`, is good enough: there nobody can rename what belongs to others.
 */
import { accessSync, constants, existsSync, lstatSync, readdirSync, readlinkSync, statSync, type Stats } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { RecorderError } from './errors.ts';
import { isPrivateGroup } from './private-group.ts';

const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_OTHERS = 0o002;
const STICKY = 0o1000;
/** As many symbolic links as Linux follows: path_resolution(7). */
const MOST_LINKS = 40;

const refuse = (message: string, cause?: unknown): RecorderError => new RecorderError('config', message, { cause });

/** Whether files of this user can be trusted: it is root, or the user of this process. */
const isTrusted = (uid: number | bigint): boolean => Number(uid) === 0 || Number(uid) === process.geteuid!();

/**
 * Checks every directory on the way to a file, through symbolic links. What is not there is not looked at.
 * @param from directories above this one are not checked; by default all are
 * @throws RecorderError `config`, which names the directory and says what to do
 */
export function requireSafeWay(path: string, from = '/'): void {
  const pending = path.split('/').filter((name) => name !== '' && name !== '.');
  let at = '/';
  let links = 0;
  if (isWithin(at, from)) requireSafeDirectory(lstatSync(at), at, path);
  while (pending.length > 0) {
    const name = pending.shift()!;
    if (name === '..') {
      at = dirname(at);
      continue;
    }
    const next = join(at, name);
    const status = lookAt(next);
    if (status === undefined) return;
    if (status.isSymbolicLink()) {
      if (isWithin(next, from) && !isTrusted(status.uid)) throw refuse(foreign(next, path, status.uid));
      links += 1;
      if (links > MOST_LINKS) throw refuse(`${path} leads through too many symbolic links`);
      const target = readlinkSync(next);
      if (target.startsWith('/')) at = '/';
      pending.unshift(...target.split('/').filter((part) => part !== '' && part !== '.'));
      continue;
    }
    if (status.isDirectory() && isWithin(next, from)) requireSafeDirectory(status, next, path);
    at = next;
  }
}

/** Whoever owns a file, too, can change it. @throws RecorderError `config` */
export function requireTrustedOwner(path: string, uid: number | bigint): void {
  if (isTrusted(uid)) return;
  throw refuse(`${path} belongs to user ${uid}, who can change it; run: chown root ${path}`);
}

const isWithin = (path: string, from: string): boolean => from === '/' || path === from || path.startsWith(`${from}/`);

/** The status of what is there; undefined when it can't be known: opening it will say why. */
function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

const foreign = (directory: string, path: string, uid: number): string =>
  `${directory}, on the way to ${path}, belongs to user ${uid}, who can put another file there; ` +
  `run: chown root ${directory}`;

function requireSafeDirectory(status: Stats, directory: string, path: string): void {
  if (!isTrusted(status.uid)) throw refuse(foreign(directory, path, status.uid));
  if (status.uid === 0 && (status.mode & STICKY) !== 0) return;
  if (!isWritableByOthers(status)) return;
  throw refuse(
    `${directory}, on the way to ${path}, can be written by others, who can put another file there; ` +
      `run: chmod go-w ${directory}`,
  );
}

const isWritableByOthers = ({ mode, gid }: Pick<Stats, 'mode' | 'gid'>): boolean =>
  (mode & WRITABLE_BY_OTHERS) !== 0 || ((mode & WRITABLE_BY_GROUP) !== 0 && !isPrivateGroup(gid));

/**
 * Checks that only this user and root can write in the log's directory, and that what belongs to the log there are
 * regular files that this user can open: opening a named pipe would wait for ever.
 * @param shared whether the directory's group may write in it as well
 * @throws RecorderError `config`, which names the file and says what to do
 */
export function requireSafeLogDirectory(logPath: string, shared: boolean, from?: string): void {
  const directory = dirname(logPath);
  requireSafeWay(dirname(directory), from);
  const status = statSync(directory, { throwIfNoEntry: false });
  // A directory that is not there, or can't be read, has a message of its own.
  if (!status?.isDirectory()) return;
  if (!isTrusted(status.uid)) {
    throw refuse(`the log's directory ${directory} belongs to user ${status.uid}; give it to the user of the recorder`);
  }
  const judged = shared ? { ...status, mode: status.mode & ~WRITABLE_BY_GROUP } : status;
  if (isWritableByOthers(judged)) {
    const way =
      (status.mode & WRITABLE_BY_OTHERS) === 0
        ? ', or set ALLOW_SHARED_LOG_DIRECTORY=1 and STATE_DIRECTORY if its group is meant to'
        : '';
    throw refuse(
      `the log's directory ${directory} can be written by others, who can replace the log; run: chmod go-w ${directory}${way}`,
    );
  }
  requireUsableFiles(directory, basename(logPath));
}

/**
 * Checks the files of the log in its directory, and those of its database.
 * @throws RecorderError `config`
 */
function requireUsableFiles(directory: string, log: string): void {
  const extension = extname(log);
  const stem = basename(log, extension);
  // SQLite follows no link in the place of these two.
  const unlinked = new Set([`${stem}.sqlite-wal`, `${stem}.sqlite-shm`]);
  const written = new Set([`${stem}.sqlite`, ...unlinked]);
  // Whether the log can be written is asked when it is known whose it is: `requireWritableLog`.
  const read = new Set([log, `${log}.checkpoint`, `${log}.identity`, `${log}.posture`, `${log}.damage`]);
  const isSegment = (name: string): boolean =>
    name.startsWith(`${stem}.`) &&
    name.endsWith(extension) &&
    /^\.\d+$/.test(name.slice(stem.length, name.length - extension.length));
  for (const name of namesIn(directory)) {
    if (!written.has(name) && !read.has(name) && !isSegment(name)) continue;
    const path = join(directory, name);
    const status = (unlinked.has(name) ? lstatSync : statSync)(path, { throwIfNoEntry: false });
    if (status === undefined) continue;
    if (!status.isFile()) throw refuse(`${path} is not a regular file; move it away`);
    requireAccess(path, written.has(name));
  }
}

/**
 * Checks that this user can write the log, where there is one.
 * @throws RecorderError `config`
 */
export function requireWritableLog(path: string): void {
  if (existsSync(path)) requireAccess(path, true);
}

function requireAccess(path: string, written: boolean): void {
  try {
    accessSync(path, written ? constants.R_OK | constants.W_OK : constants.R_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw refuse(`${path} can't be ${written ? 'written' : 'read'} by this user (${code})`, error);
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/**
 * Checks that whoever may read the token or the log can't read the audit key as well: with the key a forger makes a log
 * that verifies.
 * @throws RecorderError `config`
 */
export function requireSeparateReaders(keyPath: string, tokenPath: string, logPath: string): void {
  const key = statSync(keyPath, { throwIfNoEntry: false });
  if (key === undefined) return;
  requireTrustedOwner(keyPath, key.uid);
  if ((key.mode & 0o007) !== 0) {
    throw refuse(`${keyPath} is open to every user of this machine; run: chmod o-rwx ${keyPath}`);
  }
  if ((key.mode & 0o040) === 0 || isPrivateGroup(key.gid)) return;
  const readers = [
    ['the token', groupThatReads(tokenPath)],
    ['the log', groupThatReads(logPath)],
    ['the log', process.getegid!()],
    ['the log', groupThatReads(dirname(logPath))],
  ] as const;
  const shared = readers.find(([, gid]) => gid === key.gid);
  if (shared === undefined) return;
  throw refuse(
    `${keyPath} can be read by group ${key.gid}, which may also read ${shared[0]}; ` +
      `give it to the user of the recorder alone: chown ${process.geteuid!()} ${keyPath}; chmod 0400 ${keyPath}`,
  );
}

function groupThatReads(path: string): number | undefined {
  const status = statSync(path, { throwIfNoEntry: false });
  return status !== undefined && (status.mode & 0o040) !== 0 ? status.gid : undefined;
}
