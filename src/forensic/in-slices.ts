import type { Clock } from '../clock.ts';

/** How long work may hold the event loop, in milliseconds, besides what one step takes. */
const SLICE = 2;

/** Lets others have the event loop whenever this has had it for a while. */
export function inSlices(turn: () => Promise<void>, clock: Pick<Clock, 'monotonic'>): () => Promise<void> {
  let began = clock.monotonic();
  return async () => {
    await turn();
    if (clock.monotonic() - began < SLICE) return;
    await new Promise(setImmediate);
    began = clock.monotonic();
  };
}
