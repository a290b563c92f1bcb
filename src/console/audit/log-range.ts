/** Entries of the log from one `seq` to another, each with its line. */
import { SECOND } from '../../clock.ts';
import { readEntries } from '../entry-stream.ts';
import { Refusal } from '../request.ts';
import { type Entry, readEntry } from '../../domain/entries.ts';

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
export const readRange = async (after: number, last: number, signal: AbortSignal): Promise<readonly LoggedLine[]> => {
  if (after >= last) return [];
  const lines: LoggedLine[] = [];
  const end = new AbortController();
  let isWhole = false;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const wait = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => end.abort(), PATIENCE);
  };
  const onLine = (line: string): void => {
    wait();
    const entry = readEntry(line);
    if (entry.data.seq <= last) lines.push({ entry, line });
    if (entry.data.seq < last) return;
    isWhole = true;
    end.abort();
  };
  try {
    await readEntries(String(after), { signal: AbortSignal.any([signal, end.signal]), onOpen: wait, onLine });
  } catch (error) {
    if (error instanceof Refusal) throw error;
  } finally {
    clearTimeout(silence);
  }
  if (!isWhole) throw new Refusal(0, 'the entries could not be read');
  return lines;
};
