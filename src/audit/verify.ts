/** Verifies a log that nobody needs to be writing: its chain from the first entry, and that it reaches its checkpoint. */
import type { ChainHash } from './chain-hash.ts';
import { CheckpointWitness, readCheckpoint } from './checkpoint.ts';
import { type Damage, walkLogAt } from './walk.ts';

export interface Verification {
  /** How many entries are valid, from the first on. */
  readonly entries: number;
  /** `timestamp` of the first and the last of them. */
  readonly first?: string;
  readonly last?: string;
  /** `entry_hash` of the last of them. */
  readonly hash: string;
  readonly bytes: number;
  /** How many entries the checkpoint counts, when there is one. */
  readonly checkpoint?: number;
  readonly damage?: Damage;
}

/** Streams through the log at `path`; its size does not matter. */
export async function verifyLog(path: string, hash: ChainHash): Promise<Verification> {
  const checkpoint = await readCheckpoint(path, hash);
  const witness = new CheckpointWitness(checkpoint);
  let first: string | undefined;
  let last: string | undefined;
  const walked = await walkLogAt(path, hash, (entries) => {
    witness.see(entries);
    first ??= entries[0]?.timestamp;
    last = entries.at(-1)?.timestamp;
  });
  const { head, end } = walked;
  const damage = walked.damage ?? witness.verdict(walked);
  return {
    entries: head.entries,
    hash: head.hash,
    bytes: end,
    ...(first === undefined || last === undefined ? {} : { first, last }),
    ...(checkpoint.head === undefined ? {} : { checkpoint: checkpoint.head.entries }),
    ...(damage === undefined ? {} : { damage }),
  };
}
