/** Files that only this user can read and write, in directories where nobody else can put one in their place. */
import { constants, type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isPrivateGroup } from '../private-group.ts';
import { SpoolError } from './errors.ts';

const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_OTHERS = 0o002;
const OWN_MODE = 0o600;

/**
 * Checks that only this user and root can write in the directory of a file.
 * @throws SpoolError `unsafe`
 */
export async function requireOwnDirectory(path: string): Promise<void> {
  const directory = dirname(path);
  const { uid, gid, mode } = await stat(directory);
  if (uid !== 0 && uid !== process.geteuid?.()) {
    throw new SpoolError('unsafe', `${directory} belongs to user ${uid}, who can replace ${path}`);
  }
  const isShared = (mode & WRITABLE_BY_OTHERS) !== 0 || ((mode & WRITABLE_BY_GROUP) !== 0 && !isPrivateGroup(gid));
  if (!isShared) return;
  throw new SpoolError(
    'unsafe',
    `${directory} can be written by others, who can replace ${path}; use a directory of this service alone, ` +
      `or run: chmod go-w ${directory}`,
  );
}

/**
 * Opens a file of this user, or creates it with mode 0600. A file that others could read is closed to them.
 * @param flags besides those for creating it and for not following a link
 * @throws SpoolError `unsafe` for what is no regular file, belongs to another user or has a second name; or the file
 *   system's error
 */
export async function openOwnFile(path: string, flags: number): Promise<FileHandle> {
  const file = await open(path, flags | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, OWN_MODE);
  try {
    const status = await file.stat();
    const fault = faultOf(status.isFile(), status.uid, status.nlink);
    if (fault !== undefined) throw new SpoolError('unsafe', `${path} ${fault}`);
    if ((status.mode & 0o777) !== OWN_MODE) await file.chmod(OWN_MODE);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function faultOf(isFile: boolean, uid: number, names: number): string | undefined {
  if (!isFile) return 'is not a regular file';
  if (uid !== process.geteuid?.()) return `belongs to user ${uid}: somebody else has made it`;
  return names > 1 ? 'has a second name (a hard link), under which others may write it' : undefined;
}
