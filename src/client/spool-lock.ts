/**
 * Keeps a second process off a spool, with a symbolic link next to it whose target names the owner. Creating a link
 * fails when it exists, and nobody sees a link half-written. The link of a dead process is removed.
 */
import { link, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { SpoolError } from './errors.ts';

export class SpoolLock {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes the lock of the file at `path`.
   * @throws SpoolError `in_use` when a living process holds it, this one included
   */
  static async take(path: string): Promise<SpoolLock> {
    const lock = `${path}.lock`;
    const me = `${process.pid} ${await startOf(process.pid)}`;
    for (;;) {
      try {
        await symlink(me, lock);
        return new SpoolLock(lock);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = await readlink(lock).catch(() => undefined);
      if (owner === undefined) continue;
      if (await isAlive(owner)) {
        const [pid] = owner.split(' ');
        throw new SpoolError('in_use', `process ${pid} reports through ${path} already; a spool has one reporter`);
      }
      await removeLockOf(owner, lock);
    }
  }

  async release(): Promise<void> {
    await rm(this.#path, { force: true });
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

async function isAlive(owner: string): Promise<boolean> {
  const [pid = '', start = ''] = owner.split(' ');
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return (await startOf(Number(pid))) === start;
}

/**
 * When a process started, in ticks since boot: distinguishes it from a later one with the same id (proc_pid_stat(5)).
 */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the name, is in parentheses and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
}
