/**
 * Where the person left off: the last entry of the log that they have seen, or a place in the logs of a fleet, kept by the browser. It is written while the
 * page is shown; when the page was away for a while, what was written last is where they left.
 */
import { signal } from '@preact/signals';
import { MINUTE, SECOND } from '../clock.ts';
import { heard, placeNow } from './live-entries.ts';
import { serviceTime } from './service-time.ts';

/** What changes are read after, and when that was the end: RFC 3339. */
export interface Mark {
  readonly place: string;
  readonly at: string;
}

const LEFT_AS = 'incident-recorder.left';
const SEEN_AS = 'incident-recorder.seen';
const WRITTEN_EVERY = 20 * SECOND;
/** Whoever is away for less has not left. */
const LEAST_ABSENCE = 5 * MINUTE;

const stored = (name: string): Mark | undefined => {
  try {
    // Earlier versions kept the number of an entry as `seq`.
    const kept = JSON.parse(localStorage.getItem(name) ?? '{}') as Partial<Mark> & { readonly seq?: number };
    const { at = '', seq, place = seq === undefined ? undefined : String(seq) } = kept;
    return typeof place === 'string' && !Number.isNaN(Date.parse(at)) ? { place, at } : undefined;
  } catch {
    return undefined;
  }
};

/** Where the person left off; undefined at a first visit, and once all is marked as seen. */
export const leftAt = signal<Mark | undefined>(undefined);

const present = (): Mark => ({ place: placeNow(), at: new Date(serviceTime()).toISOString() });

/** The page is left: what comes from now on is new. */
const leave = (): void => {
  if (heard.peek() !== undefined) localStorage.setItem(SEEN_AS, JSON.stringify(present()));
};

const comeBack = (): void => {
  const seen = stored(SEEN_AS);
  if (seen === undefined || serviceTime() - Date.parse(seen.at) < LEAST_ABSENCE) return;
  leftAt.value = seen;
  localStorage.setItem(LEFT_AS, JSON.stringify(seen));
};

/** All that is there has been seen. */
export const markAsSeen = (): void => {
  leftAt.value = undefined;
  localStorage.removeItem(LEFT_AS);
  leave();
};

/** Follows the person's coming and going, for the life of the page. */
export const followLeaving = (): void => {
  leftAt.value = stored(LEFT_AS);
  comeBack();
  document.addEventListener('visibilitychange', () => (document.hidden ? leave() : comeBack()));
  addEventListener('pagehide', leave);
  setInterval(() => {
    if (!document.hidden) leave();
  }, WRITTEN_EVERY);
};
