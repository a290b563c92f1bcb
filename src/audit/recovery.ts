/**
 * Prepares the log at start, before it is written again.
 *
 * The longest valid prefix is taken. Then:
 * - What follows it may be a *torn tail*: part of the one batch that was being written when the process or the machine
 *   stopped. A torn tail is behind the last checkpoint and at most one batch long. Its bytes are kept aside
 *   (`<log>.torn-<time>`) and cut off. The recorder never leaves a log without a checkpoint, so without one nothing
 *   counts as torn. And a segment is sealed only when the checkpoint covers all of it, so only the newest file can be
 *   torn.
 * - Everything else that does not verify, and a log that does not reach its checkpoint, is *damage*. Damage is never
 *   repaired: the log stays as it is, readable, and is not written.
 * - The tail since the checkpoint is written again in place, byte for byte, and synced. After a failed sync the page
 *   cache may show bytes that the disk does not hold, and a later sync would skip pages that the kernel believes clean.
 *
 * What is before the checkpoint was verified when it was written. When the projections know the log that far, only the
 * rest is read before the service starts; the beginning is verified later, in the background.
 */
import { existsSync } from 'node:fs';
import { type FileHandle, open, rm } from '../async-files.ts';
import { basename } from 'node:path';
import { type Clock, timestamp } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { CheckpointComparison, type CheckpointReading, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { replaceFile, syncDirectoryOf, writeAll } from '../durable-file.ts';
import type { Head } from './entry.ts';
import type { Finding } from './findings.ts';
import { refuseNewer, requireKnownFormat } from './log-format.ts';
import { findCheckpoint, findResumePoint, type KnownUpTo } from './resume-point.ts';
import { findSealed, type SealedSegment } from './segments.ts';
import {
  type Damage,
  findingOf,
  type MissingEntries,
  type OnEntries,
  type ValidPrefix,
  verifyChain,
  verifyChainIn,
} from './verify-chain.ts';

/** The greatest size of a batch in bytes, and so the most that a crash can tear. */
export const MAX_BATCH_BYTES = 1024 * 1024;

export interface Repair {
  /** The name of the file with the bytes that were cut off. */
  readonly keptAs: string;
  readonly bytes: number;
}

export interface Recovered {
  readonly head: Head;
  /** `seq` of the first entry of the file at the log's path; when that is empty, of the entry it will begin with. */
  readonly first: number;
  /** The length of the valid part of that file in bytes. */
  readonly size: number;
  readonly sealed: readonly SealedSegment[];
  readonly repair?: Repair;
  /** Set when the log must not be written. */
  readonly damage?: Damage;
  /** What is missing; the log can be written all the same. */
  readonly missing: readonly MissingEntries[];
  /** Whether a checkpoint was read and agrees with the log; `new` when the log has just begun. */
  readonly checkpoint: 'new' | 'present' | 'absent';
  /** How many entries were not read, because the projections know them. */
  readonly unread: number;
}

export interface RecoveryOptions {
  readonly path: string;
  /** The path of the log in the directory of its checkpoint; by default they are in one. */
  readonly beside?: string;
  readonly hash: ChainHash;
  readonly clock: Clock;
  /** Gets every valid entry that is read, in order. */
  readonly onEntries: OnEntries;
  /**
   * How far the projections know the log: every entry after that is read. `checkpoint`: where that is in the newest
   * file, only what follows it is read.
   */
  readonly known?: KnownUpTo | 'checkpoint';
  /** The last entry that the projections have applied: it was synced, so that no crash has torn it. */
  readonly applied?: number;
}

/**
 * Reads the log and prepares it for appends. Creates log and checkpoint when neither exists.
 * @throws RecorderError `config` when a newer version of the recorder has written the log, which is left as it is; whatever
 *   reading and writing the files throws; damage is part of the result
 */
export async function recoverLog({
  path,
  beside = path,
  hash,
  clock,
  onEntries,
  known,
  applied = 0,
}: RecoveryOptions): Promise<Recovered> {
  const checkpoint = readCheckpoint(beside, hash);
  const sealed = await findSealed(path);
  const found = checkpoint.head === undefined && checkpoint.fault === undefined ? 'absent' : 'present';
  if (!existsSync(path)) return recoverWithoutFile(path, beside, hash, checkpoint, sealed, onEntries);

  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const comparison = new CheckpointComparison(checkpoint);
    const take: OnEntries = (entries) => {
      comparison.take(entries);
      return onEntries(entries);
    };
    const resume =
      known === 'checkpoint'
        ? await findCheckpoint(file, size, checkpoint.head)
        : await findResumePoint(file, size, known, checkpoint.head);
    // A file with the name of a segment that is ahead of the newest file is none of the log's. To read everything shows that.
    const isForeign =
      resume !== undefined && sealed.some(({ first }) => first >= resume.head.entries - resume.line + 2);
    const place = isForeign ? undefined : resume;
    // Most of the log is read while the service works already.
    if (known === 'checkpoint') await requireKnownFormat([...sealed, { path }], hash);
    const prefix =
      place === undefined
        ? await verifyChain([...sealed, { path }], hash, take)
        : await verifyChainIn(file, basename(path), hash, place, size, take);
    if (prefix.damage?.newer) throw await refuseNewer([...sealed, { path }], hash, prefix.damage);
    const { head, first, end } = prefix;
    const unread = place?.head.entries ?? 0;
    const missing = prefix.missing.filter(({ lost }) => !lost);
    const mayBeTorn = found === 'present' && size - end <= MAX_BATCH_BYTES && applied <= head.entries;
    const damage = damageOf(path, prefix, comparison, mayBeTorn);
    const read = { head, first, size: end, sealed, missing, checkpoint: found, unread } as const;
    if (damage !== undefined) return { ...read, damage };

    let repair: Repair | undefined;
    try {
      if (prefix.damage !== undefined) repair = await cutOff(path, file, end, size, clock);
    } catch (error) {
      // Nothing was cut off. The log stays readable until there is room.
      const reason = `a torn tail could not be kept aside (${(error as Error).message}): make room and start again`;
      return { ...read, damage: { ...prefix.damage!, reason } };
    }
    await writeAgain(file, tailOf(prefix, checkpoint, comparison), end);
    // A checkpoint may be behind its log, so this may fail for lack of room.
    if (checkpoint.head?.entries !== head.entries) await writeCheckpoint(beside, head, hash).catch(() => {});
    return repair === undefined ? read : { ...read, repair };
  } finally {
    await file.close();
  }
}

