/** Verifies a part of a log by itself, for several workers at once: what its first entry says it follows is believed. */
import { open } from 'node:fs/promises';
import { rangesOf } from './archived-ranges.ts';
import type { ChainHash } from './chain-hash.ts';
import { EMPTY_HEAD, type Head } from './entry.ts';
import { headBefore, verifyChainIn } from './verify-chain.ts';
import type { ArchivedRange } from '../domain/entries.ts';

/** A stretch of a file of the log, from the beginning of a line on. Offsets are in bytes. */
export interface Stretch {
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

export interface Part {
  readonly stretches: readonly Stretch[];
  /** Whether the log begins with it. */
  readonly isFirst: boolean;
  /** The numbers of the entries whose hashes are asked for. */
  readonly wanted: readonly number[];
}

/** A valid part. */
export interface ValidPart {
  /** The head that its first entry says it follows, and its last. */
  readonly start: Head;
  readonly head: Head;
  /** Entries that are missing between its files. */
  readonly gaps: readonly { readonly after: Head; readonly before: Head }[];
  readonly archived: readonly ArchivedRange[];
  /** `timestamp` of its first and its last entry. */
  readonly first: string | undefined;
  readonly last: string | undefined;
  /** The hashes that were asked for, by number. */
  readonly hashes: ReadonlyMap<number, string>;
}

/** Stands for a head that nobody knows: the entry that follows it says which it is. */
const UNKNOWN: Head = { entries: -1, hash: '' };

/**
 * Verifies a part.
 * @param onProgress called with the number of bytes of the entries that were valid since the last call
 * @returns undefined when there is damage in it, or a `log.lost` entry: then the log has to be verified in one pass
 * @throws whatever reading the files throws
 */
export async function verifyPart(
  { stretches, isFirst, wanted }: Part,
  hash: ChainHash,
  onProgress: (bytes: number) => void,
): Promise<ValidPart | undefined> {
  const gaps: { readonly after: Head; readonly before: Head }[] = [];
  const archived: ArchivedRange[] = [];
  const hashes = new Map<number, string>();
  let [first, last]: [string?, string?] = [];
  let isLost = false;
  let start: Head | undefined;
  let head = isFirst ? EMPTY_HEAD : UNKNOWN;
  for (const [at, { path, from, to }] of stretches.entries()) {
    const file = await open(path, 'r');
    try {
      const before = await headBefore(file, from, to, head);
      if (at > 0 && before !== head) gaps.push({ after: head, before });
      start ??= before;
      const prefix = await verifyChainIn(file, path, hash, { head: before, offset: from, line: 1 }, to, (entries) => {
        let bytes = 0;
        for (const { event, data, length } of entries) {
          bytes += length;
          if (event === 'log.archived') archived.push(...rangesOf(data));
          isLost ||= event === 'log.lost';
        }
        for (const seq of wanted) {
          const found = entries[seq - entries[0]!.data.seq];
          if (found !== undefined) hashes.set(seq, found.entry_hash);
        }
        first ??= entries[0]?.timestamp;
        last = entries.at(-1)?.timestamp;
        onProgress(bytes);
      });
      if (prefix.damage !== undefined || isLost) return undefined;
      ({ head } = prefix);
    } finally {
      await file.close();
    }
  }
  return { start: start ?? head, head, gaps, archived, first, last, hashes };
}
