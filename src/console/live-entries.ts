/**
 * The audit log as it grows: one stream for the whole page, which every view listens to.
 *
 * The stream is `connecting` until the service says where the log ends, then `live`, and `lost` while the service can't be
 * reached. It reconnects after 1, 2, 4 and then every 8 seconds, and resumes after the last entry: nothing is missed and
 * nothing comes twice. After too many missed entries, or with another log, `epoch` increases instead, and every view
 * reads its data again. A hidden page closes its stream after a minute, because a browser has only six connections to one
 * service, and opens it again when it is shown.
 */
import { signal } from '@preact/signals';
import { MINUTE, SECOND } from '../clock.ts';
import { health, readHealth } from './health.ts';
import { type Entry, ENTRY_EVENTS, readEntry } from '../domain/entries.ts';

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
let source: EventSource | undefined;
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
    else if (source === undefined) void open();
  });
  void open();
};

async function open(): Promise<void> {
  close();
  try {
    await readHealth();
  } catch {
    lose();
    return;
  }
  const end = health.peek()!.audit.last_seq;
  const isFirst = connection.peek() === 'connecting';
  if (isFirst || end < head.peek() || end - head.peek() > MOST_MISSED) {
    head.value = end;
    if (!isFirst) epoch.value += 1;
  }
  source = new EventSource(`/api/v1/events?after=${head.peek()}`);
  source.addEventListener('open', () => {
    connection.value = 'live';
    pause = SHORTEST_PAUSE;
  });
  source.addEventListener('error', lose);
  for (const event of ENTRY_EVENTS) source.addEventListener(event, take);
}

function take({ data: line }: MessageEvent<string>): void {
  const entry = readEntry(line);
  if (entry.data.seq <= head.peek()) return;
  head.value = entry.data.seq;
  for (const listener of listeners) listener(entry, line);
}

function lose(): void {
  close();
  connection.value = 'lost';
  retry = setTimeout(() => void open(), pause);
  pause = Math.min(pause * 2, LONGEST_PAUSE);
}

function close(): void {
  clearTimeout(retry);
  source?.close();
  source = undefined;
}