function damageOf(
  path: string,
  prefix: ValidPrefix,
  comparison: CheckpointComparison,
  mayBeTorn: boolean,
): Damage | undefined {
  const name = basename(path);
  // Only the newest file can be torn, and only at its end: not a sealed segment, and not a gap before a file.
  const torn = mayBeTorn && prefix.damage?.file === name && prefix.damage.offset === prefix.end;
  return comparison.damageIn(name, prefix) ?? (torn ? undefined : prefix.damage);
}

/** Where the part of the file begins that the checkpoint does not cover, in bytes. */
function tailOf({ first }: ValidPrefix, { head }: CheckpointReading, comparison: CheckpointComparison): number {
  return head === undefined || head.entries < first ? 0 : comparison.end;
}

/** Recovers a log without a file at its path: the log is new, the file was just sealed, or somebody removed it. */
async function recoverWithoutFile(
  path: string,
  beside: string,
  hash: ChainHash,
  checkpoint: CheckpointReading,
  sealed: readonly SealedSegment[],
  onEntries: OnEntries,
): Promise<Recovered> {
  const comparison = new CheckpointComparison(checkpoint);
  const prefix = await verifyChain(sealed, hash, (entries) => {
    comparison.take(entries);
    return onEntries(entries);
  });
  if (prefix.damage?.newer) throw await refuseNewer(sealed, hash, prefix.damage);
  const { head } = prefix;
  const counted = checkpoint.head?.entries ?? 0;
  const gone = head.entries < counted ? `the log is gone, its checkpoint counts ${counted} entries` : undefined;
  const damage =
    prefix.damage ??
    (gone === undefined
      ? comparison.damageIn(basename(path), prefix)
      : { file: basename(path), line: 1, offset: 0, reason: gone, finding: 'log_cut' as const });
  const missing = prefix.missing.filter(({ lost }) => !lost);
  const recovered = { head, first: head.entries + 1, size: 0, sealed, missing, unread: 0 } as const;
  const hadCheckpoint = checkpoint.head !== undefined || checkpoint.fault !== undefined;
  if (damage !== undefined) return { ...recovered, damage, checkpoint: hadCheckpoint ? 'present' : 'absent' };
  await createLog(path, beside, head, hash);
  return { ...recovered, checkpoint: hadCheckpoint ? 'present' : sealed.length === 0 ? 'new' : 'absent' };
}

/** What the start has found missing. Damage is no finding of this kind: nothing can be written then. */
export function findingsIn({ checkpoint, missing, head, damage }: Recovered): readonly Finding[] {
  if (damage !== undefined) return [];
  const detail = `the log had no checkpoint at start: it ends after entry ${head.entries}, and entries cut off its end would not show`;
  return [
    ...(checkpoint === 'absent' ? [{ name: 'checkpoint_missing', detail } as const] : []),
    ...missing.map(findingOf),
  ];
}

/** Writes the checkpoint first: the recorder never leaves a log without one. */
async function createLog(path: string, beside: string, head: Head, hash: ChainHash): Promise<void> {
  await writeCheckpoint(beside, head, hash);
  await rm(nextPath(path), { force: true });
  const file = await open(path, 'ax', 0o640);
  await file.close();
  await syncDirectoryOf(path);
}

/** The path of the file in which the log continues, until it takes the place of the file that is being sealed. */
export const nextPath = (path: string): string => `${path}.next`;

/** Moves the bytes from `end` to `size` into a file of their own. */
async function cutOff(path: string, file: FileHandle, end: number, size: number, clock: Clock): Promise<Repair> {
  const torn = Buffer.alloc(size - end);
  await readFully(file, torn, end);
  const aside = `${path}.torn-${timestamp(clock.now()).replaceAll(/[-:.]/g, '')}`;
  await replaceFile(aside, torn);
  await file.truncate(end);
  await file.datasync();
  return { keptAs: basename(aside), bytes: torn.length };
}

/** Writes the bytes between two offsets again, in place, and syncs them. */
async function writeAgain(file: FileHandle, from: number, to: number): Promise<void> {
  const window = Buffer.allocUnsafe(Math.min(MAX_BATCH_BYTES, to - from));
  for (let position = from; position < to;) {
    const part = window.subarray(0, Math.min(window.length, to - position));
    await readFully(file, part, position);
    await writeAll(file.fd, part, position);
    position += part.length;
  }
  if (to > from) await file.datasync();
}

async function readFully(file: FileHandle, into: Buffer, position: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw new RecorderError('damaged_log', 'the log became shorter while it was read');
    done += bytesRead;
  }
}
