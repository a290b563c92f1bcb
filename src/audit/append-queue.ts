/** The queue in front of the log: appends wait here until their batch is taken. */
import { RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { chainEntry, type Head, MAX_ENTRY_BYTES } from './entry.ts';
import { MAX_BATCH_BYTES } from './recovery.ts';
import type { Draft, StoredEntry } from '../domain/entries.ts';

/** The most entries that may wait for their batch; beyond it appends are refused as overload. */
const MAX_WAITING = 2048;

export interface Append {
  readonly drafts: readonly Draft[];
  /** When it was asked for, on the monotonic clock. */
  readonly since: number;
  readonly fulfil: (entries: readonly StoredEntry[]) => void;
  readonly refuse: (error: RecorderError) => void;
}

/** Appends that are written and synced together. */
export interface Batch {
  readonly appends: readonly Append[];
  readonly entries: readonly StoredEntry[];
  readonly bytes: Buffer;
  /** What follows the batch comes behind this. */
  readonly head: Head;
}

export class AppendQueue {
  #appends: Append[] = [];
  #entries = 0;

  /** How many entries wait. */
  get entries(): number {
    return this.#entries;
  }

  get none(): boolean {
    return this.#appends.length === 0;
  }

  /**
   * Lets drafts that belong together wait; fulfilled with their entries when these are on disk.
   * @throws RecorderError `overloaded` when too many wait already
   */
  add(drafts: readonly Draft[], since: number): Promise<readonly StoredEntry[]> {
    if (this.#entries + drafts.length > MAX_WAITING) {
      return Promise.reject(new RecorderError('overloaded', 'too many entries wait to be written; try again'));
    }
    return new Promise((fulfil, refuse) => {
      this.#appends.push({ drafts, since, fulfil, refuse });
      this.#entries += drafts.length;
    });
  }

  /**
   * Takes appends from the front up to the size of a batch and chains their entries behind `from`, the first of them at
   * `offset` in the file, in bytes. An append with an entry that is too long is refused here.
   */
  nextBatch(from: Head, offset: number, hash: ChainHash): Batch | undefined {
    const lines: Buffer[] = [];
    const entries: StoredEntry[] = [];
    const appends: Append[] = [];
    let head = from;
    let size = 0;
    while (this.#appends.length > 0) {
      const append = this.#appends[0]!;
      const chained = chainAll(append.drafts, head, offset + size, hash);
      const fits = chained.entries.every(({ length }) => length <= MAX_ENTRY_BYTES);
      if (fits && size > 0 && size + chained.bytes > MAX_BATCH_BYTES) break;
      this.#appends.shift();
      this.#entries -= append.drafts.length;
      if (!fits) {
        append.refuse(new RecorderError('too_large', `the entry would be longer than ${MAX_ENTRY_BYTES} bytes`));
        continue;
      }
      appends.push(append);
      lines.push(...chained.lines);
      entries.push(...chained.entries);
      head = chained.head;
      size += chained.bytes;
    }
    return appends.length === 0 ? undefined : { appends, entries, bytes: Buffer.concat(lines, size), head };
  }

  /** Takes all that wait, to be refused. */
  takeAll(): readonly Append[] {
    const taken = this.#appends;
    this.#appends = [];
    this.#entries = 0;
    return taken;
  }
}

function chainAll(drafts: readonly Draft[], from: Head, offset: number, hash: ChainHash) {
  const lines: Buffer[] = [];
  const entries: StoredEntry[] = [];
  let head = from;
  let bytes = 0;
  for (const draft of drafts) {
    const { entry, line } = chainEntry(draft, head, hash);
    const written = Buffer.from(line);
    const { length } = written;
    lines.push(written);
    entries.push({ ...entry, offset: offset + bytes, length });
    head = { entries: entry.data.seq, hash: entry.entry_hash };
    bytes += length;
  }
  return { lines, entries, head, bytes };
}
