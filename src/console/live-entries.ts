/**
 * The audit log as it grows: one stream for the whole page, which every view listens to.
 *
 * The stream is `connecting` until the service says where the log ends, then `live`, and `lost` while the service can't be
 * reached. It reconnects after 1, 2, 4 and then every 8 seconds, and resumes after the last entry: nothing is missed and
 * nothing comes twice. After too many missed entries, or with another log, `epoch` increases instead, and every view
 * reads its data again. A hidden page closes its stream after a minute, because a browser has only six connections to one
 * service, and opens it again when it is shown. With another operator the stream begins again, under that token; without
 * a token that the service wants, the page waits for one.
 */
import { signal } from '@preact/signals';
import { MINUTE, SECOND } from '../clock.ts';
import { readEntries } from './entry-stream.ts';
import { health, readHealth } from './health.ts';
import { isLockedOut, operator } from './operator.ts';
import { Refusal } from './request.ts';
import { type Entry, readEntry } from '../domain/entries.ts';

export type ConnectionState = 'connecting' | 'live' | 'lost';

/** Receives an entry and its line of the log. */
export type Listener = (entry: Entry, line: string) => void;

const SHORTEST_PAUSE = 1 * SECOND;
const LONGEST_PAUSE = 8 * SECOND;
const HIDDEN_FOR = 1 * MINUTE;
/** The most missed entries that are read one by one. */
const MOST_MISSED = 2000;

export const connection = signal<ConnectionState>('connecting');
/** `seq` of the last entry that was received. */
export const head = signal(0);
/** Counts how often everything must be read again. */
export const epoch = signal(0);

const listeners = new Set<Listener>();
/** Ends the stream; undefined while there is none. */
let stream: AbortController | undefined;
/** The place in the log behind the entry `head`; undefined when `head` is none. */
let place: string | undefined;
let pause = SHORTEST_PAUSE;
let retry: ReturnType<typeof setTimeout> | undefined;

/** Calls `listener` with every new entry. @returns ends that */
export const listen = (listener: Listener): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Opens the stream, for the life of the page. */
export const followLog = (): void => {
  let closing: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(closing);
    if (document.hidden) closing = setTimeout(close, HIDDEN_FOR);
    else if (stream === undefined) void open();
  });
  void open();
  let before = operator.peek();
  operator.subscribe((who) => {
    if (who === before) return;
    before = who;
    if (isLockedOut.peek()) epoch.value += 1;
    void open();
  });
};

async function open(): Promise<void> {
  close();
  const own = new AbortController();
  const { signal: ended } = own;
  stream = own;
  try {
    await readHealth();
    if (ended.aborted) return;
    findPosition(health.peek()!.audit.last_seq);
    const onOpen = (): void => {
      connection.value = 'live';
      pause = SHORTEST_PAUSE;
    };
    const onPlace = (behind: string): void => {
      place = behind;
    };
    await readEntries(place ?? String(head.peek()), { signal: ended, onOpen, onLine: take, onPlace });
  } catch (error) {
    // The service has refused, or does not answer. Without the place in it, it is another log than the page shows; while
    // it reads its log (503), the page could read nothing either.
    if (error instanceof Refusal && [400, 410, 503].includes(error.status)) place = undefined;
  }
  if (!ended.aborted) lose();
}

/** Decides whether missed entries are read one by one, or everything again. */
function findPosition(end: number): void {
  if (place !== undefined && end >= head.peek() && end - head.peek() <= MOST_MISSED) return;
  head.value = end;
  place = String(end);
  if (connection.peek() !== 'connecting') epoch.value += 1;
}

function take(line: string): void {
  const entry = readEntry(line);
  if (entry.data.seq <= head.peek()) return;
  head.value = entry.data.seq;
  for (const listener of listeners) listener(entry, line);
}

function lose(): void {
  close();
  connection.value = 'lost';
  // Until there is a token the answer would be the same.
  if (isLockedOut.peek()) return;
  retry = setTimeout(() => void open(), pause);
  pause = Math.min(pause * 2, LONGEST_PAUSE);
}

function close(): void {
  clearTimeout(retry);
  stream?.abort();
  stream = undefined;
}
