/** Verifies a log offline: its chain from the first entry, and that it reaches its checkpoint and an anchor. */
import { basename } from 'node:path';
import type { ChainHash } from './chain-hash.ts';
import { CheckpointWitness, readCheckpoint } from './checkpoint.ts';
import type { Head } from './entry.ts';
import { findSealed } from './segments.ts';
import { type Damage, walkFiles } from './verify-chain.ts';

export interface Verification {
  /** `seq` of the last valid entry. */
  readonly entries: number;
  /** `timestamp` of the first and the last valid entry. */
  readonly first?: string;
  readonly last?: string;
  /** `entry_hash` of the last of them. */
  readonly hash: string;
  /** How many files and bytes were read. */
  readonly files: number;
  readonly bytes: number;
  /** How many entries the checkpoint counts, when there is one. */
  readonly checkpoint?: number;
  readonly damage?: Damage;
}

export interface VerifyOptions {
  /** A head of this log that was noted elsewhere: a log that was rolled back together with its checkpoint lacks it. */
  readonly anchor?: Head;
  /** Told how many bytes of valid entries have been read so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** The files of the log at `path`, the oldest first. */
export const filesOf = async (path: string): Promise<readonly string[]> => [
  ...(await findSealed(path)).map((segment) => segment.path),
  path,
];

/** Verifies the log at `path` with all its segments. */
export const verifyLog = async (path: string, hash: ChainHash, options?: VerifyOptions): Promise<Verification> =>
  verifyFiles(await filesOf(path), hash, options);

/** Streams through the files of a log, the oldest first; their size does not matter. */
export async function verifyFiles(
  files: readonly string[],
  hash: ChainHash,
  { anchor, onProgress = () => {} }: VerifyOptions = {},
): Promise<Verification> {
  const active = files.at(-1) ?? '';
  const checkpoint = await readCheckpoint(active, hash);
  const witness = new CheckpointWitness(checkpoint);
  let first: string | undefined;
  let last: string | undefined;
  let bytes = 0;
  let anchored: string | undefined;
  const walked = await walkFiles(
    files.map((path) => ({ path })),
    hash,
    (entries) => {
      witness.see(entries);
      first ??= entries[0]?.timestamp;
      last = entries.at(-1)?.timestamp;
      anchored ??= entries.find(({ data }) => data.seq === anchor?.entries)?.entry_hash;
      for (const { length } of entries) bytes += length;
      onProgress(bytes);
    },
  );
  const { head, end } = walked;
  const place = { file: basename(active), line: head.entries - walked.first + 2, offset: end };
  const damage =
    walked.damage ??
    witness.verdict(basename(active), walked) ??
    (anchor === undefined || anchored === anchor.hash
      ? undefined
      : { ...place, reason: anchored === undefined ? outOfReach(anchor, head) : anotherEntry(anchor) });
  return {
    entries: head.entries,
    hash: head.hash,
    files: files.length,
    bytes,
    ...(first === undefined || last === undefined ? {} : { first, last }),
    ...(checkpoint.head === undefined ? {} : { checkpoint: checkpoint.head.entries }),
    ...(damage === undefined ? {} : { damage }),
  };
}

const outOfReach = (anchor: Head, head: Head): string =>
  anchor.entries > head.entries
    ? `the log ends after entry ${head.entries}, the anchor is entry ${anchor.entries}: the log was rolled back`
    : `the anchor, entry ${anchor.entries}, is not in these files`;

const anotherEntry = (anchor: Head): string => `entry ${anchor.entries} is another than the anchor's`;
