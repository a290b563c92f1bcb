/**
 * The files that were found in the place of others, and are kept as evidence. The first ones matter most: an intruder
 * who repeats it, or a job that cuts the log each minute, must not fill the disk with them.
 */
import { linkSync, lstatSync, readdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** How many files are kept of one kind, and how many bytes of them unless there is only one. */
export const MOST_KEPT = 8;
const MOST_BYTES = 256 * 1024 * 1024;

const NOT_THERE = { throwIfNoEntry: false } as const;

/**
 * The path under which what is at `path` can be kept.
 * @param time RFC 3339
 * @returns undefined when enough of that kind is kept already
 */
export function pathToKeep(path: string, what: 'replaced' | 'truncated', time: string): string | undefined {
  const named = `${path}.${what}-${time.replaceAll(/[-:.]/g, '')}`;
  const found = lstatSync(path, NOT_THERE);
  let kept = named;
  for (let n = 2; lstatSync(kept, NOT_THERE) !== undefined; n++) kept = `${named}-${n}`;
  // A directory can't be overwritten.
  if (found === undefined || found.isDirectory()) return kept;
  const directory = dirname(path);
  const sizes = readdirSync(directory)
    .filter((name) => name.startsWith(`${basename(path)}.${what}-`))
    .map((name) => lstatSync(join(directory, name), NOT_THERE)?.size ?? 0);
  const bytes = sizes.reduce((sum, size) => sum + size, found.size);
  return sizes.length === 0 || (sizes.length < MOST_KEPT && bytes <= MOST_BYTES) ? kept : undefined;
}

/**
 * Keeps what is at `path` under another name, before it is overwritten. It gets a second name where it can, so that a
 * crash never leaves the path empty. Under Landlock neither is allowed for what is no file and no directory; then it is
 * not kept.
 * @returns the name of the file that keeps it, if there is one
 */
export function keep(path: string, kept: string | undefined): string | undefined {
  if (kept === undefined) return undefined;
  for (const give of [linkSync, renameSync]) {
    try {
      give(path, kept);
      return basename(kept);
    } catch {
      // Not this way: a directory has one name only, and the file may be another user's.
    }
  }
  return undefined;
}
