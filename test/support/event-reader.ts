import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request, type RequestOptions } from 'node:http';

export interface ReceivedEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** A reader of Server-Sent Events, as the WHATWG HTML standard describes them (section 9.2.6). */
export class EventReader {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly events: ReceivedEvent[] = [];
  comments = 0;
  /** What a browser would send as `Last-Event-ID`. */
  lastEventId = '';
  ended = false;
  /** Everything received, when it was no stream. */
  text = '';
  #changed: () => void = () => {};
  readonly #request: ClientRequest;
  readonly #incoming: IncomingMessage;

  private constructor(outgoing: ClientRequest, incoming: IncomingMessage) {
    this.#request = outgoing;
    this.#incoming = incoming;
    this.status = incoming.statusCode ?? 0;
    this.headers = incoming.headers;
    incoming.setEncoding('utf8').on('error', () => {});
    incoming.once('close', () => {
      this.ended = true;
      this.#changed();
    });
    let rest = '';
    incoming.on('data', (text: string) => {
      this.text += this.status === 200 ? '' : text;
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.#take(block);
      this.#changed();
    });
  }

  static async open(options: RequestOptions): Promise<EventReader> {
    const outgoing = request({ ...options, agent: false });
    outgoing.on('error', () => {});
    outgoing.end();
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    return new EventReader(outgoing, incoming);
  }

  /** Waits until so many events are there. */
  async received(count: number): Promise<readonly ReceivedEvent[]> {
    await this.until(() => this.events.length >= count);
    return this.events;
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.ended) throw new Error(`the stream ended after ${this.events.length} events`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#incoming.pause();
  }

  resume(): void {
    this.#incoming.resume();
  }

  /** Waits until the service has ended the stream. */
  async end(): Promise<void> {
    this.#incoming.resume();
    await this.until(() => this.ended);
  }

  leave(): void {
    this.#request.destroy();
  }

  #take(block: string): void {
    let event = '';
    const data: string[] = [];
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) this.comments += 1;
      const [, field = '', value = ''] = /^([^:]*): ?(.*)$/.exec(line) ?? [];
      if (field === 'id') this.lastEventId = value;
      if (field === 'event') event = value;
      if (field === 'data') data.push(value);
    }
    if (data.length > 0) this.events.push({ id: this.lastEventId, event, data: data.join('\n') });
  }
}
