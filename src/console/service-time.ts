/** The time by the service's clock: what is on record was dated by it, and the browser's may differ. */
import { SECOND } from '../clock.ts';

/** `Date` counts whole seconds and an answer takes a moment: a smaller difference proves nothing. */
const SMALLEST_DIFFERENCE = 3 * SECOND;

/** How far the service's clock is ahead of the browser's, in milliseconds. */
let ahead = 0;

/** Milliseconds since the epoch by the service's clock, as far as it is known. */
export const serviceTime = (): number => Date.now() + ahead;

/** Compares the clocks: `date` is the `Date` of an answer that has just arrived. */
export const compareClocks = (date: string | null): void => {
  const difference = Date.parse(date ?? '') - Date.now();
  if (!Number.isNaN(difference)) ahead = Math.abs(difference) < SMALLEST_DIFFERENCE ? 0 : difference;
};
