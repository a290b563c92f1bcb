/** An entry that can't follow what is on record: the log tells a story that the statechart does not allow. */
export class Contradiction extends Error {
  override readonly name = 'Contradiction';

  /** @param entry its `seq` and event are named in the message */
  constructor(entry: { readonly event: string; readonly data: { readonly seq: number } }, what: string) {
    super(`entry ${entry.data.seq} (${entry.event}) contradicts the statechart: ${what}`);
  }
}
