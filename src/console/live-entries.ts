/**
 * The audit log as it grows: one stream for the whole page, which every view listens to.
 *
 * The stream is `connecting` until the service says where the log ends, `live` from then on, and `lost` while the service
 * can't be reached; it is tried again after 1, 2, 4 and then every 8 seconds, from the last entry that was seen on, so
 * that nothing is missed and nothing comes twice. Where too much has happened meanwhile, or the log is another one,
 * `epoch` moves on instead: what is shown then has to be read anew. A page that nobody looks at lets go of its stream
 * after a minute, as a browser has only six connections to one service, and takes it up again when it is looked at.
 */
import { signal } from '@preact/signals';
import { MINUTE, SECOND } from '../clock.ts';
import { health, readHealth } from './health.ts';
import { type Entry, ENTRY_EVENTS } from '../domain/entries.ts';

export type Connection = 'connecting' | 'live' | 'lost';

/** An entry, and the line of the log that it was read from. */
export type Listener = (entry: Entry, line: string) => void;

const SHORTEST_PAUSE = 1 * SECOND;
const LONGEST_PAUSE = 8 * SECOND;
const LETS_GO_AFTER = 1 * MINUTE;
/** More entries than this are not caught up with one by one. */
const MOST_MISSED = 2000;

export const connection = signal<Connection>('connecting');
/** `seq` of the last entry that was seen. */
export const head = signal(0);
/** Counts how often everything had to be read anew. */
export const epoch = signal(0);

const listeners = new Set<Listener>();
let source: EventSource | undefined;
let pause = SHORTEST_PAUSE;
let retry: ReturnType<typeof setTimeout> | undefined;

/** Hands every entry from now on to `listener`; gives what ends that. */
export const listen = (listener: Listener): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Opens the stream, for as long as the page is there. */
export const followLog = (): void => {
  let letsGo: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(letsGo);
    if (document.hidden) letsGo = setTimeout(close, LETS_GO_AFTER);
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
  const entry = JSON.parse(line) as Entry;
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
