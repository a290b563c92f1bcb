/**
 * What a report has to know of the log before the projections are made: which requests, `dedup_key`s, repeated values
 * and sources occur, and when the latest reports came.
 *
 * It is read from the raw lines, unverified and without the database, which takes a small part of the time. Requests
 * and keys are kept as bits in a filter of fixed size: one that it does not hold is new for certain. One that it may
 * hold waits for the projections, which is right for all that occur and costs a few others some seconds.
 */
import type { FileHandle } from '../async-files.ts';
import { readLines } from '../audit/lines.ts';
import { openLogFile } from '../audit/log-reader.ts';
import type { ReadableLog } from '../audit/log.ts';
import {
  type Idempotency,
  isAboutIncident,
  readEntry,
  type Report,
  reporterOf,
  type RequestTag,
} from '../domain/entries.ts';
import { keysOwner } from '../domain/caller.ts';
import type { Entry } from '../domain/entries.ts';
import { requestOf } from '../domain/incident.ts';
import { countedIn, isReport, ReportTimes } from '../domain/report-times.ts';
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

/**
 * Where the event stands in each line: an entry has one spelling, and all timestamps have the same length (entry.ts).
 */
const EVENT_AT = '{"timestamp":"2026-11-22T07:12:00.123Z","event":"'.length;
/** The first letters of the events that matter. */
const REPORTED = 'incident.rep';
const RECURRED = 'incident.rec';
const CARRIED = 'incident.car';
const IMPORTED = 'incident.imp';
const TAKEN: ReadonlySet<string> = new Set([REPORTED, RECURRED, CARRIED, IMPORTED]);

export class EarlyIndex {
  readonly #filter = new Uint8Array(FILTER_BITS / 8);
  /** Whether each source was suspicious at first. */
  readonly #sources = new Map<string, boolean>();
  readonly #skeletons = new Set<string>();
  /** What was read is counted apart from what is written meanwhile, as that comes first. */
  readonly #times = new ReportTimes();
  readonly #written = new ReportTimes();
  #firstWritten = Infinity;
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
    this.#times.append(this.#written);
  }

  async #readFile(
    file: FileHandle,
    to: number,
    isStopped: () => boolean,
    onProgress: (share: number) => void,
  ): Promise<void> {
    for await (const lines of readLines(file, 0, to, WINDOW)) {
      for (const { bytes, whole } of lines) {
        const event = bytes.toString('latin1', EVENT_AT, EVENT_AT + REPORTED.length);
        if (whole && TAKEN.has(event)) this.#takeLine(bytes);
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
    // Some of what is written at the start is read as well.
    if (isReport(entry) && entry.data.seq < this.#firstWritten) this.#times.take(countedIn(entry), entry.data.seq);
    this.#note(entry);
  }

  /** Takes entries that were just written. */
  take(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (isReport(entry)) {
        this.#firstWritten = Math.min(this.#firstWritten, entry.data.seq);
        (this.#isComplete ? this.#times : this.#written).take(countedIn(entry), entry.data.seq);
      }
      this.#note(entry);
    }
  }

  /** Takes a source that reports: one on record, or one whose report is on its way. */
  takeSource(source: string, isSuspicious: boolean): void {
    if (this.#sources.has(source)) return;
    this.#isFull ||= this.#sources.size >= MOST_SOURCES;
    if (this.#isFull) return;
    this.#sources.set(source, isSuspicious);
    if (!isSuspicious) this.#skeletons.add(skeletonOf(source));
  }

  /** When the latest reports came; undefined while that is not known. */
  get times(): ReportTimes | undefined {
    return this.#isComplete ? this.#times : undefined;
  }

  #note(entry: Entry): void {
    if (isAboutIncident(entry)) {
      const request = requestOf(entry);
      if (request !== undefined) this.#add('id' in request ? request.id : keyOf(request));
      if (isReport(entry) && entry.data.repeat !== undefined) this.#add(entry.data.repeat);
      if (entry.event === 'incident.carried') {
        const { report, requests, repeats = [], record } = entry.data;
        for (const [key] of [...requests, ...repeats]) this.#add(key);
        this.#takeReport(
          report,
          keysOwner(record.reported_by as string | undefined),
          record.source_suspicious === true,
        );
      } else if (entry.event === 'incident.imported') {
        this.#takeReport(entry.data.report, '', entry.data.record.source_suspicious === true);
      } else if (entry.event === 'incident.reported') {
        const { report, source_suspicious: isSuspicious } = entry.data;
        this.#takeReport(report, keysOwner(reporterOf(entry.data)), isSuspicious === true);
      }
    }
  }

  #takeReport(report: Report, owner: string, isSuspicious: boolean): void {
    if (report.dedup_key !== undefined) this.#add(dedupOf(report, owner));
    this.takeSource(report.source, isSuspicious);
  }

  /** Whether a request is new for certain. */
  isNewRequest({ id }: RequestTag, idempotency: Idempotency): boolean {
    return this.#isComplete && !this.#mayHold(id) && !this.#mayHold(keyOf(idempotency));
  }

  /** Whether no report on record has the values that a key names, for certain. */
  isNewRepeat(key: string): boolean {
    return this.#isComplete && !this.#mayHold(key);
  }

  /** Whether no incident on record has the `dedup_key` of a report, for certain. `owner`: whose the key is. */
  isNewDedupKey(report: Report, owner: string): boolean {
    return this.#isComplete && !this.#mayHold(dedupOf(report, owner));
  }

  /**
   * Whether a source looks like another that was there before it; undefined while that is not known. A name of plain
   * lower-case letters does not wait for it: until the log was read it is compared with the names that were read so
   * far.
   */
  looksLikeAnother(source: string): boolean | undefined {
    const known = this.#sources.get(source);
    if (known !== undefined) return known;
    if (this.#isComplete ? this.#isFull : !ORDINARY.test(source)) return undefined;
    return this.#skeletons.has(skeletonOf(source));
  }

  #add(text: string): void {
    const [first, step] = hashesOf(text);
    for (let n = 0; n < HASHES; n++) {
      const bit = (first + n * step) % FILTER_BITS;
      this.#filter[bit >>> 3]! |= 1 << (bit & 7);
    }
  }

  #mayHold(text: string): boolean {
    const [first, step] = hashesOf(text);
    for (let n = 0; n < HASHES; n++) {
      const bit = (first + n * step) % FILTER_BITS;
      if ((this.#filter[bit >>> 3]! & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }
}

const keyOf = ({ key }: Idempotency): string => `key ${key}`;

const dedupOf = ({ dedup_key: key, class: ofClass, source }: Report, owner: string): string =>
  JSON.stringify([key, ofClass, source, owner]);

const DIGEST = /^[0-9a-f]{32}/;

/**
 * Two numbers from a text, which bits are made of: of a digest its own digits, else FNV-1a. Somebody
 * who finds texts with the same bits only makes reports with these keys wait.
 */
function hashesOf(text: string): readonly [number, number] {
  if (DIGEST.test(text))
    return [Number.parseInt(text.slice(0, 12), 16), 2 * Number.parseInt(text.slice(12, 20), 16) + 1];
  let hash = 0x811c9dc5;
  let other = 0x9747b28c;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    other = Math.imul(other ^ text.charCodeAt(at), 0x85ebca6b);
  }
  return [hash >>> 0, 2 * (other >>> 1) + 1];
}
