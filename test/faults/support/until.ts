import { setTimeout as after } from 'node:timers/promises';

const PAUSE = 50;

/** Asks again and again, for what can only be seen from outside, until it is so; the test's own time-out is the limit. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await after(PAUSE);
}
