/**
 * One process at a time has a folder of PGlite. The file that says so names the process by its number, its start and the boot of
 * the machine: after a reboot another process may have the number.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { RecorderError } from '../../errors.ts';
import { isStillThere, ownMark } from '../../process-mark.ts';

/**
 * Keeps other processes from a folder of PGlite, which would ruin it.
 * @public for tests, which need several processes
 * @returns what ends that
 * @throws RecorderError `config` when a living process has it, what is there is no lock, or the disk is full
 */
export async function lockFolder(folder: string): Promise<() => void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}.lock`;
  const own = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    // A lock is there with its holder at once: an empty one would look like what a dead process has left.
    await writeFile(own, await ownMark(), { flag: 'wx', mode: 0o600 });
    while (!(await isLinked(own, path))) {
      const holder = await holderOf(path);
      if (holder !== undefined && (await isHeldBy(holder))) {
        const message = `${folder} is in use by process ${pidOf(holder)}; end that first, or use a server: FLEET_DATABASE_URL`;
        throw new RecorderError('config', message, { fields: { in_use: true } });
      }
      await removeDead(path, own);
    }
    return () => rmSync(path, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    throw new RecorderError('config', `${path} can't be written: no space left on the disk`, { cause: error });
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * Removes a lock that a dead process has left. One process at a time does: else the second would remove what the first has
 * put in its place.
 * @throws RecorderError `config` when a process has died doing this, or what is there is no lock
 */
async function removeDead(path: string, own: string): Promise<void> {
  const turn = `${path}.removing`;
  if (await isLinked(own, turn)) {
    // One that its process has removed meanwhile may be another's at any moment.
    const text = await holderOf(path);
    if (text !== undefined && !(await isHeldBy(text))) rmSync(path, { force: true });
    rmSync(turn, { force: true });
    return;
  }
  const holder = await holderOf(turn);
  // One that is gone says that the other is done. An empty one is what a power cut leaves.
  if (holder === '') throw new RecorderError('config', `${turn} is empty; remove that file`);
  if (holder !== undefined && !(await isHeldBy(holder)))
    throw new RecorderError('config', `process ${pidOf(holder)} has died with ${turn}; remove that file`);
  await setTimeout(10);
}

/** Gives a file a second name, unless that is taken. */
async function isLinked(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * What a lock says of its holder; undefined where there is none.
 * @throws RecorderError `config` for one that can't be read, such as a folder
 */
async function holderOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new RecorderError('config', `${path} can't be read (${code}); if no fleet runs here, remove it`, { cause });
  }
}

const pidOf = (holder: string): number => Number(holder.split(' ')[0]);

/** Whether the process that a lock names is alive. */
async function isHeldBy(holder: string): Promise<boolean> {
  const pid = pidOf(holder);
  // A container gives every process the same number.
  return (await isStillThere(holder)) ?? (pid !== process.pid && isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return pid > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
