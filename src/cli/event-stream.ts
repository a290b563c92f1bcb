/** Server-Sent Events, as far as the recorder sends them (WHATWG HTML, section 9.2.6): `id`, one line of `data`, comments. */

export interface StreamEvent {
  readonly id: string;
  readonly data: string;
}

/**
 * Reads the events of a stream; `onActivity` is told whenever anything arrives, comments too. What a stream that ends in
 * the middle has begun is no event.
 */
export async function* readEvents(stream: AsyncIterable<string>, onActivity: () => void): AsyncGenerator<StreamEvent> {
  let rest = '';
  let id = '';
  let data: string | undefined;
  for await (const chunk of stream) {
    onActivity();
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '' && data !== undefined) {
        yield { id, data };
        data = undefined;
      } else if (line.startsWith('id:')) id = line.slice(3).trim();
      else if (line.startsWith('data:')) data = line.slice(5).replace(/^ /, '');
    }
  }
}
