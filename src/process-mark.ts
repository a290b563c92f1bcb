/**
 * What a lock says of the process that holds it: its number, its start, and the boot of the machine. Another process with the
 * same number, also after a reboot, is not taken for it.
 */
import { readFile } from 'node:fs/promises';

/** Stands for a start or a boot that can't be read here: then only the number counts. */
const UNKNOWN = '-';

/** The mark of this process: three words with a space between them. */
export const ownMark = async (): Promise<string> =>
  `${process.pid} ${(await startOf(process.pid)) ?? UNKNOWN} ${await thisBoot()}`;

/**
 * Whether the process of a mark is still there.
 * @returns undefined where its start can't be read here, or the mark has none: then only its number can be looked for
 */
export async function isStillThere(mark: string): Promise<boolean | undefined> {
  const [pid, start = UNKNOWN, boot = UNKNOWN] = mark.split(' ');
  const now = await thisBoot();
  if (boot !== UNKNOWN && now !== UNKNOWN && boot !== now) return false;
  const found = await startOf(Number(pid));
  return start === UNKNOWN || found === undefined ? undefined : found === start;
}

/**
 * When a process started, in ticks since the boot: proc_pid_stat(5). Undefined when there is no such process, or it is hidden
 * from this user.
 */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the name, is in parentheses and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** The boot of the machine that this process runs in: random(4). */
const thisBoot = async (): Promise<string> =>
  (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => UNKNOWN)).trim();
