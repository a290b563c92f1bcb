/**
 * Ships the local log to the fleet, in order.
 *
 * The fleet knows how far it has the log, and the shipper asks it at the beginning of each session. So a session may end
 * at any moment, by a fault of any side, and the next one goes on where the fleet says. Nothing is kept here.
 *
 * A session begins with the last entry that the fleet has: its hash here and there must be the same. When it is not, or
 * when the log ends before it, the past was rewritten (or an old image restored). Then the last entries that both have
 * are sent again: the fleet compares them, keeps both histories, and answers with what it wants next.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { HOUR, SECOND } from '../clock.ts';
import { FreedBuffers } from '../freed-buffers.ts';
import type { BandwidthLimit } from './bandwidth-limit.ts';
import { type Batch, type BatchLimits, EntryFeed } from './entry-feed.ts';
import { EntriesGone, FleetRefused } from './errors.ts';
import { type Expected, expectedBy, type Fleet, type Held, type LogExtent, type Stored } from './fleet.ts';
import { type LocalRecorder, type LogHead, PastTheEnd } from './local-recorder.ts';
import { shipperBackoff, waitAskedBy } from './persist.ts';
import type { Progress } from './progress.ts';
import type { ShipLog } from './ship-log.ts';

/** As many lines as the fleet takes at once. */
const MOST_LINES = 1000;
/** The fleet takes 4 MiB. A quarter of it is as fast, and fits into little memory. */
const MOST_BYTES = 1024 * 1024;
/** A line may be longer than a small limit; then it is a batch of its own. */
const LEAST_BYTES = 16 * 1024;
/** How many seconds of the bandwidth a batch may take, before it shrinks to a tenth or so. */
const SECONDS_A_BATCH = 30;
/**
 * When nothing is written for this long, the last entry is shown to the fleet again: its answer brings an anchor, so that
 * the anchor of a quiet log does not grow old. In milliseconds.
 */
const QUIET = 6 * HOUR;
/** What to do about a log that the fleet knows as that of another machine. */
const OTHERS_LOG =
  'THE FLEET KNOWS THIS LOG AS THAT OF ANOTHER MACHINE: where this one was cloned from it, begin the log here again; where it has ' +
  'another name now, revoke the old name at the fleet (src/ship/README.md, "A cloned machine").';
/** An answer that takes longer is worth a line, in milliseconds. */
const SLOW = 10 * SECOND;

export type BatchOutcome = 'stored' | 'unexpected' | 'refused' | 'failed';

export interface LogShippingOptions {
  readonly fleet: Pick<Fleet, 'held' | 'store'>;
  readonly recorder: Pick<LocalRecorder, 'head' | 'open'>;
  readonly progress: Progress;
  readonly bandwidth?: BandwidthLimit | undefined;
  readonly say: ShipLog;
  readonly count: (outcome: BatchOutcome, batch?: { readonly entries: number; readonly sent: number }) => void;
  readonly onAnchor: (anchor: string) => void;
  readonly onReached: (side: 'fleet' | 'recorder', reached: boolean) => void;
  /** After how many milliseconds an answer is late. */
  readonly slow?: number | undefined;
}

/** Where a session begins. */
interface Start {
  /** Under which name the fleet has the log. */
  readonly name: string;
  readonly from: number;
  /** The hash that the entry before `from`, which comes first then, has in the fleet. */
  readonly overlap?: string | undefined;
  /** How far the fleet had the log before it was looked at; undefined when the fleet was not asked. */
  readonly heard?: number | undefined;
  /** Whether entries are sent again that the fleet may have, so that it compares them. */
  readonly isAgain?: true;
}

export class LogShipping {
  readonly #options: LogShippingOptions;
  readonly #backoff = shipperBackoff();
  readonly #freed = new FreedBuffers();
  #limits: BatchLimits;
  /** How many batches the fleet has taken whole. */
  #stored = 0;
  /** What the fleet wants next, from its refusal of the last batch. */
  #wanted: Expected | undefined;
  /** Where the fleet wanted the batch before: it looks for the first entry that differs, further and further back. */
  #wantedFrom = Infinity;
  /** Whether the last entry is sent again although the fleet has it. */
  #showsLast = false;

  constructor(options: LogShippingOptions) {
    this.#options = options;
    const ofBandwidth = (options.bandwidth?.rate ?? Infinity) * SECONDS_A_BATCH;
    this.#limits = { lines: MOST_LINES, bytes: Math.max(LEAST_BYTES, Math.min(MOST_BYTES, ofBandwidth)) };
  }

