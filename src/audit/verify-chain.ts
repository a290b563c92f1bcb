/**
 * Verifies the chain: reads the log entry by entry and proves that each one follows the one before it.
 *
 * The files of a log are verified in their order, as one sequence. When a file begins with a later entry than expected,
 * the entries between are missing. Verification continues from what the file's first entry says comes before it. That is
 * as it should be only when `log.archived` entries further on name the missing entries.
 */
import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from '../async-files.ts';
import { basename } from 'node:path';
import { areArchived, rangesOf } from './archived-ranges.ts';
import type { ChainHash } from './chain-hash.ts';
import { EMPTY_HEAD, EntryFault, type Head, NewerEntry, parseEntry } from './entry.ts';
import { entriesIn, type Finding, type FindingName } from './findings.ts';
import { type Line, readLines } from './lines.ts';
import { type ArchivedRange, type LogLostData, readEntry, type StoredEntry } from '../domain/entries.ts';

/** The first fault of a log. */
export interface Damage {
  /** Name of the file. */
  readonly file: string;
  /** Line number in the file, from 1. */
  readonly line: number;
  /** Where the line begins in the file, in bytes. */
  readonly offset: number;
  readonly reason: string;
  /** Its row in the table of findings. */
  readonly finding: FindingName;
  /** Whether the line is as it was written, by a newer version of the recorder. */
  readonly newer?: true;
}

/** The part of a log that is valid: all entries before the first damage. */
export interface ValidPrefix {
  readonly head: Head;
  /** The offset in bytes after the last valid entry, in the last file that was read. */
  readonly end: number;
  /** `seq` of the first entry of that file; for an empty file, of the entry it would begin with. */
  readonly first: number;
  readonly damage?: Damage | undefined;
  /** Entries before the head that are in none of the files, and were not archived. Empty where there is damage. */
  readonly missing: readonly MissingEntries[];
}

/** Entries that are in none of the files: those after the head `after`, up to and with the last entry of `before`. */
export interface MissingEntries {
  /** Name of the file before which they are missing. */
  readonly file: string;
  readonly after: Head;
  readonly before: Head;
  /** Whether a `log.lost` entry says that the file was cut while the recorder wrote it. */
  readonly lost: boolean;
}

/** Takes valid entries in their order. The next ones are read when the promise has resolved. */
export type OnEntries = (entries: readonly StoredEntry[]) => void | Promise<void>;

/** A file of the log. */
export interface LogFile {
  /** Where it is now. */
  readonly path: string;
  /** Read only so many bytes of it; by default all. */
  readonly to?: number;
  /** What chains its entries, when that is another hash than that of the newest files. */
  readonly hash?: ChainHash | undefined;
}

/**
 * Verifies the files of a log, to the first damage. Missing entries do not end it.
 * @param files oldest first
 * @param onEntries gets the valid entries, those of one window at a time
 * @param windowBytes how much of a file is read at a time
 * @throws whatever reading the files throws; damage is part of the result
 */
export async function verifyChain(
  files: readonly LogFile[],
  hash: ChainHash,
  onEntries: OnEntries,
  windowBytes?: number,
): Promise<ValidPrefix> {
  const gaps: Omit<MissingEntries, 'lost'>[] = [];
  const archived: ArchivedRange[] = [];
  const lost: LogLostData[] = [];
  let prefix: ValidPrefix = { head: EMPTY_HEAD, end: 0, first: 1, missing: [] };
  for (const one of files) {
    const { file, path } = await openFile(one);
    try {
      const end = one.to ?? (await file.stat()).size;
      const name = basename(path);
      const head = await headBefore(file, 0, end, prefix.head);
      if (head !== prefix.head) gaps.push({ file: name, after: prefix.head, before: head });
      const see: OnEntries = (entries) => {
        for (const { event, data } of entries) {
          if (event === 'log.archived') archived.push(...rangesOf(data));
          else if (event === 'log.lost') lost.push(data);
        }
        return onEntries(entries);
      };
      prefix = await verifyChainIn(file, name, one.hash ?? hash, { head, offset: 0, line: 1 }, end, see, windowBytes);
      if (prefix.damage !== undefined) break;
    } finally {
      await file.close();
    }
  }
  // What was archived may be named after the damage.
  if (prefix.damage !== undefined) return prefix;
  const missing = gaps
    .filter(({ after, before }) => !areArchived(after, before, archived))
    .map((gap) => ({ ...gap, lost: lost.some((loss) => covers(loss, gap)) }));
  return { ...prefix, missing };
}

