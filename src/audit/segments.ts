/**
 * The names of sealed segments. Entries are appended to the file at the log's path. When that file reaches the size of
 * a segment it is sealed: renamed to `<stem>.<seq of its first entry><suffix>` and never written again. The log
 * continues in a new file. Numbers are padded with zeros, so that names sort in the order of their entries.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

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
