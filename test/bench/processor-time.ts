/** The time that processors have spent on processes, from proc(5). */
import { readdirSync, readFileSync } from 'node:fs';

/** Of a process so far, over all its threads, in milliseconds (`schedstat`). */
export function processorTimeOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const nanoseconds = readdirSync(tasks).map((task) =>
    Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6;
}

/** Of a process and the processes that it has started and that still run. */
export function processorTimeOfFamily(pid: number): number {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid);
  return processorTimeOf(pid) + children.reduce((sum, child) => sum + timeOfChild(Number(child)), 0);
}

function timeOfChild(pid: number): number {
  try {
    return processorTimeOf(pid);
  } catch {
    return 0; // It has ended meanwhile.
  }
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return undefined; // It has ended meanwhile.
  }
}
