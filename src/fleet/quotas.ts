/**
 * What one machine may send, so that a machine that floods harms no other.
 *
 * Each machine has a bucket of entries and one of bytes, which fill as time goes on. They are this process's own: behind
 * a balancer a machine may send as many times as much as there are processes.
 */
import { SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';

export interface Quota {
  readonly entriesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** How many seconds' worth may come at once. */
const BURST_SECONDS = 20;
/** Machines whose buckets are kept; a full bucket says nothing and is forgotten first. */
const MOST_KEPT = 100_000;
/** Requests of one machine that may be under way at once: more would take the database's connections from others. */
const MOST_AT_ONCE = 2;

interface Bucket {
  entries: number;
  bytes: number;
  at: number;
  underWay: number;
}

export class Quotas {
  readonly #quota: Quota;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param now milliseconds of a clock that does not jump */
  constructor(quota: Quota, now: () => number) {
    this.#quota = quota;
    this.#now = now;
  }

  /**
   * Takes a place for a request of a machine; `leave` gives it back.
   * @throws RecorderError `quota_exceeded` with `retry_after` in seconds
   */
  enter(machine: string): () => void {
    const bucket = this.#bucketOf(machine);
    if (bucket.underWay >= MOST_AT_ONCE) throw exceeded('too many requests of this machine at once', 1);
    const wait = this.#waitOf(bucket);
    if (wait > 0) throw exceeded('this machine has sent more than its quota', Math.ceil(wait));
    bucket.underWay += 1;
    let isOut = false;
    return () => {
      if (!isOut) bucket.underWay -= 1;
      isOut = true;
    };
  }

  /**
   * Counts what a machine has sent. It may go below zero, and then the machine waits.
   * @returns how long, in milliseconds
   */
  spend(machine: string, entries: number, bytes: number): number {
    const bucket = this.#bucketOf(machine);
    bucket.entries -= entries;
    bucket.bytes -= bytes;
    return Math.max(0, SECOND * this.#waitOf(bucket));
  }

  /** In seconds; below zero while there is something left. */
  #waitOf({ entries, bytes }: Bucket): number {
    return Math.max(-entries / this.#quota.entriesPerSecond, -bytes / this.#quota.bytesPerSecond);
  }

  #bucketOf(machine: string): Bucket {
    const now = this.#now();
    const { entriesPerSecond, bytesPerSecond } = this.#quota;
    const most = { entries: entriesPerSecond * BURST_SECONDS, bytes: bytesPerSecond * BURST_SECONDS };
    let bucket = this.#buckets.get(machine);
    if (bucket === undefined) {
      if (this.#buckets.size >= MOST_KEPT) this.#forget();
      bucket = { ...most, at: now, underWay: 0 };
      this.#buckets.set(machine, bucket);
    }
    const seconds = Math.max(0, now - bucket.at) / SECOND;
    bucket.entries = Math.min(most.entries, bucket.entries + seconds * entriesPerSecond);
    bucket.bytes = Math.min(most.bytes, bucket.bytes + seconds * bytesPerSecond);
    bucket.at = now;
    return bucket;
  }

  #forget(): void {
    for (const [machine, { underWay }] of this.#buckets) {
      if (underWay === 0) this.#buckets.delete(machine);
      if (this.#buckets.size < MOST_KEPT / 2) return;
    }
  }
}

const exceeded = (message: string, retry_after: number): RecorderError =>
  new RecorderError('quota_exceeded', message, { fields: { retry_after } });
