/**
 * What one machine may send, so that a machine that floods harms no other.
 *
 * What is stored counts in the machine's row (`sent_until`), which each batch writes anyway: all processes count in one place,
 * and a restart forgets nothing. `Quotas` is one process's own: it refuses without the database, counts what was refused, and
 * limits how many requests of a machine are under way here.
 */
import { SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';

export interface Quota {
  readonly entriesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** How much may come at once: so many milliseconds' worth. */
export const BURST = 20 * SECOND;
/** Machines that are kept; one that waits for nothing is forgotten first. */
const MOST_KEPT = 100_000;
/** Requests of one machine that may be under way at once: more would take the process's connections from others. */
const MOST_AT_ONCE = 2;

/** How many milliseconds of its quota a machine uses by that. */
export const shareOf = ({ entriesPerSecond, bytesPerSecond }: Quota, entries: number, bytes: number): number =>
  SECOND * Math.max(entries / entriesPerSecond, bytes / bytesPerSecond);

/** @param wait in milliseconds */
export const tooMuch = (wait: number): RecorderError =>
  exceeded('this machine has sent more than its quota', Math.ceil(wait / SECOND));

interface Sent {
  /** Up to when the machine has used its quota, in milliseconds of a clock that does not jump. While that is to come, it waits. */
  until: number;
  underWay: number;
}

export class Quotas {
  readonly #quota: Quota;
  readonly #now: () => number;
  readonly #sent = new Map<string, Sent>();

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
    const sent = this.#sentBy(machine);
    if (sent.underWay >= MOST_AT_ONCE) throw exceeded('too many requests of this machine at once', 1);
    const wait = sent.until - this.#now();
    if (wait > 0) throw tooMuch(wait);
    sent.underWay += 1;
    let isOut = false;
    return () => {
      if (!isOut) sent.underWay -= 1;
      isOut = true;
    };
  }

  /**
   * Counts what a machine has sent here. It may be more than its quota, and then the machine waits.
   * @param atLeast how long the machine has to wait by what all processes have stored, in milliseconds
   * @returns how long, in milliseconds
   */
  spend(machine: string, entries: number, bytes: number, atLeast = 0): number {
    const sent = this.#sentBy(machine);
    const now = this.#now();
    const here = Math.max(sent.until, now - BURST) + shareOf(this.#quota, entries, bytes);
    sent.until = atLeast > 0 ? Math.max(here, now + atLeast) : here;
    return Math.max(0, sent.until - now);
  }

  #sentBy(machine: string): Sent {
    let sent = this.#sent.get(machine);
    if (sent === undefined) {
      if (this.#sent.size >= MOST_KEPT) this.#forget();
      sent = { until: -Infinity, underWay: 0 };
      this.#sent.set(machine, sent);
    }
    return sent;
  }

  #forget(): void {
    const now = this.#now();
    for (const isSure of [true, false])
      for (const [machine, { until, underWay }] of this.#sent) {
        if (this.#sent.size < MOST_KEPT / 2) return;
        if (underWay === 0 && (!isSure || until < now)) this.#sent.delete(machine);
      }
  }
}

const exceeded = (message: string, retry_after: number): RecorderError =>
  new RecorderError('quota_exceeded', message, { fields: { retry_after } });
