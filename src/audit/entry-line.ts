/** The line of an entry, for readers of the log: most need its bytes and only a little of what is in it. */
import { isUtf8 } from 'node:buffer';
import type { ChainHash } from './chain-hash.ts';
import { EntryFault, parseGenuine } from './entry.ts';
import type { Line } from './lines.ts';
import { type Entry, readEntry, type StoredEntry } from '../domain/entries.ts';

export interface EntryLine {
  readonly seq: number;
  readonly event: string;
  /** The line in UTF-8, without its newline. */
  readonly bytes: Buffer;
  /** Where it begins in its file, in bytes. */
  readonly offset: number;
  /** The entry, parsed from the line on demand. The chain is not verified. */
  readonly entry: () => Entry;
}

/** The beginning of every line: an entry has one spelling. */
const BEGINNING = /^\{"timestamp":"[^"]+","event":"([^"]+)","data":\{"seq":(\d+)[,}]/;
const LONGEST_BEGINNING = 128;
/** The end of every line. */
const END = /"prev_hash":"([0-9a-f]{64}|)","entry_hash":"([0-9a-f]{64})","algorithm":"[a-z0-9-]+"\}$/;
const LONGEST_END = 256;

/** The hashes at the end of a line of the log, lower-case hex. Returns undefined for any other line. Nothing is verified. */
export function hashesIn(line: Buffer): { readonly prev: string; readonly hash: string } | undefined {
  const [, prev, hash] = END.exec(line.toString('latin1', Math.max(0, line.length - LONGEST_END))) ?? [];
  return prev === undefined || hash === undefined ? undefined : { prev, hash };
}

/** Reads the beginning of a line of the log. Returns undefined for any other line. The chain is not verified. */
export function readEntryLine({ bytes, offset }: Pick<Line, 'bytes' | 'offset'>): EntryLine | undefined {
  const [, event, seq] = BEGINNING.exec(bytes.toString('latin1', 0, LONGEST_BEGINNING)) ?? [];
  if (event === undefined) return undefined;
  return { seq: Number(seq), event, bytes, offset, entry: () => readEntry(bytes.toString('utf8')) };
}

/**
 * Reads a line that is served: only as the entry that was written there.
 * @param seq of the entry that is due
 * @param before the hash of the entry before it, when that was read as well
 * @returns undefined for any other line
 */
export function readGenuineLine(
  line: Pick<Line, 'bytes' | 'offset'>,
  seq: number,
  hash: ChainHash,
  before?: string,
): EntryLine | undefined {
  const read = readEntryLine(line);
  if (read?.seq !== seq || !isUtf8(line.bytes)) return undefined;
  try {
    const entry = parseGenuine(line.bytes.toString('utf8'), hash);
    const follows = before === undefined || before === entry.prev_hash;
    return entry.data.seq === seq && follows ? { ...read, entry: () => entry } : undefined;
  } catch (error) {
    if (!(error instanceof EntryFault)) throw error;
    return undefined;
  }
}

/**
 * The lines of entries that were written together.
 * @param written their lines, beginning with that of the first entry
 */
export function linesOf(entries: readonly StoredEntry[], written: Buffer): readonly EntryLine[] {
  const begin = entries[0]?.offset ?? 0;
  return entries.map((entry) => {
    const { event, data, offset, length } = entry;
    const bytes = written.subarray(offset - begin, offset - begin + length - 1);
    return { seq: data.seq, event, bytes, offset, entry: () => entry };
  });
}

/** The entry in a line of the log, and its place. The chain is not verified. */
export const storedEntryIn = ({ entry, bytes, offset }: EntryLine): StoredEntry => ({
  ...entry(),
  offset,
  length: bytes.length + 1,
});
