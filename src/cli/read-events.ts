/** Server-Sent Events, as far as the recorder uses them (WHATWG HTML, section 9.2.6): `id`, one line of `data`, comments. */

export interface StreamEvent {
  readonly id: string;
  readonly data: string;
}

/**
 * Yields the events of a stream, without an incomplete one at its end.
 * @param onActivity is called whenever anything arrives, comments included
 * @param onPlace is called with an id that comes without an event: where the reader is, although nothing was for it
 */
export async function* readEvents(
  stream: AsyncIterable<string>,
  onActivity: () => void,
  onPlace: (id: string) => void = () => {},
): AsyncGenerator<StreamEvent> {
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
      } else if (line === '') {
        if (id !== '') onPlace(id);
      } else if (line.startsWith('id:')) id = line.slice(3).trim();
      else if (line.startsWith('data:')) data = line.slice(5).replace(/^ /, '');
    }
  }
}
