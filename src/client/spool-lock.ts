/**
 * Keeps a second process off a spool, with a symbolic link next to it whose target names the owner: process id, start
 * of the process, boot of the machine. Creating a link fails when it exists, and nobody sees a link half-written. The
 * link of a dead process is removed; a later process with the same id, also of another user or after a reboot, is not
 * taken for its owner.
 */
import { link, lstat, readlink, rename, rm, symlink } from 'node:fs/promises';
import { isStillThere, ownMark } from '../process-mark.ts';
import { SpoolError } from './errors.ts';

export class SpoolLock {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes the lock of the file at `path`.
   * @throws SpoolError `in_use` when a living process holds it, this one included; `is_another` when something else is
   *   in its place
   */
  static async take(path: string): Promise<SpoolLock> {
    const lock = `${path}.lock`;
    const me = await ownMark();
    for (;;) {
      try {
        await symlink(me, lock);
        return new SpoolLock(lock);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = await ownerOf(lock);
      if (owner === undefined) continue;
      if (await isAlive(owner)) {
        const [pid] = owner.text.split(' ');
        throw new SpoolError('in_use', `process ${pid} reports through ${path} already; a spool has one reporter`);
      }
      await removeLockOf(owner.text, lock);
    }
  }

  async release(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}

/** What a lock says, and the user who made it. */
interface Owner {
  readonly text: string;
  readonly uid: number;
}

/** The owner of a lock; undefined when it is gone. @throws SpoolError `is_another` */
async function ownerOf(lock: string): Promise<Owner | undefined> {
  try {
    const { uid } = await lstat(lock);
    return { text: await readlink(lock), uid };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'EINVAL') throw new SpoolError('is_another', `${lock} is there and is no lock of a spool`);
    throw error;
  }
}

/** Removes the lock of a dead owner, but not a newer lock that has replaced it meanwhile. */
async function removeLockOf(owner: string, lock: string): Promise<void> {
  const aside = `${lock}.${process.pid}`;
  await rename(lock, aside).catch(() => {});
  const taken = await readlink(aside).catch(() => undefined);
  if (taken !== undefined && taken !== owner) await link(aside, lock).catch(() => {});
  await rm(aside, { force: true });
}

async function isAlive({ text, uid }: Owner): Promise<boolean> {
  const [pid = ''] = text.split(' ');
  if (!/^[1-9]\d{0,9}$/.test(pid)) return false;
  const isThere = await isStillThere(text);
  if (isThere !== undefined) return isThere;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    // A process that this user may not signal is another user's. It holds this lock only if that user made it.
    return (error as NodeJS.ErrnoException).code === 'EPERM' && uid !== process.geteuid?.();
  }
}
