/**
 * The checkpoint: a small signed file next to the log that says how far the log was known to reach. A shorter log has
 * lost entries, which the chain alone cannot show. The checkpoint follows the log, so after a crash it may be behind
 * it, never ahead.
 */
import { lstatSync } from 'node:fs';
import { SECOND } from '../clock.ts';
import type { ChainHash } from './chain-hash.ts';
import { replaceFile } from '../durable-file.ts';
import { EMPTY_HEAD, type Head } from './entry.ts';
import { entriesIn } from './findings.ts';
import { keep } from './kept-copies.ts';
import { readSmallFile } from './small-file.ts';
import type { PostureSigner } from './signed-posture.ts';
import type { Damage, ValidPrefix } from './verify-chain.ts';
import type { LogLostData, StoredEntry } from '../domain/entries.ts';

export const checkpointPath = (logPath: string): string => `${logPath}.checkpoint`;

const signedText = ({ entries, hash }: Head): string => `{"entries":${entries},"last_hash":"${hash}"}`;

/** How long after an append the checkpoint is written: many appends share one. */
const CHECKPOINT_DELAY = 1 * SECOND;

/** Replaces the checkpoint of a log, durably. */
export async function writeCheckpoint(logPath: string, head: Head, hash: ChainHash): Promise<void> {
  const text = `{"entries":${head.entries},"last_hash":"${head.hash}","hmac":"${hash.digest(signedText(head))}"}\n`;
  await replaceFile(checkpointPath(logPath), text);
}

/** What was read: a checkpoint (`head`), no file (neither field), or a file that is not a checkpoint (`fault`). */
export interface CheckpointReading {
  readonly head?: Head;
  /** Why the file is not a checkpoint that the recorder wrote. */
  readonly fault?: string;
}

/**
 * Reads the checkpoint of a log.
 * @throws the file system's error, unless the file does not exist
 */
export function readCheckpoint(logPath: string, hash: ChainHash): CheckpointReading {
  const path = checkpointPath(logPath);
  const text = readSmallFile(path);
  if (text === undefined) return {};
  const [, entries, last, hmac] = CHECKPOINT.exec(text) ?? [];
  if (entries === undefined || last === undefined) return { fault: `${path} is not spelt as the recorder writes it` };
  const head: Head = { entries: Number(entries), hash: last };
  if (hash.digest(signedText(head)) !== hmac) return { fault: `${path} has a wrong hmac: edited, or ${hash.otherKey}` };
  return { head };
}

const CHECKPOINT = /^\{"entries":(\d{1,15}),"last_hash":"([0-9a-f]{64}|)","hmac":"([0-9a-f]{64})"\}\n?$/;

/** Compares a log with its checkpoint, while the log's entries are verified in their order. */
export class CheckpointComparison {
  readonly #checkpoint: Head;
  readonly #fault: string | undefined;
  #agrees: boolean;
  #end = 0;

  constructor({ head = EMPTY_HEAD, fault }: CheckpointReading) {
    this.#checkpoint = head;
    this.#fault = fault;
    this.#agrees = head.entries === 0;
  }

  /** The offset in bytes after the last entry that the checkpoint counts. 0 until that entry was taken. */
  get end(): number {
    return this.#end;
  }

  /** Takes the next valid entries of the log. */
  take(entries: readonly StoredEntry[]): void {
    for (const { event, data, offset } of entries) if (event === 'log.lost') this.#takeLoss(data, offset);
    const entry = entries[this.#checkpoint.entries - (entries[0]?.data.seq ?? 0)];
    if (entry === undefined) return;
    this.#agrees = entry.entry_hash === this.#checkpoint.hash;
    this.#end = entry.offset + entry.length;
  }

  /** After entries were lost, the checkpoint may be one of them: the loss was recorded before it was written again. */
  #takeLoss({ first_seq, last_seq, last_hash }: LogLostData, offset: number): void {
    const { entries, hash } = this.#checkpoint;
    if (entries < first_seq || entries > last_seq) return;
    this.#agrees = entries < last_seq || hash === last_hash;
    this.#end = offset;
  }

