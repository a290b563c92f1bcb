/** An entry as it is sent to whoever follows the log: the bytes of its line, and what a reader needs beside them. */
import type { Line } from './lines.ts';
import type { Entry, StoredEntry } from '../domain/entries.ts';

export interface EntryLine {
  readonly seq: number;
  readonly event: string;
  /** The line in UTF-8, without its newline. */
  readonly bytes: Buffer;
  /** Where it begins in its file, in bytes. */
  readonly offset: number;
  /** The entry; read from the line on demand. */
  readonly entry: () => Entry;
}

/** Every line begins so, because an entry has one spelling. */
const BEGINNING = /^\{"timestamp":"[^"]+","event":"([^"]+)","data":\{"seq":(\d+)[,}]/;
const LONGEST_BEGINNING = 128;

/** Reads the beginning of a line of the log; `undefined` where it is not one. The chain is not verified. */
export function readEntryLine({ bytes, offset }: Pick<Line, 'bytes' | 'offset'>): EntryLine | undefined {
  const [, event, seq] = BEGINNING.exec(bytes.toString('latin1', 0, LONGEST_BEGINNING)) ?? [];
  if (event === undefined) return undefined;
  return { seq: Number(seq), event, bytes, offset, entry: () => JSON.parse(bytes.toString('utf8')) as Entry };
}

/** The lines of entries that were written together: `written` begins with the first of them. */
export function linesOf(entries: readonly StoredEntry[], written: Buffer): readonly EntryLine[] {
  const begin = entries[0]?.offset ?? 0;
  return entries.map((entry) => {
    const { event, data, offset, length } = entry;
    const bytes = written.subarray(offset - begin, offset - begin + length - 1);
    return { seq: data.seq, event, bytes, offset, entry: () => entry };
  });
}

/** The entry that a line of the log holds. The chain is not verified. */
export const entryOn = ({ entry, bytes, offset }: EntryLine): StoredEntry => ({
  ...entry(),
  offset,
  length: bytes.length + 1,
});
