/** The time of day, as a signal: what says how long ago something was is drawn anew as it moves on. */
import { signal } from '@preact/signals';
import { SECOND } from '../clock.ts';

const STEP = 5 * SECOND;

/** Milliseconds since the epoch, a few seconds behind at most. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, STEP);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) now.value = Date.now();
});
