/**
 * What happens to the log before it is written again.
 *
 * The longest valid prefix is taken. Then:
 * - What follows it may be a *torn tail*: the rest of the one batch that was being written when the process or the
 *   machine stopped. It lies behind the last checkpoint and is no longer than a batch. Its bytes are kept aside
 *   (`<log>.torn-<time>`), then cut off. The recorder never leaves a log without a checkpoint, so where there is none
 *   nothing is taken for torn; and a segment is sealed only when the checkpoint has seen all of it.
 * - Anything else that does not verify, and a log that does not reach its checkpoint, is *damage*: never repaired. The
 *   log stays as it is, readable, and is not written.
 * - The tail since the checkpoint is written again in place, byte for byte, and synced: after a failed sync the page
 *   cache may show bytes that the disk does not hold, and a later sync would not write pages that it thinks clean.
 *
 * What lies before the checkpoint was verified when it was written. Where the projections know the log that far, only
 * the rest is read before the service is up (`from`), and the beginning afterwards, in the background.
 */
import { existsSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Clock, timestamp } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { CheckpointWitness, type CheckpointReading, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { replaceFile, syncDirectoryOf } from './durable-file.ts';
import type { Head } from './entry.ts';
import { findResumePoint, type ResumePoint } from './resume-point.ts';
import { findSealed, type SealedSegment } from './segments.ts';
import { type Damage, type OnEntries, walkFile, type Walked, walkFiles } from './verify-chain.ts';

/** The most bytes that are written and synced as one batch, and so the most that a crash can tear. */
export const MAX_BATCH_BYTES = 1024 * 1024;

export interface Repair {
  /** The name of the file that holds the bytes that were cut off. */
  readonly keptAs: string;
  readonly bytes: number;
}

export interface Recovered {
  /** What the next entry follows. */
  readonly head: Head;
  /** `seq` of the first entry of the file at the log's path, or what it would be. */
  readonly first: number;
  /** The length of the valid part of that file in bytes. */
  readonly size: number;
  readonly sealed: readonly SealedSegment[];
  readonly repair?: Repair;
  /** Set when the log must not be written. */
  readonly damage?: Damage;
  /** Whether the log was begun just now, stood beside its checkpoint, or stood without one. */
  readonly beside: 'nothing' | 'checkpoint' | 'no checkpoint';
  /** How many entries have not been read, because the projections know them. */
  readonly unread: number;
}

export interface RecoveryParts {
  readonly path: string;
  readonly hash: ChainHash;
  readonly clock: Clock;
  /** Takes every valid entry that is read, in order. */
  readonly onEntries: OnEntries;
  /** How far the projections know the log; nothing behind that is passed over. */
  readonly known?: ResumePoint;
}

/**
 * Reads the log and makes it ready to be appended to. Creates it, with its checkpoint, when neither is there.
 */
export async function recoverLog({ path, hash, clock, onEntries, known }: RecoveryParts): Promise<Recovered> {
  const checkpoint = await readCheckpoint(path, hash);
  const sealed = await findSealed(path);
  const beside = checkpoint.head === undefined && checkpoint.fault === undefined ? 'no checkpoint' : 'checkpoint';
  if (!existsSync(path)) return withoutFile(path, hash, checkpoint, sealed, onEntries);

  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const witness = new CheckpointWitness(checkpoint);
    const see: OnEntries = (entries) => {
      witness.see(entries);
      return onEntries(entries);
    };
    const place = await findResumePoint(file, size, known, checkpoint.head);
    const walked =
      place === undefined
        ? await walkFiles([...sealed, { path }], hash, see)
        : await walkFile(file, basename(path), hash, place, size, see);
    const { head, first, end } = walked;
    const unread = place?.head.entries ?? 0;
    const damage = damageOf(path, walked, witness, beside === 'checkpoint' && size - end <= MAX_BATCH_BYTES);
    if (damage !== undefined) return { head, first, size: end, sealed, damage, beside, unread };

    let repair: Repair | undefined;
    try {
      if (walked.damage !== undefined) repair = await cutOff(path, file, end, size, clock);
    } catch (error) {
      // Nothing was cut off. Until there is room the log can be read.
      const reason = `a torn tail could not be kept aside (${(error as Error).message}): make room and start again`;
      return { head, first, size: end, sealed, damage: { ...walked.damage!, reason }, beside, unread };
    }
    await writeAgain(file, tailOf(walked, checkpoint, witness), end);
    // Should there be no room for it now, the checkpoint stays behind, as it may.
    if (checkpoint.head?.entries !== head.entries) await writeCheckpoint(path, head, hash).catch(() => {});
    const recovered = { head, first, size: end, sealed, beside, unread } as const;
    return repair === undefined ? recovered : { ...recovered, repair };
  } finally {
    await file.close();
  }
}

