/**
 * Keeps a second process off a spool, with a symbolic link next to it whose target names the owner: process id, start
 * of the process, boot of the machine. Creating a link fails when it exists, and nobody sees a link half-written. The
 * link of a dead process is removed; a later process with the same id, also of another user or after a reboot, is not
 * taken for its owner.
 */
import { link, lstat, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
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
    const me = `${process.pid} ${(await startOf(process.pid)) ?? UNKNOWN} ${await thisBoot()}`;
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

/** Stands for a start or a boot that can't be read here: then only the process id counts. */
const UNKNOWN = '-';

async function isAlive({ text, uid }: Owner): Promise<boolean> {
  const [pid = '', start = UNKNOWN, boot = UNKNOWN] = text.split(' ');
  if (!/^[1-9]\d{0,9}$/.test(pid)) return false;
  const now = await thisBoot();
  if (boot !== UNKNOWN && now !== UNKNOWN && boot !== now) return false;
  const found = await startOf(Number(pid));
  if (found !== undefined && start !== UNKNOWN) return found === start;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    // A process that this user may not signal is another user's. It holds this lock only if that user made it.
    return (error as NodeJS.ErrnoException).code === 'EPERM' && uid !== process.geteuid?.();
  }
}

/**
 * When a process started, in ticks since boot: distinguishes it from a later one with the same id (proc_pid_stat(5)).
 * Undefined when there is no such process, or it is hidden from this user.
 */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the name, is in parentheses and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** The boot of the machine that this process runs in: random(4). */
const thisBoot = async (): Promise<string> =>
  (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => UNKNOWN)).trim();