/** Opens a file of the log. It may be sealed between look-up and opening: then its path is another one. */
async function openFile(one: LogFile): Promise<{ readonly file: FileHandle; readonly path: string }> {
  for (;;) {
    const { path } = one;
    const file = await open(path, 'r').catch((error: unknown) => {
      if (one.path === path) throw error;
    });
    if (file !== undefined && one.path === path) return { file, path };
    await file?.close();
  }
}

/** Whether a `log.lost` entry names all missing entries. */
const covers = (
  { first_seq, last_seq, last_hash }: LogLostData,
  { after, before }: Pick<MissingEntries, 'after' | 'before'>,
): boolean =>
  first_seq <= after.entries + 1 &&
  last_seq >= before.entries &&
  (last_seq > before.entries || last_hash === before.hash);

/** Where verification begins in a file: at the entry that follows `head`. */
export interface StartingPoint {
  readonly head: Head;
  /** Where the entry's line begins, in bytes. */
  readonly offset: number;
  /** The number of that line in the file, from 1. */
  readonly line: number;
}

/**
 * Verifies one file, like `verifyChain`.
 * @param name of the file, for `Damage`
 * @param to where to stop, in bytes
 */
export async function verifyChainIn(
  file: FileHandle,
  name: string,
  hash: ChainHash,
  from: StartingPoint,
  to: number,
  onEntries: OnEntries,
  windowBytes?: number,
): Promise<ValidPrefix> {
  let { head, offset: end } = from;
  const first = head.entries - from.line + 2;
  for await (const lines of readLines(file, from.offset, to, windowBytes)) {
    const entries: StoredEntry[] = [];
    let damage: Damage | undefined;
    for (const line of lines) {
      try {
        const entry = verifiedEntry(line, head, hash);
        head = { entries: entry.data.seq, hash: entry.entry_hash };
        end = entry.offset + entry.length;
        entries.push(entry);
      } catch (error) {
        if (!(error instanceof EntryFault)) throw error;
        damage = {
          file: name,
          line: head.entries - first + 2,
          offset: line.offset,
          reason: error.message,
          finding: 'entry_altered',
          ...(error instanceof NewerEntry ? { newer: true } : {}),
        };
        break;
      }
    }
    if (entries.length > 0) await onEntries(entries);
    if (damage !== undefined) return { head, end, first, damage, missing: [] };
  }
  return { head, end, first, missing: [] };
}

/** Reads a line as the entry that follows `head`. @throws EntryFault */
function verifiedEntry(line: Line, head: Head, hash: ChainHash): StoredEntry {
  if (!line.whole) throw new EntryFault('the line is not whole: it is cut short or longer than an entry may be');
  if (!isUtf8(line.bytes)) throw new EntryFault('not UTF-8');
  const entry = parseEntry(line.bytes.toString('utf8'), head, hash);
  return { ...entry, offset: line.offset, length: line.bytes.length + 1 };
}

/** The head that the first entry between two offsets says it follows, when that is later than `due`; else `due`. */
export async function headBefore(file: FileHandle, from: number, to: number, due: Head): Promise<Head> {
  for await (const [line] of readLines(file, from, to)) {
    try {
      const { data, prev_hash } = readEntry(line?.bytes.toString('utf8') ?? '');
      if (Number.isSafeInteger(data.seq) && data.seq > due.entries + 1)
        return { entries: data.seq - 1, hash: prev_hash };
    } catch {
      // Verification finds the fault again and reports it.
    }
    break;
  }
  return due;
}

/** Says what is missing. */
export function describeMissing({ after, before, lost }: MissingEntries): string {
  const [first, last] = [after.entries + 1, before.entries];
  const [is, it] = first === last ? ['is', 'it'] : ['are', 'them'];
  const account = lost
    ? `the file that held ${it} was cut while the recorder wrote it`
    : 'no log.archived entry accounts for it';
  return `${entriesIn(first, last)} ${is} missing before it, and ${account}`;
}

/** The finding about missing entries. */
export const findingOf = (missing: MissingEntries): Finding => ({
  name: 'entries_missing',
  detail: `${missing.file}: ${describeMissing(missing)}`,
  range: { first_seq: missing.after.entries + 1, last_seq: missing.before.entries },
});
