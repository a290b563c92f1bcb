/**
 * The audit log as it grows: one stream for the whole page, which every view listens to.
 *
 * The stream is `connecting` until the service says where the log ends, then `live`, and `lost` while the service can't be
 * reached. It reconnects after 1, 2, 4 and then every 8 seconds, and resumes after the last entry: nothing is missed and
 * nothing comes twice. After too many missed entries, or with another log, `epoch` increases instead, and every view
 * reads its data again. A hidden page closes its stream after a minute, because a browser has only six connections to one
 * service, and opens it again when it is shown. With another operator the stream begins again, under that token; without
 * a token that the service wants, the page waits for one.
 *
 * A stream that is silent proves nothing, so while it is live the health is read every few seconds, and soon after an
 * entry that may change it. Without an answer, or when the stream stays silent for longer than its heartbeats, it is
 * lost.
 */
import { computed, signal } from '@preact/signals';
import { MINUTE, SECOND } from '../clock.ts';
import { readEntries } from './entry-stream.ts';
import { health, type HealthReading, readHealth } from './health.ts';
import { isLockedOut, operator } from './operator.ts';
import { reasonOf, Refusal } from './request.ts';
import { keyOfIncident } from './incident-key.ts';
import { isFleet } from './service.ts';
import { serviceTime } from './service-time.ts';
import { type Entry, isAboutIncident, readEntry } from '../domain/entries.ts';

export type ConnectionState = 'connecting' | 'live' | 'lost';

/** Receives an entry and its line of the log. */
export type Listener = (entry: Entry, line: string) => void;

const SHORTEST_PAUSE = 1 * SECOND;
const LONGEST_PAUSE = 8 * SECOND;
const HIDDEN_FOR = 1 * MINUTE;
/** The most missed entries that are read one by one. */
const MOST_MISSED = 2000;
/** The pause between two reads of the health, and the least pause when entries may have changed it. */
const HEALTH_EVERY = 5 * SECOND;
const HEALTH_AFTER_ENTRY = 1 * SECOND;
/** How long an answer is waited for. */
const PATIENCE = 8 * SECOND;
/** How long a stream may be silent: the service sends a heartbeat every 15 seconds. */
const LONGEST_SILENCE = 40 * SECOND;
/** How long nothing at all may be heard before the page says so: the health is read more often. */
const LONGEST_DOUBT = 10 * SECOND;

export const connection = signal<ConnectionState>('connecting');
/** Why the connection is lost, in the service's words; undefined when it does not answer. */
export const refusal = signal<string | undefined>(undefined);
/** When the service was last heard while everything on the page was current; milliseconds by its clock. */
export const heard = signal<number | undefined>(undefined);
/** Whether the first attempt to connect is over. */
export const isSettled = signal(false);
/** Whether nothing was heard for so long, on a page that is shown, that what it shows may be old. */
const isSilent = signal(false);
/** Whether what the page shows may have changed since `heard`. */
export const isOld = computed(() => (connection.value !== 'live' && isSettled.value) || isSilent.value);
/** How often the page has tried to reach the service since it was heard, and when it tries again (by the page's clock). */
export const tries = signal(0);
export const nextTryAt = signal<number | undefined>(undefined);
/** `seq` of the last entry that was received. */
export const head = signal(0);
/** Counts how often everything must be read again. */
export const epoch = signal(0);

const listeners = new Set<Listener>();
/** Ends the stream; undefined while there is none. */
let stream: AbortController | undefined;
/** The place in the log behind the entry `head`; undefined when `head` is none. */
let place: string | undefined;
/** The log of `head`. */
let log: string | null | undefined;
let pause = SHORTEST_PAUSE;
let retry: ReturnType<typeof setTimeout> | undefined;
/** When the stream last sent anything, and when anything was last heard while the page was shown; on the browser's own clock. */
let lastWord = 0;
let lastHeard = 0;
let check: ReturnType<typeof setTimeout> | undefined;
/** Whether the next read of the health comes earlier than usual. */
let isCheckedSoon = false;

/** Calls `listener` with every new entry. @returns ends that */
export const listen = (listener: Listener): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Behind what was received last: the number of an entry, and at a fleet a place in its logs. */
export const placeNow = (): string => (isFleet ? (place ?? '') : String(head.peek()));

/** Opens the stream, for the life of the page. */
export const followLog = (): void => {
  let closing: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(closing);
    lastHeard = performance.now();
    if (document.hidden) closing = setTimeout(close, HIDDEN_FOR);
    else if (stream === undefined) void open();
    else void checkHealth();
  });
  setInterval(() => {
    const isQuiet = performance.now() - lastHeard > LONGEST_DOUBT;
    isSilent.value = isQuiet && connection.peek() === 'live' && !document.hidden;
  }, 1 * SECOND);
  void open();
  let before = operator.peek();
  operator.subscribe((who) => {
    if (who === before) return;
    before = who;
    if (isLockedOut.peek()) epoch.value += 1;
    void open();
  });
};

/** Tries to reach the service now. */
export const tryNow = (): void => {
  pause = SHORTEST_PAUSE;
  void open();
};

