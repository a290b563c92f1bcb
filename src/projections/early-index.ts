/**
 * What a report has to know of the log before the projections are made: which requests, `dedup_key`s and sources occur.
 *
 * It is read from the raw lines, unverified and without the database, which takes a small part of the time. Requests and
 * keys are kept as bits in a filter of fixed size: one that it does not hold is new for certain. One that it may hold
 * waits for the projections, which is right for all that occur and costs a few others some seconds.
 */
import type { FileHandle } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { readLines } from '../audit/lines.ts';
import { openLogFile } from '../audit/log-reader.ts';
import type { ReadableLog } from '../audit/log.ts';
import { type Idempotency, isAboutIncident, readEntry, type Report, type RequestTag } from '../domain/entries.ts';
import type { Entry } from '../domain/entries.ts';
import { requestOf } from '../domain/incident.ts';
import { skeletonOf } from '../domain/source-name.ts';

/** 4 MiB: with a million keys in it, one in six thousand new ones seems to be known. */
const FILTER_BITS = 2 ** 25;
const HASHES = 4;
/** How many sources are remembered; with more, each that is not among them waits. */
const MOST_SOURCES = 10_000;

/** How services are named, as a rule. */
const ORDINARY = /^[a-z0-9_.:/@-]+$/;

/** How much is read between two requests, in bytes. */
const WINDOW = 64 * 1024;

/** The beginnings of lines that matter (entry-line.ts). */
const REPORT = /^\{"timestamp":"[^"]{24}","event":"incident\.re(?:ported|curred)"/;
const LONGEST_BEGINNING = 80;

export class EarlyIndex {
  readonly #filter = new Uint8Array(FILTER_BITS / 8);
  /** Whether each source was suspicious at first. */
  readonly #sources = new Map<string, boolean>();
  readonly #skeletons = new Set<string>();
  #isComplete = false;
  #isFull = false;
  /** How much of the log was read, from 0 to 1. */
  #share = 0;

  /** Whether the whole log was read. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  get share(): number {
    return this.#share;
  }

  /**
   * Reads the log as far as it is written now; what is written meanwhile comes by `take`.
   * @param isStopped asked between two windows: ends the reading
   */
  async read(log: ReadableLog, isStopped: () => boolean): Promise<void> {
    const { bytes } = log.status;
    const growing = log.fileOf(Infinity).first;
    const firsts = [...log.sealed.map(({ first }) => first), growing];
    for (const [index, first] of firsts.entries()) {
      // The file that grows may be sealed when it is due.
      const file = await openLogFile(log.fileOf(first).path);
      if (file === undefined) continue;
      try {
        const to = first === growing ? bytes : (await file.stat()).size;
        await this.#readFile(file, to, isStopped, (share) => (this.#share = (index + share) / firsts.length));
      } finally {
        await file.close();
      }
    }
    this.#isComplete = !isStopped();
  }

  async #readFile(
    file: FileHandle,
    to: number,
    isStopped: () => boolean,
    onProgress: (share: number) => void,
  ): Promise<void> {
    for await (const lines of readLines(file, 0, to, WINDOW)) {
      for (const { bytes, whole } of lines) {
        if (whole && REPORT.test(bytes.toString('latin1', 0, LONGEST_BEGINNING))) this.#takeLine(bytes);
      }
      onProgress((lines.at(-1)?.offset ?? 0) / to);
      if (isStopped()) return;
      // Reports come first.
      await new Promise(setImmediate);
    }
  }

  #takeLine(bytes: Buffer): void {
    let entry: Entry;
    try {
      entry = readEntry(bytes.toString('utf8'));
    } catch {
      // It is no entry: the projections will find the damage.
      return;
    }
    this.take([entry]);
  }

  /** Takes entries that were just written. */
  take(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (!isAboutIncident(entry)) continue;
      const request = requestOf(entry);
      if (request !== undefined) this.#add('id' in request ? `id ${request.id}` : `key ${request.key}`);
      if (entry.event !== 'incident.reported') continue;
      const { report, source_suspicious: isSuspicious } = entry.data;
      if (report.dedup_key !== undefined) this.#add(dedupOf(report));
      this.#takeSource(report.source, isSuspicious === true);
    }
  }

  #takeSource(source: string, isSuspicious: boolean): void {
    if (this.#sources.has(source)) return;
    this.#isFull ||= this.#sources.size >= MOST_SOURCES;
    if (this.#isFull) return;
    this.#sources.set(source, isSuspicious);
    if (!isSuspicious) this.#skeletons.add(skeletonOf(source));
  }

  /** Whether a request is new for certain. */
  isNewRequest({ id }: RequestTag, { key }: Idempotency): boolean {
    return this.#isComplete && !this.#mayHold(`id ${id}`) && !this.#mayHold(`key ${key}`);
  }

  /** Whether no incident on record has the `dedup_key` of a report, for certain. */
  isNewDedupKey(report: Report): boolean {
    return this.#isComplete && !this.#mayHold(dedupOf(report));
  }

  /**
   * Whether a source looks like another that was there before it; undefined while that is not known. A name of plain
   * lower-case letters does not wait for it: until the log was read it is compared with the names that were read so far.
   */
  looksLikeAnother(source: string): boolean | undefined {
    const known = this.#sources.get(source);
    if (known !== undefined) return known;
    if (this.#isComplete ? this.#isFull : !ORDINARY.test(source)) return undefined;
    return this.#skeletons.has(skeletonOf(source));
  }

  #add(text: string): void {
    for (const bit of bitsOf(text)) this.#filter[bit >>> 3]! |= 1 << (bit & 7);
  }

  #mayHold(text: string): boolean {
    return bitsOf(text).every((bit) => (this.#filter[bit >>> 3]! & (1 << (bit & 7))) !== 0);
  }
}

const dedupOf = ({ dedup_key: key, class: ofClass, source }: Report): string => JSON.stringify([key, ofClass, source]);

const bitsOf = (text: string): readonly number[] => {
  const digest = createHash('sha256').update(text).digest();
  return Array.from({ length: HASHES }, (_, index) => digest.readUInt32LE(4 * index) % FILTER_BITS);
};
