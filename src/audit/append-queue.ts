/** The queue of the log: appends wait here until they become part of a batch. */
import { RecorderError } from '../errors.ts';
import type { ChainHash } from './chain-hash.ts';
import { chainEntry, type Head, MAX_ENTRY_BYTES } from './entry.ts';
import { MAX_BATCH_BYTES } from './recovery.ts';
import type { Draft, StoredEntry } from '../domain/entries.ts';

/**
 * How many appends may wait. More are refused as overload. A report that waits keeps some 20 KiB, and each connection
 * several of them; all must fit in the memory of a hardened host.
 */
const MAX_WAITING = 512;

export interface Append {
  readonly drafts: readonly Draft[];
  /** When `append` was called, by the monotonic clock. */
  readonly since: number;
  readonly fulfil: (entries: readonly StoredEntry[]) => void;
  readonly refuse: (error: RecorderError) => void;
}

/** Appends that are written together and share one sync. */
export interface Batch {
  readonly appends: readonly Append[];
  readonly entries: readonly StoredEntry[];
  /** The lines of the entries. */
  readonly bytes: Buffer;
  /** The end of the chain after the batch. */
  readonly head: Head;
}

export class AppendQueue {
  #appends: Append[] = [];
  #entries = 0;

  /** How many entries wait. */
  get entries(): number {
    return this.#entries;
  }

  get isEmpty(): boolean {
    return this.#appends.length === 0;
  }

  /**
   * Adds drafts that belong together. Resolves with their entries when these are on disk.
   * @param since the time by the monotonic clock
   * @throws RecorderError `overloaded` when too many appends wait already
   */
  add(drafts: readonly Draft[], since: number): Promise<readonly StoredEntry[]> {
    if (this.#appends.length >= MAX_WAITING) {
      return Promise.reject(new RecorderError('overloaded', 'too many entries wait to be written; try again'));
    }
    return new Promise((fulfil, refuse) => {
      this.#appends.push({ drafts, since, fulfil, refuse });
      this.#entries += drafts.length;
    });
  }

  /**
   * Puts appends before all others, whatever the limit: those that were taken from it already, and what the log itself
   * records.
   */
  putFirst(appends: readonly Append[]): void {
    this.#appends.unshift(...appends);
    for (const { drafts } of appends) this.#entries += drafts.length;
  }

  /**
   * Takes appends from the front, up to the size of a batch, and chains their entries. Refuses an append with an entry
   * that is too long.
   * @param from the end of the chain so far
   * @param offset where in the file the batch will be written, in bytes
   * @returns undefined when no append is left for the batch
   */
  nextBatch(from: Head, offset: number, hash: ChainHash): Batch | undefined {
    const lines: string[] = [];
    const entries: StoredEntry[] = [];
    const appends: Append[] = [];
    let head = from;
    let size = 0;
    while (this.#appends.length > 0) {
      const append = this.#appends[0]!;
      const chained = chainAll(append.drafts, head, offset + size, hash);
      // No more than a batch may be torn by a crash.
      const fits = chained.bytes <= MAX_BATCH_BYTES && chained.entries.every(({ length }) => length <= MAX_ENTRY_BYTES);
      if (fits && size > 0 && size + chained.bytes > MAX_BATCH_BYTES) break;
      this.#appends.shift();
      this.#entries -= append.drafts.length;
      if (!fits) {
        append.refuse(tooLarge(append));
        continue;
      }
      appends.push(append);
      lines.push(...chained.lines);
      entries.push(...chained.entries);
      head = chained.head;
      size += chained.bytes;
    }
    return appends.length === 0 ? undefined : { appends, entries, bytes: bytesOf(lines, entries, size), head };
  }

  /** Empties the queue and returns its appends; the caller refuses them. */
  takeAll(): readonly Append[] {
    const taken = this.#appends;
    this.#appends = [];
    this.#entries = 0;
    return taken;
  }
}

/** The lines of entries, so many bytes in all. A line that has as many bytes as characters is ASCII, and only copied. */
function bytesOf(lines: readonly string[], entries: readonly StoredEntry[], size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let offset = 0;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const { length } = entries[at]!;
    bytes.write(line, offset, length, line.length === length ? 'latin1' : 'utf8');
    offset += length;
  }
  return bytes;
}
const tooLarge = ({ drafts: { length } }: Append): RecorderError =>
  new RecorderError(
    'too_large',
    length === 1
      ? `the entry would be longer than ${MAX_ENTRY_BYTES} bytes`
      : `an entry would be longer than ${MAX_ENTRY_BYTES} bytes, or all of them than ${MAX_BATCH_BYTES}`,
  );

function chainAll(drafts: readonly Draft[], from: Head, offset: number, hash: ChainHash) {
  const lines: string[] = [];
  const entries: StoredEntry[] = [];
  let head = from;
  let bytes = 0;
  for (const draft of drafts) {
    const { entry, line, length } = chainEntry(draft, head, hash);
    lines.push(line);
    entries.push(Object.assign(entry, { offset: offset + bytes, length }));
    head = { entries: entry.data.seq, hash: entry.entry_hash };
    bytes += length;
  }
  return { lines, entries, head, bytes };
}
