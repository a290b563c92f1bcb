/**
 * The event stream (Server-Sent Events, WHATWG HTML, section 9.2), read by `fetch`: an `EventSource` can't send a token.
 *
 * Each event is an entry of the log, and its data is the entry's line. Its id is the place behind the entry, in this
 * one log: a reader that resumes there learns when it is another log. Pauses before a new connection are not needed
 * here.
 */
import { readAs } from './operator.ts';
import { get, Refusal, refuse } from './request.ts';
import { isFleet } from './service.ts';

export interface EntryReader {
  readonly signal: AbortSignal;
  /** Called when the service begins to send. */
  readonly onOpen: () => void;
  /** Called whenever the service sends anything, heartbeats included. */
  readonly onWord?: () => void;
  /** Receives the line of each entry. */
  readonly onLine: (line: string) => void;
  /** Receives the place behind what was received. */
  readonly onPlace?: (place: string) => void;
}

/**
 * Reads the entries after the place `after`, until the service ends the stream.
 * @throws Refusal; an error when the connection breaks or `signal` aborts
 */
export const readEntries = async (
  after: string,
  { signal, onOpen, onWord, onLine, onPlace }: EntryReader,
): Promise<void> => {
  const { body } = await readAs(async (token) => {
    // The places of the fleet name many logs: too long for an address.
    const response = await (isFleet
      ? get('/api/v1/events', { accept: 'text/event-stream', token, signal, headers: { 'last-event-id': after } })
      : get(`/api/v1/events?after=${after}`, { accept: 'text/event-stream', token, signal }));
    await refuse(response);
    return response;
  });
  if (body === null) throw new Refusal(0, 'the service does not answer');
  onOpen();
  const events = new EventReader();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    onWord?.();
    for (const line of events.push(next.value)) {
      if (signal.aborted) return;
      onLine(line);
    }
    if (events.place !== undefined) onPlace?.(events.place);
  }
};

const FIELD = 'data:';
const ID = 'id:';

/** Finds the data of events in a text that arrives in pieces. */
export class EventReader {
  #rest = '';
  #data: string[] = [];
  #id: string | undefined;
  #place: string | undefined;

  /** The id of the last event that is complete, also of one without data. */
  get place(): string | undefined {
    return this.#place;
  }

  /** Takes a piece of text. Returns the data of the events that it completes; an event without data is none. */
  push(text: string): readonly string[] {
    const lines = `${this.#rest}${text}`.split(/\r?\n/);
    this.#rest = lines.pop() ?? '';
    const complete: string[] = [];
    for (const line of lines) {
      if (line !== '') {
        if (line.startsWith(FIELD)) this.#data.push(line.slice(FIELD.length).replace(/^ /, ''));
        else if (line.startsWith(ID)) this.#id = line.slice(ID.length).trim();
        continue;
      }
      this.#place = this.#id;
      if (this.#data.length === 0) continue;
      complete.push(this.#data.join('\n'));
      this.#data = [];
    }
    return complete;
  }
}
