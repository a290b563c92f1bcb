/**
 * The names of sealed segments. Entries are appended to the file at the log's path. When that file reaches the size of
 * a segment it is sealed: renamed to `<stem>.<seq of its first entry><suffix>` and never written again. The log
 * continues in a new file. Numbers are padded with zeros, so that names sort in the order of their entries.
 */
import { readdir } from '../async-files.ts';
import { basename, dirname, extname, join } from 'node:path';
import { entriesIn, type Finding } from './findings.ts';

const DIGITS = 12;

export interface SealedSegment {
  readonly path: string;
  /** `seq` of its first entry. */
  readonly first: number;
}

const namesOf = (logPath: string): { readonly stem: string; readonly suffix: string } => {
  const suffix = extname(logPath);
  return { stem: basename(logPath, suffix), suffix };
};

/** The path of the sealed segment that begins with entry `first`. */
export function sealedPath(logPath: string, first: number): string {
  const { stem, suffix } = namesOf(logPath);
  return join(dirname(logPath), `${stem}.${String(first).padStart(DIGITS, '0')}${suffix}`);
}

/** Finds the sealed segments of a log, in its directory. Returns them oldest first. */
export async function findSealed(logPath: string): Promise<readonly SealedSegment[]> {
  const { stem, suffix } = namesOf(logPath);
  const directory = dirname(logPath);
  return (await readdir(directory))
    .filter((name) => name.startsWith(`${stem}.`) && name.endsWith(suffix))
    .map((name) => ({ name, digits: name.slice(stem.length + 1, name.length - suffix.length) }))
    .filter(({ digits }) => digits.length === DIGITS && /^\d+$/.test(digits))
    .map(({ name, digits }) => ({ path: join(directory, name), first: Number(digits) }))
    .toSorted((one, other) => one.first - other.first);
}

/**
 * The findings about files of a log that are missing, one for each range of entries.
 * @param files all files of the log, oldest first
 */
export function missingIn(files: readonly SealedSegment[], missing: ReadonlySet<SealedSegment>): readonly Finding[] {
  return files.flatMap((file, index) => {
    const before = files[index - 1];
    if (missing.has(file) || before === undefined || !missing.has(before)) return [];
    const first = files[files.findLastIndex((one, at) => at < index && !missing.has(one)) + 1]!.first;
    const range = { first_seq: first, last_seq: file.first - 1 };
    const what = entriesIn(range.first_seq, range.last_seq);
    const detail = `${basename(file.path)}: ${what} are missing before it: the file that held them was taken away`;
    return [{ name: 'entries_missing', detail, range }];
  });
}
