/** Entries of the log from one `seq` to another, each with its line. */
import { SECOND } from '../../clock.ts';
import { Refusal } from '../request.ts';
import { type Entry, ENTRY_EVENTS, readEntry } from '../../domain/entries.ts';

export interface LoggedLine {
  readonly entry: Entry;
  readonly line: string;
}

/** How long the service may be silent before the last entry, in milliseconds. */
const PATIENCE = 20 * SECOND;

/**
 * Reads the entries after `after` up to and including `last`, from the stream.
 * @throws Refusal when the service does not have them or falls silent
 */
export const readRange = (after: number, last: number, signal: AbortSignal): Promise<readonly LoggedLine[]> => {
  if (after >= last) return Promise.resolve([]);
  return new Promise((resolve, reject) => {
    const lines: LoggedLine[] = [];
    const source = new EventSource(`/api/v1/events?after=${after}`);
    const end = (settle: () => void): void => {
      clearTimeout(silence);
      source.close();
      settle();
    };
    const fail = (): void => end(() => reject(new Refusal(0, 'the entries could not be read')));
    let silence = setTimeout(fail, PATIENCE);
    const take = ({ data: line }: MessageEvent<string>): void => {
      clearTimeout(silence);
      silence = setTimeout(fail, PATIENCE);
      const entry = readEntry(line);
      if (entry.data.seq <= last) lines.push({ entry, line });
      if (entry.data.seq >= last) end(() => resolve(lines));
    };
    for (const event of ENTRY_EVENTS) source.addEventListener(event, take);
    source.addEventListener('error', fail);
    signal.addEventListener('abort', fail);
  });
};
