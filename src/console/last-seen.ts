/**
 * Where the person left off: the last entry of the log that they have seen, kept by the browser. It is written while the
 * page is shown; when the page was away for a while, what was written last is where they left.
 */
import { signal } from '@preact/signals';
import { MINUTE, SECOND } from '../clock.ts';
import { head, heard } from './live-entries.ts';
import { serviceTime } from './service-time.ts';

/** An entry, and when it was the last one: RFC 3339. */
export interface Mark {
  readonly seq: number;
  readonly at: string;
}

const LEFT_AS = 'incident-recorder.left';
const SEEN_AS = 'incident-recorder.seen';
const WRITTEN_EVERY = 20 * SECOND;
/** Whoever is away for less has not left. */
const LEAST_ABSENCE = 5 * MINUTE;

const stored = (name: string): Mark | undefined => {
  try {
    const { seq, at } = JSON.parse(localStorage.getItem(name) ?? '{}') as Partial<Mark>;
    return typeof seq === 'number' && !Number.isNaN(Date.parse(at ?? '')) ? { seq, at: at! } : undefined;
  } catch {
    return undefined;
  }
};

/** Where the person left off; undefined at a first visit, and once all is marked as seen. */
export const leftAt = signal<Mark | undefined>(undefined);

const present = (): Mark => ({ seq: head.peek(), at: new Date(serviceTime()).toISOString() });

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
