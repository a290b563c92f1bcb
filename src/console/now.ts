/** The time as a signal, so that relative times render again. */
import { signal } from '@preact/signals';
import { SECOND } from '../clock.ts';
import { serviceTime } from './service-time.ts';

const STEP = 5 * SECOND;

/** Milliseconds since the epoch by the service's clock, a few seconds late at most. */
export const now = signal(serviceTime());

setInterval(() => {
  if (!document.hidden) now.value = serviceTime();
}, STEP);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) now.value = serviceTime();
});