  /** Ships what is there and what is written later, until `signal` is aborted. @throws its reason */
  async follow(signal: AbortSignal): Promise<void> {
    for (;;) {
      let least = 0;
      try {
        await this.#session(true, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#hearOf(error);
        least = waitAskedBy(error);
      }
      if (!this.#searchesBack()) await this.#backoff.pause(signal, least);
    }
  }

  /**
   * Ships what is there now.
   * @param attempts how often in a row it may fail
   * @throws the last failure; the reason of `signal`
   */
  async once(attempts: number, signal: AbortSignal): Promise<void> {
    for (let failures = 0; ;) {
      const before = this.#stored;
      let fault = new Error('the fleet and the recorder do not agree where to go on');
      try {
        if (await this.#session(false, signal)) return;
      } catch (error) {
        signal.throwIfAborted();
        this.#hearOf(error);
        fault = error as Error;
      }
      if (this.#searchesBack()) continue;
      failures = this.#stored > before ? 1 : failures + 1;
      if (failures >= attempts) throw fault;
      await this.#backoff.pause(signal, waitAskedBy(fault));
    }
  }

  /** Whether the fleet wants entries from further back than before: that ends with the first entry, so nothing waits. */
  #searchesBack(): boolean {
    const from = this.#wanted?.from ?? Infinity;
    const isFurtherBack = from < this.#wantedFrom;
    this.#wantedFrom = Math.min(from, this.#wantedFrom);
    return isFurtherBack;
  }

  /** One session. @returns whether the end of the log was reached */
  async #session(follows: boolean, signal: AbortSignal): Promise<boolean> {
    const { recorder, progress, onReached } = this.#options;
    const head = await this.#answerOf('recorder', recorder.head(signal));
    onReached('recorder', true);
    if (head.log !== progress.log && progress.log !== undefined) {
      this.#options.say('warn', 'the recorder has another log than before', { log: head.log, before: progress.log });
      this.#wanted = undefined;
    }
    const start = await this.#start(head, signal);
    const opened = await this.#open(start, head, follows, signal);
    if (opened === undefined) return false;
    // The log was replaced between the two questions.
    if (opened.head.log !== head.log) {
      opened.body.destroy();
      return false;
    }
    const feed = new EntryFeed(opened.body, start.overlap === undefined ? start.from : start.from - 1);
    progress.begin(head.log, opened.head.entries, start.from - 1);
    try {
      if (start.overlap !== undefined && !(await this.#isSame(feed, start, signal))) return false;
      return await this.#ship(feed, start, opened.head, signal);
    } finally {
      feed.close();
    }
  }

  /** Asks the fleet where to begin. */
  async #start(head: LogHead, signal: AbortSignal): Promise<Start> {
    const { fleet, progress, say, onReached } = this.#options;
    const wanted = this.#wanted;
    this.#wanted = undefined;
    const name = head.log;
    if (wanted?.from !== undefined) return { name: wanted.log ?? name, from: wanted.from, isAgain: true };
    const held = await this.#answerOf('fleet', fleet.held(name, signal));
    onReached('fleet', true);
    progress.diverged = held?.diverged !== undefined && held.diverged !== null && held.diverged !== false;
    if (held === undefined || held.through === 0) return { name, from: 1, heard: held?.through };
    const { through, hash } = held;
    // What is not compared is not believed: it gets all of it again.
    if (hash === undefined) return { name, from: Math.max(1, head.first), isAgain: true };
    if (through <= head.entries) return this.#after(head, held);
    // Another shipper may have sent entries that are newer than the first look at the log.
    const now = await this.#options.recorder.head(signal);
    if (now.log !== name || through <= now.entries) return this.#after(now, held);
    say('error', 'THE LOG IS SHORTER THAN WHAT THE FLEET HAS: it was cut, or an old image was restored', {
      entries: now.entries,
      through,
    });
    progress.foundToDiverge();
    return { name, from: overlapBefore(now, now.entries + 1), heard: through, isAgain: true };
  }

  /** Begins after the last entry that the fleet has, and compares that one when it is still here. */
  #after(head: LogHead, { through, hash }: Held): Start {
    const shows = this.#showsLast;
    this.#showsLast = false;
    const from = through + 1;
    const start = { name: head.log, heard: through };
    if (shows) return { ...start, from: Math.max(head.first, through) };
    return { ...start, from, overlap: through >= head.first ? hash : undefined };
  }

  async #open(start: Start, head: LogHead, follows: boolean, signal: AbortSignal) {
    const from = start.overlap === undefined ? start.from : start.from - 1;
    try {
      return await this.#answerOf('recorder', this.#options.recorder.open(from, follows, signal));
    } catch (error) {
      if (error instanceof PastTheEnd) {
        // It has become shorter between the two questions, or the fleet wants what is not there.
        this.#options.say('warn', error.message, {});
        throw error;
      }
      if (!(error instanceof EntriesGone)) throw error;
      const gone = `entries ${start.from} to ${head.first - 1} are not in the log any more, and the fleet lacks them`;
      this.#options.say('warn', `${gone}: see the archive of the log; going on from entry ${head.first}`);
      if (head.first <= from) throw error;
      this.#wanted = { code: 'gone', log: start.name, from: head.first, prev_hash: undefined };
      return undefined;
    }
  }

