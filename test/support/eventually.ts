import { setTimeout as pause } from 'node:timers/promises';

/** So many turns of the event loop are enough for what this process does by itself. */
const TURNS = 1000;
/** Later looks leave the processor to the processes that are waited for, in milliseconds. */
const LOOK_EVERY = 5;

/** Looks again and again until it is so; the test's own time-out is the limit. */
export async function eventually(isSo: () => boolean): Promise<void> {
  for (let turn = 0; !isSo(); turn++) {
    if (turn < TURNS) await new Promise(setImmediate);
    else await pause(LOOK_EVERY);
  }
}