async function open(): Promise<void> {
  close();
  tries.value += 1;
  nextTryAt.value = undefined;
  const own = new AbortController();
  const { signal: ended } = own;
  stream = own;
  let reason: unknown;
  try {
    await readHealth(AbortSignal.any([ended, AbortSignal.timeout(PATIENCE)]));
    if (ended.aborted) return;
    findPosition(health.peek()!.audit);
    heard.value ??= serviceTime();
    const onPlace = (behind: string): void => {
      place = behind;
    };
    const after = place ?? String(head.peek());
    await readEntries(after, { signal: ended, onOpen: begin, onWord: hear, onLine: take, onPlace });
  } catch (error) {
    // The service has refused, or does not answer.
    reason = error;
  }
  if (ended.aborted) return;
  // Without this place in it, it is another log than the page shows; while it reads its log (503), the page could read
  // nothing either. Then everything is read again from the present state.
  if (reason instanceof Refusal && [400, 410, 503].includes(reason.status)) place = undefined;
  if (reason instanceof Refusal && reason.status === 410 && pause === SHORTEST_PAUSE) {
    pause *= 2;
    void open();
    return;
  }
  lose(reason);
}

function begin(): void {
  connection.value = 'live';
  isSettled.value = true;
  pause = SHORTEST_PAUSE;
  tries.value = 0;
  hear();
  checkAfter(HEALTH_EVERY);
}

function hear(): void {
  lastWord = performance.now();
  hearAnything();
}

function hearAnything(): void {
  lastHeard = performance.now();
  isSilent.value = false;
  heard.value = serviceTime();
}

/** Decides whether missed entries are read one by one, or everything again. */
function findPosition(audit: HealthReading['audit']): void {
  if (audit === undefined) {
    findPlaceOfFleet();
    return;
  }
  const { last_seq: end, log_id } = audit;
  // An empty log gets its identity with its first entry.
  const isSameLog = log === undefined || log === null || log === log_id;
  log = log_id;
  if (place !== undefined && isSameLog && end >= head.peek() && end - head.peek() <= MOST_MISSED) return;
  head.value = end;
  place = String(end);
  // In the first attempt nothing has been read before.
  if (isSettled.peek()) epoch.value += 1;
}

/** A place of the fleet may be a time alone: entries that it has just before then are sent as well. */
function findPlaceOfFleet(): void {
  if (place !== undefined) return;
  place = String(Math.floor(serviceTime()));
  if (isSettled.peek()) epoch.value += 1;
}

/** An entry of a machine, as the fleet sends it: its incident is named with the machine. */
const ofMachine = (entry: Entry & { readonly machine?: string }): Entry =>
  isAboutIncident(entry)
    ? ({ ...entry, data: { ...entry.data, incident: keyOfIncident(entry.data.incident, entry.machine) } } as Entry)
    : entry;

function take(line: string): void {
  const entry = isFleet ? ofMachine(readEntry(line)) : readEntry(line);
  if (!isFleet) {
    if (entry.data.seq <= head.peek()) return;
    head.value = entry.data.seq;
  }
  for (const listener of listeners) listener(entry, line);
  if (entry.event.startsWith('incident.') || isCheckedSoon) return;
  isCheckedSoon = true;
  checkAfter(HEALTH_AFTER_ENTRY);
}

function checkAfter(milliseconds: number): void {
  clearTimeout(check);
  check = setTimeout(() => void checkHealth(), milliseconds);
}

/** Reads the health while the stream is live, and finds out whether it still is. */
async function checkHealth(): Promise<void> {
  const own = stream;
  if (own === undefined || connection.peek() !== 'live') return;
  isCheckedSoon = false;
  if (document.hidden) {
    checkAfter(HEALTH_EVERY);
    return;
  }
  try {
    await readHealth(AbortSignal.any([own.signal, AbortSignal.timeout(PATIENCE)]));
  } catch (error) {
    // A refusal is an answer, too.
    if (own.signal.aborted) return;
    if (!(error instanceof Refusal) || error.status === 0) {
      lose(error);
      return;
    }
  }
  if (own.signal.aborted) return;
  if (performance.now() - lastWord > LONGEST_SILENCE) {
    lose(undefined);
    return;
  }
  hearAnything();
  if (!isCheckedSoon) checkAfter(HEALTH_EVERY);
}

function lose(reason: unknown): void {
  close();
  refusal.value = reason instanceof Refusal && reason.status !== 0 ? reasonOf(reason) : undefined;
  connection.value = 'lost';
  isSettled.value = true;
  // Until there is a token the answer would be the same.
  if (isLockedOut.peek()) return;
  retry = setTimeout(() => void open(), pause);
  nextTryAt.value = Date.now() + pause;
  pause = Math.min(pause * 2, LONGEST_PAUSE);
}

function close(): void {
  clearTimeout(retry);
  clearTimeout(check);
  isCheckedSoon = false;
  stream?.abort();
  stream = undefined;
  if (connection.peek() === 'live') connection.value = 'connecting';
}
