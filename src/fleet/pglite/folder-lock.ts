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
 * @throws RecorderError `config` when a living process has it
 */
export async function lockFolder(folder: string): Promise<() => void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}.lock`;
  const own = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  // A lock is there with its holder at once: an empty one would look like what a dead process has left.
  await writeFile(own, await ownMark(), { flag: 'wx', mode: 0o600 });
  try {
    while (!(await isLinked(own, path))) {
      const holder = await holderOf(path);
      if (await isHeldBy(holder)) {
        const message = `${folder} is in use by process ${pidOf(holder)}; end that first, or use a server: FLEET_DATABASE_URL`;
        throw new RecorderError('config', message, { fields: { in_use: true } });
      }
      await removeDead(path, own);
    }
    return () => rmSync(path, { force: true });
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * Removes a lock that a dead process has left. One process at a time does: else the second would remove what the first has
 * put in its place.
 * @throws RecorderError `config` when a process has died doing this
 */
async function removeDead(path: string, own: string): Promise<void> {
  const turn = `${path}.removing`;
  if (await isLinked(own, turn)) {
    // One that its process has removed meanwhile may be another's at any moment.
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined && !(await isHeldBy(text))) rmSync(path, { force: true });
    rmSync(turn, { force: true });
    return;
  }
  const holder = await holderOf(turn);
  // Without one, the other is done.
  if (holder !== '' && !(await isHeldBy(holder)))
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

/** What a lock says of its holder; empty where there is none. */
const holderOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

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
