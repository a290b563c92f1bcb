/** Reads the whole audit log over the API, entry by entry. */
import { Refused } from '../client/errors.ts';
import type { Entry } from '../domain/entries.ts';
import { readEvents } from './read-events.ts';
import type { ApiClient } from './api-client.ts';

/** The recorder sends at least a comment every 15 seconds. After a longer silence the connection is lost. */
const LONGEST_SILENCE = 45_000;

/**
 * Yields the entries that are in the log now, from the first that was not archived on.
 * @throws Refused, NotReachable; Error when the connection ends before the last entry
 */
export async function* readLog(api: ApiClient): AsyncGenerator<Entry> {
  const last = await api.lastSeq();
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), LONGEST_SILENCE);
  try {
    const stream = await open(api, silence.signal);
    const events = readEvents(stream.setEncoding('utf8'), () => timer.refresh());
    for await (const { data } of events) {
      const entry = JSON.parse(data) as Entry;
      if (entry.data.seq <= last) yield entry;
      if (entry.data.seq >= last) return;
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
  throw new Error('the connection was lost before the whole log was read; try again');
}

async function open(api: ApiClient, signal: AbortSignal) {
  const from = (seq: number) => api.stream('/api/v1/events', { 'last-event-id': String(seq) }, signal);
  try {
    return await from(0);
  } catch (error) {
    const first = error instanceof Refused && error.status === 410 ? error.body.first_seq : undefined;
    if (typeof first !== 'number') throw error;
    return from(first - 1);
  }
}