  /** Takes the first line and compares its hash with that in the fleet. */
  async #isSame(feed: EntryFeed, { overlap, from }: Start, signal: AbortSignal): Promise<boolean> {
    const { say, progress } = this.#options;
    const batch = await feed.take({ lines: 1, bytes: 1 }, QUIET, signal);
    if (batch === undefined || batch === 'idle') return false;
    const here = hashIn(batch.lines[0]!);
    if (here === overlap) return true;
    say('error', 'THE LOG IS NOT THE ONE THAT THE FLEET HAS: its past was rewritten', {
      seq: from - 1,
      hash: here,
      hash_in_the_fleet: overlap,
    });
    progress.foundToDiverge();
    this.#wanted = { code: 'diverged', log: undefined, from: Math.max(1, from - MOST_LINES), prev_hash: undefined };
    return false;
  }

  /** Sends batches until the log ends. @returns whether it did; false when the fleet wants something else */
  async #ship(feed: EntryFeed, start: Start, { first }: LogHead, signal: AbortSignal): Promise<boolean> {
    const { name, heard, isAgain = false } = start;
    const { progress } = this.#options;
    let hasMore = false;
    for (;;) {
      const batch = await feed.take(this.#limits, QUIET, signal);
      if (batch === undefined) return !hasMore;
      if (batch === 'idle') {
        this.#showsLast = true;
        return false;
      }
      progress.seen(feed.arrived);
      const stored = await this.#store(name, batch, { first, entries: progress.entries, heard }, signal);
      if (stored === undefined) return false;
      this.#freed.count(batch.bytes + stored.sent);
      // It has taken less than it was sent, or lost what it had, or has something else.
      if (stored.through < batch.last || !this.#isLastOf(batch, stored)) return false;
      this.#stored += 1;
      this.#wantedFrom = Infinity;
      this.#backoff.reset();
      // Another shipper may have sent more; what it says that it has is compared with what is here.
      hasMore = stored.through > batch.last;
      if (hasMore && !isAgain) return false;
      if (stored.wait > 0) await wait(stored.wait, undefined, { signal });
    }
  }

  /** Whether the entry that the fleet says it has is the one that was sent. */
  #isLastOf(batch: Batch, { through, hash }: Stored): boolean {
    const here = hashIn(batch.lines.at(-1)!);
    if (hash === undefined || hash === here || through > batch.last) return true;
    const fields = { seq: through, hash: here, hash_in_the_fleet: hash };
    this.#options.say('error', 'THE FLEET SAYS THAT IT HAS ANOTHER ENTRY THAN THE ONE IT WAS SENT', fields);
    return false;
  }

  /** Sends a batch. @returns undefined when the fleet wants something else, or a smaller one */
  async #store(name: string, batch: Batch, extent: LogExtent, signal: AbortSignal): Promise<Stored | undefined> {
    const { fleet, progress, say, count, onAnchor, onReached } = this.#options;
    try {
      const stored = await this.#answerOf('fleet', fleet.store(name, batch, extent, signal));
      onReached('fleet', true);
      count('stored', { entries: batch.lines.length, sent: stored.sent });
      progress.isOthers = false;
      // It has not shown that it has more.
      progress.took(Math.min(stored.through, batch.last), timeIn(batch.lines.at(-1)!));
      if (stored.anchor !== undefined) onAnchor(stored.anchor);
      if (stored.diverged !== undefined && stored.diverged !== null) this.#sayDiverged(stored.diverged);
      this.#limits = { ...this.#limits, lines: Math.min(MOST_LINES, this.#limits.lines * 2) };
      return stored;
    } catch (error) {
      const expected = expectedBy(error);
      if (expected !== undefined) {
        count('unexpected');
        return this.#obey(expected, batch, error as FleetRefused);
      }
      const isTooLarge = error instanceof FleetRefused && error.status === 413;
      count(error instanceof FleetRefused ? 'refused' : 'failed');
      if (!isTooLarge || batch.lines.length === 1) throw error;
      this.#limits = { ...this.#limits, lines: Math.ceil(batch.lines.length / 2) };
      say('warn', 'the fleet finds a batch too large: the next ones are smaller', { lines: this.#limits.lines });
      return undefined;
    }
  }

  /** Goes on where the fleet says. */
  #obey(expected: Expected, batch: Batch, error: FleetRefused): undefined {
    const { say, progress } = this.#options;
    const { code, log, from, prev_hash } = expected;
    const fields = { code, log, from, prev_hash, sent_from: batch.from };
    if (code === 'diverged') {
      progress.foundToDiverge();
      say('error', `THE FLEET HOLDS ANOTHER PAST OF THIS LOG: ${error.message}`, fields);
    } else if (code === 'wrong_machine') {
      progress.isOthers = true;
      say('error', `${OTHERS_LOG} ${error.message}`, fields);
    } else {
      say('warn', error.message, fields);
    }
    // To send the same again would be refused again.
    if (from === undefined || (from === batch.from && (log ?? progress.log) === progress.log)) throw error;
    this.#wanted = expected;
    return undefined;
  }

  #sayDiverged(diverged: unknown): void {
    const { progress, say } = this.#options;
    progress.foundToDiverge();
    const { why, first_differing_seq: seq } = diverged as {
      readonly why?: unknown;
      readonly first_differing_seq?: unknown;
    };
    say('error', 'THE FLEET KEEPS ANOTHER PAST OF THIS LOG BESIDE THIS ONE: see its incident log_diverged', {
      diverged: typeof why === 'string' ? why : undefined,
      first_differing_seq: typeof seq === 'number' ? seq : undefined,
    });
  }

  /** Waits for an answer, and says who lets it wait. With a limit on the bandwidth a batch takes as long as that says. */
  async #answerOf<Answer>(side: 'fleet' | 'recorder', answer: Promise<Answer>): Promise<Answer> {
    const { say, onReached, slow = SLOW, bandwidth } = this.#options;
    const patience = side === 'fleet' && bandwidth !== undefined ? slow + SECONDS_A_BATCH * SECOND : slow;
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      onReached(side, false);
      say('warn', `the ${side} has not answered yet`, { after_ms: patience });
    }, patience);
    try {
      const it = await answer;
      if (isLate) onReached(side, true);
      return it;
    } finally {
      clearTimeout(timer);
    }
  }

  #hearOf(error: unknown): void {
    const { say, onReached } = this.#options;
    const { name, message } = error as Error;
    if (name === 'FleetNotReachable') onReached('fleet', false);
    else if (name === 'NotReachable' || name === 'Impostor') onReached('recorder', false);
    const isRefused = error instanceof FleetRefused;
    const asked = waitAskedBy(error);
    say(isRefused && error.status < 429 ? 'error' : 'warn', 'shipping is interrupted', {
      why: message,
      status: isRefused ? error.status : undefined,
      retry_after_ms: asked === 0 ? undefined : asked,
    });
  }
}

/** The last entries before `end`, as many as a batch has. */
const overlapBefore = ({ first }: LogHead, end: number): number => Math.max(first, 1, end - MOST_LINES);

/** The hash of an entry, from its line. */
function hashIn(line: Buffer): string | undefined {
  try {
    return (JSON.parse(line.toString('utf8')) as { readonly entry_hash?: string }).entry_hash;
  } catch {
    return undefined;
  }
}

/** The time of an entry, in milliseconds since the epoch. Lines begin with it; to parse them all would cost more. */
function timeIn(line: Buffer): number | undefined {
  const time = Date.parse(/^\{"timestamp":"([^"]{1,40})"/.exec(line.toString('latin1', 0, 64))?.[1] ?? '');
  return Number.isNaN(time) ? undefined : time;
}
