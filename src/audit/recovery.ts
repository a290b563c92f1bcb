/**
 * What happens to the log before it is written again.
 *
 * The longest valid prefix is taken. Then:
 * - What follows it may be a *torn tail*: the rest of the one batch that was being written when the process or the
 *   machine stopped. It lies behind the last checkpoint and is no longer than a batch. Its bytes are kept aside
 *   (`<log>.torn-<time>`), then cut off. The recorder never leaves a log without a checkpoint, so where there is none
 *   nothing is taken for torn.
 * - Anything else that does not verify, and a log that does not reach its checkpoint, is *damage*: never repaired. The
 *   log stays as it is, readable, and is not written.
 * - The tail since the checkpoint is written again in place, byte for byte, and synced: after a failed sync the page
 *   cache may show bytes that the disk does not hold, and a later sync would not write pages that it thinks clean.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Clock, timestamp } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { CheckpointWitness, readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { replaceFile, syncDirectoryOf } from './durable-file.ts';
import { EMPTY_HEAD, type Head, type StoredEntry } from './entry.ts';
import { type Damage, walkLog } from './walk.ts';

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
  /** The length of the valid log in bytes. */
  readonly size: number;
  readonly repair?: Repair;
  /** Set when the log must not be written. */
  readonly damage?: Damage;
  /** Whether the log was begun just now, stood beside its checkpoint, or stood without one. */
  readonly beside: 'nothing' | 'checkpoint' | 'no checkpoint';
}

/**
 * Reads the log from its beginning, hands every valid entry to `onEntries` in order, and makes it ready to be appended
 * to. Creates it, with its checkpoint, when neither is there.
 */
export async function recoverLog(
  path: string,
  hash: ChainHash,
  clock: Clock,
  onEntries: (entries: readonly StoredEntry[]) => void | Promise<void>,
): Promise<Recovered> {
  const checkpoint = await readCheckpoint(path, hash);
  const file = await openExisting(path);
  if (file === undefined) {
    const counted = checkpoint.head?.entries ?? 0;
    if (checkpoint.fault === undefined && counted === 0) {
      await createLog(path, hash);
      return { head: EMPTY_HEAD, size: 0, beside: 'nothing' };
    }
    const reason = checkpoint.fault ?? `the log is gone, its checkpoint counts ${counted} entries`;
    return { head: EMPTY_HEAD, size: 0, damage: { line: 1, offset: 0, reason }, beside: 'checkpoint' };
  }
  try {
    const { size } = await file.stat();
    const beside = checkpoint.head === undefined && checkpoint.fault === undefined ? 'no checkpoint' : 'checkpoint';
    const witness = new CheckpointWitness(checkpoint);
    const walked = await walkLog(file, hash, size, (entries) => {
      witness.see(entries);
      return onEntries(entries);
    });
    const { head, end } = walked;
    const torn = beside === 'checkpoint' && size - end <= MAX_BATCH_BYTES;
    const damage = witness.verdict(walked) ?? (torn ? undefined : walked.damage);
    if (damage !== undefined) return { head, size: end, damage, beside };

    const repair = walked.damage === undefined ? undefined : await cutOff(path, file, end, size, clock);
    await writeAgain(file, witness.end, end);
    return repair === undefined ? { head, size: end, beside } : { head, size: end, repair, beside };
  } finally {
    await file.close();
  }
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The checkpoint comes first: a log without one was not begun by the recorder. */
async function createLog(path: string, hash: ChainHash): Promise<void> {
  await writeCheckpoint(path, EMPTY_HEAD, hash);
  const file = await open(path, 'ax', 0o640);
  await file.close();
  await syncDirectoryOf(path);
}

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
  for (let position = from; position < to; ) {
    const part = window.subarray(0, Math.min(window.length, to - position));
    await readFully(file, part, position);
    for (let done = 0; done < part.length; ) {
      done += (await file.write(part, done, part.length - done, position + done)).bytesWritten;
    }
    position += part.length;
  }
  if (to > from) await file.datasync();
}

async function readFully(file: FileHandle, into: Buffer, position: number): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw new RecorderError('damaged_log', 'the log became shorter while it was read');
    done += bytesRead;
  }
}
