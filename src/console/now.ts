/** The time as a signal, so that relative times render again. */
import { signal } from '@preact/signals';
import { SECOND } from '../clock.ts';

const STEP = 5 * SECOND;

/** Milliseconds since the epoch, a few seconds late at most. */
export const now = signal(Date.now());

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, STEP);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) now.value = Date.now();
});
