/**
 * The event stream (Server-Sent Events, WHATWG HTML, section 9.2), read by `fetch`: an `EventSource` can't send a token.
 *
 * Each event is an entry of the log, and its data is the entry's line. Who reads it resumes after the last entry that it
 * has, so identifiers and pauses before a new connection are not needed here.
 */
import { readAs } from './operator.ts';
import { get, Refusal, refuse } from './request.ts';

export interface EntryReader {
  readonly signal: AbortSignal;
  /** Called when the service begins to send. */
  readonly onOpen: () => void;
  /** Called whenever the service sends anything, heartbeats included. */
  readonly onWord?: () => void;
  /** Receives the line of each entry. */
  readonly onLine: (line: string) => void;
}

/**
 * Reads the entries after `after`, until the service ends the stream.
 * @throws Refusal; an error when the connection breaks or `signal` aborts
 */
export const readEntries = async (after: number, { signal, onOpen, onWord, onLine }: EntryReader): Promise<void> => {
  const { body } = await readAs(async (token) => {
    const response = await get(`/api/v1/events?after=${after}`, { accept: 'text/event-stream', token, signal });
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
  }
};

const FIELD = 'data:';

/** Finds the data of events in a text that arrives in pieces. */
export class EventReader {
  #rest = '';
  #data: string[] = [];

  /** Takes a piece of text. Returns the data of the events that it completes; an event without data is none. */
  push(text: string): readonly string[] {
    const lines = `${this.#rest}${text}`.split(/\r?\n/);
    this.#rest = lines.pop() ?? '';
    const complete: string[] = [];
    for (const line of lines) {
      if (line !== '') {
        if (line.startsWith(FIELD)) this.#data.push(line.slice(FIELD.length).replace(/^ /, ''));
      } else if (this.#data.length > 0) {
        complete.push(this.#data.join('\n'));
        this.#data = [];
      }
    }
    return complete;
  }
}
