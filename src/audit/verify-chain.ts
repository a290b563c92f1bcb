/**
 * Walks the log from one entry to the next and proves that each follows the one before it.
 *
 * The files of a log are walked in their order as one. Where a file does not begin with the entry that is due, the
 * entries between are a gap; it is bridged by what the file itself says comes before it, and is in order only when
 * `log.archived` entries further on tell of those entries.
 */
import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { areArchived, rangesOf } from './archived-ranges.ts';
import type { ChainHash } from './chain-hash.ts';
import { EMPTY_HEAD, EntryFault, type Head, parseEntry } from './entry.ts';
import { type Line, readLines } from './lines.ts';
import type { ArchivedData, ArchivedRange, Entry, StoredEntry } from '../domain/entries.ts';

/** The first thing that is wrong with a log. */
export interface Damage {
  /** Name of the file. */
  readonly file: string;
  /** Line number in the file, from 1. */
  readonly line: number;
  /** Where the line begins in the file, in bytes. */
  readonly offset: number;
  readonly reason: string;
}

/** How far a log is valid. */
export interface Walked {
  readonly head: Head;
  /** The offset behind the last valid entry, in bytes, in the last file that was walked. */
  readonly end: number;
  /** `seq` of the first entry of that file, or what it would be. */
  readonly first: number;
  readonly damage?: Damage;
}

export type OnEntries = (entries: readonly StoredEntry[]) => void | Promise<void>;

/** A file of the log, and how much of it to read when that is not all of it, in bytes. */
export interface LogFile {
  readonly path: string;
  readonly to?: number;
}

/**
 * Walks through the files of a log, the oldest first. The entries of one window of a file, of `windowBytes` or a little
 * more, are handed over at a time; the next window is read when that has been awaited.
 */
export async function walkFiles(
  files: readonly LogFile[],
  hash: ChainHash,
  onEntries: OnEntries,
  windowBytes?: number,
): Promise<Walked> {
  const gaps: Gap[] = [];
  const archived: ArchivedRange[] = [];
  let walked: Walked = { head: EMPTY_HEAD, end: 0, first: 1 };
  for (const { path, to } of files) {
    const file = await open(path, 'r');
    try {
      const end = to ?? (await file.stat()).size;
      const name = basename(path);
      const head = await headBefore(file, end, walked.head);
      if (head !== walked.head) gaps.push({ file: name, after: walked.head, before: head });
      const see: OnEntries = (entries) => {
        for (const { event, data } of entries) if (event === 'log.archived') archived.push(...rangesOf(data));
        return onEntries(entries);
      };
      walked = await walkFile(file, name, hash, { head, offset: 0, line: 1 }, end, see, windowBytes);
      if (walked.damage !== undefined) return walked;
    } finally {
      await file.close();
    }
  }
  const gap = gaps.find(({ after, before }) => !areArchived(after, before, archived));
  return gap === undefined ? walked : { ...walked, head: gap.after, damage: missing(gap) };
}

/** Where to begin in a file: behind `head`, at the beginning of a line. */
export interface Place {
  readonly head: Head;
  readonly offset: number;
  readonly line: number;
}

/** Walks through one file from a place in it up to the offset `to`. */
export async function walkFile(
  file: FileHandle,
  name: string,
  hash: ChainHash,
  from: Place,
  to: number,
  onEntries: OnEntries,
  windowBytes?: number,
): Promise<Walked> {
  let { head, offset: end } = from;
  const first = head.entries - from.line + 2;
  for await (const lines of readLines(file, from.offset, to, windowBytes)) {
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
        damage = { file: name, line: head.entries - first + 2, offset: line.offset, reason: error.message };
        break;
      }
    }
    if (entries.length > 0) await onEntries(entries);
    if (damage !== undefined) return { head, end, first, damage };
  }
  return { head, end, first };
}

/** Reads a line as the entry that follows `head`. */
function readEntry(line: Line, head: Head, hash: ChainHash): StoredEntry {
  if (!line.whole) throw new EntryFault('the line is not whole: it is cut short or longer than an entry may be');
  if (!isUtf8(line.bytes)) throw new EntryFault('not UTF-8');
  const entry = parseEntry(line.bytes.toString('utf8'), head, hash);
  return { ...entry, offset: line.offset, length: line.bytes.length + 1 };
}

/** Entries that none of the files holds: those that follow `after`, up to the one that `before` ends with. */
interface Gap {
  /** The file in front of which they are missing. */
  readonly file: string;
  readonly after: Head;
  readonly before: Head;
}

/** What the first entry of a file says that it follows, when that is further on than `due`; else `due`. */
async function headBefore(file: FileHandle, size: number, due: Head): Promise<Head> {
  for await (const [line] of readLines(file, 0, size)) {
    try {
      const { data, prev_hash } = JSON.parse(line?.bytes.toString('utf8') ?? '') as Entry;
      if (Number.isSafeInteger(data.seq) && data.seq > due.entries + 1)
        return { entries: data.seq - 1, hash: prev_hash };
    } catch {
      // Whatever it is, the walk will say so.
    }
    break;
  }
  return due;
}

function missing({ file, after, before }: Gap): Damage {
  const [from, to] = [after.entries + 1, before.entries];
  const entries = from === to ? `entry ${from} is` : `entries ${from} to ${to} are`;
  return { file, line: 1, offset: 0, reason: `${entries} missing before it, and no log.archived entry tells of that` };
}
