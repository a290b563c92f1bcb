/** Walks the log from one entry to the next and proves that each follows the one before it. */
import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import type { ChainHash } from './chain-hash.ts';
import { EMPTY_HEAD, EntryFault, type Head, parseEntry, type StoredEntry } from './entry.ts';
import { type Line, readLines } from './lines.ts';

/** The first thing that is wrong with a log. */
export interface Damage {
  /** Line number, from 1. */
  readonly line: number;
  /** Where the line begins, in bytes. */
  readonly offset: number;
  readonly reason: string;
}

/** How far a log is valid. */
export interface Walked {
  readonly head: Head;
  /** The offset behind the last valid entry, in bytes. */
  readonly end: number;
  readonly damage?: Damage;
}

export interface Place {
  readonly head: Head;
  readonly offset: number;
}

export const BEGINNING: Place = { head: EMPTY_HEAD, offset: 0 };

/**
 * Verifies the entries from `start` up to the offset `to` and hands them over in order, those of one window at a time,
 * stopping at the first that is not valid.
 */
export async function walkLog(
  file: FileHandle,
  hash: ChainHash,
  to: number,
  onEntries: (entries: readonly StoredEntry[]) => void | Promise<void> = () => {},
  start: Place = BEGINNING,
): Promise<Walked> {
  let { head, offset: end } = start;
  for await (const lines of readLines(file, start.offset, to)) {
    const entries: StoredEntry[] = [];
    let damage: Damage | undefined;
    for (const line of lines) {
      try {
        const entry = readEntry(line, head, hash);
        head = { entries: entry.data.seq, hash: entry.entry_hash };
        end = entry.offset + entry.length;
        entries.push(entry);
      } catch (error) {
        if (!(error instanceof EntryFault)) throw error;
        damage = { line: head.entries + 1, offset: line.offset, reason: error.message };
        break;
      }
    }
    if (entries.length > 0) await onEntries(entries);
    if (damage !== undefined) return { head, end, damage };
  }
  return { head, end };
}

/** The same over a whole log, by its path. */
export async function walkLogAt(
  path: string,
  hash: ChainHash,
  onEntries: (entries: readonly StoredEntry[]) => void | Promise<void>,
): Promise<Walked> {
  const file = await open(path, 'r');
  try {
    return await walkLog(file, hash, (await file.stat()).size, onEntries);
  } finally {
    await file.close();
  }
}

function readEntry(line: Line, head: Head, hash: ChainHash): StoredEntry {
  if (!line.whole) throw new EntryFault('the line is not whole: it is cut short or longer than an entry may be');
  if (!isUtf8(line.bytes)) throw new EntryFault('not UTF-8');
  const entry = parseEntry(line.bytes.toString('utf8'), head, hash);
  return { ...entry, offset: line.offset, length: line.bytes.length + 1 };
}
