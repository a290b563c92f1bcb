/** Watches the sealed segments while the service runs: whether each is still the file that was there before. */
import { existsSync, lstatSync } from 'node:fs';
import { archivedPath } from './archived-path.ts';
import type { SealedSegment } from './segments.ts';

/** How many segments one look checks: there is one each second, and each segment takes some microseconds. */
const MOST_LOOKED_AT = 64;
/** How many looks in a row must miss a segment: it is away for a moment while it is archived. */
const LOOKS_UNTIL_MISSING = 3;

/** What identifies a file, and shows whether it was changed since. */
interface FileState {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** What a look has found. It reports each fault once. */
interface SealedFault {
  readonly segment: SealedSegment;
  readonly what: 'missing' | 'replaced' | 'archived';
}

const NOT_THERE = { throwIfNoEntry: false } as const;

export class SealedWatch {
  readonly #known = new Map<string, FileState>();
  /** How many looks have missed a segment. */
  readonly #missed = new Map<string, number>();
  #next = 0;

  /** Remembers the state of a segment. */
  note({ path }: SealedSegment): void {
    const file = lstatSync(path, NOT_THERE);
    if (file !== undefined) this.#known.set(path, file);
  }

  /** Forgets a segment that has left the log. */
  forget({ path }: SealedSegment): void {
    this.#known.delete(path);
    this.#missed.delete(path);
  }

  /** Looks at some of the segments, and at those that were missed before. @param sealed all of them, oldest first */
  look(sealed: readonly SealedSegment[]): readonly SealedFault[] {
    if (this.#next >= sealed.length) this.#next = 0;
    const due = sealed.slice(this.#next, this.#next + MOST_LOOKED_AT);
    this.#next += MOST_LOOKED_AT;
    const others =
      this.#missed.size === 0 ? [] : sealed.filter((one) => this.#missed.has(one.path) && !due.includes(one));
    return [...due, ...others].flatMap((segment) => {
      const what = this.#fault(segment);
      return what === undefined ? [] : [{ segment, what }];
    });
  }

  #fault(segment: SealedSegment): SealedFault['what'] | undefined {
    const { path } = segment;
    const found = lstatSync(path, NOT_THERE);
    const known = this.#known.get(path);
    if (found !== undefined) {
      this.#missed.delete(path);
      if (known !== undefined && isSame(found, known)) return undefined;
      this.#known.set(path, found);
      return known === undefined ? undefined : 'replaced';
    }
    const looks = (this.#missed.get(path) ?? 0) + 1;
    this.#missed.set(path, looks);
    if (looks !== LOOKS_UNTIL_MISSING) return undefined;
    return existsSync(archivedPath(path)) ? 'archived' : 'missing';
  }
}

const isSame = (one: FileState, other: FileState): boolean =>
  one.ino === other.ino && one.size === other.size && one.mtimeMs === other.mtimeMs;
