/**
 * Keeps a second process off a spool: a symbolic link beside it whose target says who holds it. Making a link fails when
 * there is one already, and a link is never seen half-written. The link of a process that has died is taken away.
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
   * @throws SpoolError `in_use` when a living process has it, this one included
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
      await takeAway(lock, owner);
    }
  }

  async release(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}

/** Takes the lock of a dead owner away, and no other that has come into its place. */
async function takeAway(lock: string, owner: string): Promise<void> {
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

/** When a process started, in ticks since boot: tells it from a later one with the same number. See proc_pid_stat(5). */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the name, is in parentheses and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
}