function damageOf(path: string, walked: Walked, witness: CheckpointWitness, mayBeTorn: boolean): Damage | undefined {
  const name = basename(path);
  // In a sealed segment, and in front of a file, nothing can be torn.
  const torn = mayBeTorn && walked.damage?.file === name && walked.damage.offset === walked.end;
  return witness.verdict(name, walked) ?? (torn ? undefined : walked.damage);
}

/** Where the part of the file begins that the checkpoint has not seen, in bytes. */
function tailOf({ first }: Walked, { head }: CheckpointReading, witness: CheckpointWitness): number {
  return head === undefined || head.entries < first ? 0 : witness.end;
}

/** There is nothing at the log's path: it has not begun, it was just sealed, or it was taken away. */
async function withoutFile(
  path: string,
  hash: ChainHash,
  checkpoint: CheckpointReading,
  sealed: readonly SealedSegment[],
  onEntries: OnEntries,
): Promise<Recovered> {
  const witness = new CheckpointWitness(checkpoint);
  const walked = await walkFiles(sealed, hash, (entries) => {
    witness.see(entries);
    return onEntries(entries);
  });
  const { head } = walked;
  const counted = checkpoint.head?.entries ?? 0;
  const gone = head.entries < counted ? `the log is gone, its checkpoint counts ${counted} entries` : undefined;
  const damage =
    walked.damage ??
    (gone === undefined
      ? witness.verdict(basename(path), walked)
      : { file: basename(path), line: 1, offset: 0, reason: gone });
  const recovered = { head, first: head.entries + 1, size: 0, sealed, unread: 0 } as const;
  if (damage !== undefined) return { ...recovered, damage, beside: 'checkpoint' };
  await createLog(path, head, hash);
  return { ...recovered, beside: sealed.length === 0 ? 'nothing' : 'checkpoint' };
}

/** The checkpoint comes first: a log without one was not begun by the recorder. */
async function createLog(path: string, head: Head, hash: ChainHash): Promise<void> {
  await writeCheckpoint(path, head, hash);
  await rm(nextPath(path), { force: true });
  const file = await open(path, 'ax', 0o640);
  await file.close();
  await syncDirectoryOf(path);
}

/** The name of the file in which a log goes on until the file before it is sealed. */
export const nextPath = (path: string): string => `${path}.next`;

async function cutOff(path: string, file: FileHandle, end: number, size: number, clock: Clock): Promise<Repair> {
  const torn = Buffer.alloc(size - end);
  await readFully(file, torn, end);
  const aside = `${path}.torn-${timestamp(clock.now()).replaceAll(/[-:.]/g, '')}`;
  await replaceFile(aside, torn);
  await file.truncate(end);
  await file.datasync();
  return { keptAs: basename(aside), bytes: torn.length };
}

async function writeAgain(file: FileHandle, from: number, to: number): Promise<void> {
  const window = Buffer.allocUnsafe(Math.min(MAX_BATCH_BYTES, to - from));
  for (let position = from; position < to;) {
    const part = window.subarray(0, Math.min(window.length, to - position));
    await readFully(file, part, position);
    for (let done = 0; done < part.length;) {
      done += (await file.write(part, done, part.length - done, position + done)).bytesWritten;
    }
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
