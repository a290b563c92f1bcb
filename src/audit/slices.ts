/**
 * Work in the background, in slices: it rests several times as long as each slice took, so it takes a fifth of the
 * processor.
 */
import { setTimeout as rest } from 'node:timers/promises';
import type { Clock } from '../clock.ts';

/** How long to rest after a slice, as a multiple of the time that the slice took. */
const REST = 4;
/** Rests are collected until they are this long, in milliseconds: slices are too short to rest after each. */
const SHORTEST_REST = 5;

/** Gives a function to await between two slices. It throws the reason of `signal` when that was aborted. */
export function restBetween(clock: Clock, signal: AbortSignal): () => Promise<void> {
  let owed = 0;
  let began = clock.monotonic();
  return async () => {
    owed += REST * (clock.monotonic() - began);
    if (owed >= SHORTEST_REST) {
      await rest(owed, undefined, { signal, ref: false });
      owed = 0;
    } else {
      await new Promise(setImmediate);
      signal.throwIfAborted();
    }
    began = clock.monotonic();
  };
}