  /**
   * Whether the log reaches its checkpoint and agrees with it. Call it after all valid entries were taken.
   * @param file name of the newest file
   * @returns undefined when it does
   */
  damageIn(file: string, { head, end, first, damage }: ValidPrefix): Damage | undefined {
    const { entries } = this.#checkpoint;
    const behind = { file, line: head.entries - first + 2, offset: end, finding: 'checkpoint_altered' } as const;
    if (this.#fault !== undefined) return { ...behind, reason: this.#fault };
    if (head.entries < entries) {
      const lacking = entriesIn(head.entries + 1, entries);
      const reason =
        `the log ends after entry ${head.entries}, its checkpoint counts ${entries}: ${lacking} ${lacking.startsWith('entry') ? 'is' : 'are'} missing. ` +
        'Either entries were cut off, or this is a copy that was made while the recorder ran, the log first and the checkpoint ' +
        'later: the files do not prove which (put back a log that reaches its checkpoint, or see incident-recorder restore --as-is)';
      return damage ?? { ...behind, reason, finding: 'log_cut' };
    }
    if (this.#agrees) return undefined;
    return { ...behind, line: entries - first + 1, reason: `entry ${entries} is another than the checkpoint's` };
  }
}

/** What identifies a file, and shows whether it was changed since. */
interface FileState {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** What became of the checkpoint while the service ran, and the name of the file that keeps what was in its place. */
interface CheckpointFault {
  readonly how: 'removed' | 'replaced';
  readonly keptAs?: string;
}

/** Writes the checkpoint of a growing log: a second after an append, never two at once, and when the log closes. */
export class Checkpointer {
  readonly #logPath: string;
  readonly #hash: ChainHash;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  /** The file as it was written last, or as the start has left it. */
  #written: FileState | undefined;
  readonly #aside: (path: string) => string | undefined;
  readonly #posture: Pick<PostureSigner, 'sign'>;
  #fault: CheckpointFault | undefined;

  /**
   * @param aside gives the path to which a file is moved that is in the place of the one at `path`, if it is kept
   * @param posture is signed together with the checkpoint
   */
  constructor(
    logPath: string,
    hash: ChainHash,
    aside: (path: string) => string | undefined,
    posture: Pick<PostureSigner, 'sign'>,
  ) {
    this.#posture = posture;
    this.#logPath = logPath;
    this.#hash = hash;
    this.#aside = aside;
    this.#written = lstatSync(checkpointPath(logPath), NOT_THERE);
  }

  /**
   * Writes the checkpoint now.
   * @throws when it can't be written; the old one stays
   */
  write(head: Head): Promise<void> {
    const written = this.#running.then(() => this.#write(head));
    this.#running = written.catch(() => {});
    return written;
  }

  /**
   * Looks whether the checkpoint is as it was written, and writes it again when it is not. Never rejects.
   * @param head called when it is written
   * @returns what had become of it since the last look; undefined when it was as it should be
   */
  async look(head: () => Head): Promise<CheckpointFault | undefined> {
    const looked = this.#running.then(async () => {
      if (!this.#isInPlace()) await this.#write(head());
    });
    this.#running = looked.catch(() => {});
    await this.#running;
    const fault = this.#fault;
    this.#fault = undefined;
    return fault;
  }

  /** Schedules a checkpoint because the log has grown. `head` is called when it is written. */
  schedule(head: () => Head): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#running.then(() => this.#tryToWrite(head()));
    }, CHECKPOINT_DELAY).unref();
  }

  /** Writes the last checkpoint and stops. */
  async close(head: Head): Promise<void> {
    clearTimeout(this.#timer);
    await this.#running;
    await this.#tryToWrite(head);
  }

  /** Ignores an error: a checkpoint may be behind its log, and the next one catches up. */
  async #tryToWrite(head: Head): Promise<void> {
    await this.#write(head).catch(() => {});
  }

  async #write(head: Head): Promise<void> {
    // What became of the file must be noticed before it is written again.
    const isInPlace = this.#isInPlace();
    if (!isInPlace) this.#takeNote();
    // In this turn: later the posture may be that after further entries.
    const signed = this.#posture.sign(head)?.catch(() => {});
    try {
      await writeCheckpoint(this.#logPath, head, this.#hash);
    } catch (error) {
      // It may be in its place all the same, when only the sync of the directory failed: nobody has replaced it.
      if (isInPlace) this.#remember();
      throw error;
    }
    this.#remember();
    await signed;
  }

  #remember(): void {
    this.#written = lstatSync(checkpointPath(this.#logPath), NOT_THERE);
  }

  #isInPlace(): boolean {
    const file = lstatSync(checkpointPath(this.#logPath), NOT_THERE);
    return file !== undefined && this.#written !== undefined && isSame(file, this.#written);
  }

  /** Notes what became of the file, and keeps what is in its place. */
  #takeNote(): void {
    // Without room the start may have written none.
    if (this.#written === undefined) return;
    const path = checkpointPath(this.#logPath);
    if (lstatSync(path, NOT_THERE) === undefined) {
      this.#fault ??= { how: 'removed' };
      return;
    }
    const keptAs = keep(path, this.#aside(path));
    this.#fault = { how: 'replaced', ...(keptAs === undefined ? {} : { keptAs }) };
  }
}

const NOT_THERE = { throwIfNoEntry: false } as const;

const isSame = (one: FileState, other: FileState): boolean =>
  one.ino === other.ino && one.size === other.size && one.mtimeMs === other.mtimeMs;
