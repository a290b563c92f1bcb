/**
 * The deliveries of one action: one attempt at a time, in the order in which they are due, so that a release never
 * overtakes an engage and two attempts never cross.
 *
 * The lane keeps nothing of its own that would be missed after a restart: what is to be delivered, and when, it asks the
 * posture, and what came of an attempt it tells the log. It is in one of three states: *at rest* while nothing is due,
 * *waiting* until something is, or *at work* on one attempt. `wake` makes it look again.
 *
 * After several attempts in a row that came to nothing the service counts as down: then there is one attempt in a while,
 * and all other deliveries of the lane wait for that. Waiting is measured by the monotonic clock, and the wall clock, which
 * may be set back, can make nothing wait for longer than all the pauses that it was given: what was never tried goes at
 * once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ConsecutiveBreaker } from 'cockatiel';
import type { ContainmentAction } from '../../machines/vocabulary.ts';
import { type Clock, SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import type { DeliveryName, DeliveryNews, News } from '../incidents/delivery-news.ts';
import { isUndelivered } from '../domain/delivery.ts';
import type { Posture } from '../projections/posture.ts';
import { pauseAfter } from './backoff.ts';
import type { AttemptResult } from './attempt-result.ts';

/** The longest pause that there can be: as long as a service may ask for. */
const LONGEST_PAUSE = 3600 * SECOND;
/** How many attempts in a row have to come to nothing until the service counts as down, and how long it is left alone. */
const FAILURES_UNTIL_DOWN = 5;
const LEFT_ALONE = 10 * SECOND;
/** How soon news that the log did not take are told again. */
const TELL_AGAIN = 1 * SECOND;

export interface LaneParts {
  readonly posture: Posture;
  readonly news: Pick<DeliveryNews, 'tell' | 'find'>;
  /** Makes one attempt; undefined when there is nowhere to send it now. Rejects only when `signal` has aborted. */
  readonly attempt: (name: DeliveryName, signal: AbortSignal) => Promise<AttemptResult | undefined>;
  readonly clock: Clock;
  /** Told of what should not have happened. */
  readonly onFault: (error: unknown) => void;
}

interface Due {
  readonly name: DeliveryName;
  /** In milliseconds since the epoch. */
  readonly due: number;
}

export class Lane {
  readonly #action: ContainmentAction;
  readonly #parts: LaneParts;
  readonly #breaker = new ConsecutiveBreaker(FAILURES_UNTIL_DOWN);
  readonly #stopping = new AbortController();
  /** Until when the service is left alone, by the monotonic clock. */
  #downUntil = 0;
  /** What is waited for, and until when, by the monotonic clock. */
  #awaited: (Due & { readonly until: number }) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isAtWork = false;
  #working: Promise<void> | undefined;

  constructor(action: ContainmentAction, parts: LaneParts) {
    this.#action = action;
    this.#parts = parts;
  }

  /** Looks whether something is due. */
  wake(): void {
    if (this.#stopping.signal.aborted || this.#isAtWork) return;
    clearTimeout(this.#timer);
    this.#working = this.#work();
  }

  /** Breaks off the attempt that is being made; it is made again after the next start. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopping.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    this.#isAtWork = true;
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        const wait = this.#pauseBefore(next);
        if (wait > 0) {
          this.#timer = setTimeout(() => this.wake(), wait);
          return;
        }
        if (!(await this.#deliver(next.name))) return;
      }
    } catch (error) {
      // While the projections are behind there is no telling what is due; the next wake looks again.
      if (!this.#stopping.signal.aborted && !(error instanceof RecorderError)) this.#parts.onFault(error);
    } finally {
      // Not a turn later: what is asked for from here on has to be looked for.
      this.#isAtWork = false;
    }
  }

  /** What is to be sent next. */
  #next(): Due | undefined {
    const { posture, clock } = this.#parts;
    const { release, counts } = posture.of(this.#action);
    if (release !== null && isUndelivered(release.delivery)) {
      const { incident, asked_at, delivery } = release;
      const due = Date.parse(delivery.next_attempt_at ?? asked_at);
      return { name: { incident, action: this.#action, directive: 'release' }, due };
    }
    const [first] = (['pending', 'delivering'] as const)
      .filter((status) => counts[status] !== undefined)
      .flatMap((status) =>
        posture.withStatus(this.#action, status, 1).map(({ incident, due }) => {
          // What was never tried is due, whatever the clock says now of when it was asked for.
          return { incident, due: status === 'pending' ? Math.min(due, clock.now()) : due };
        }),
      )
      .toSorted((one, other) => one.due - other.due);
    if (first === undefined) return undefined;
    return { name: { incident: first.incident, action: this.#action, directive: 'engage' }, due: first.due };
  }

  #pauseBefore(next: Due): number {
    const { clock, news } = this.#parts;
    const now = clock.monotonic();
    const known = this.#awaited;
    if (known?.name.incident !== next.name.incident || known.due !== next.due) {
      const longest = Math.min(news.find(next.name)?.waited_ms ?? 0, LONGEST_PAUSE);
      const wait = Math.min(Math.max(next.due - clock.now(), 0), longest);
      this.#awaited = { ...next, until: now + wait };
    }
    return Math.ceil(Math.max(this.#awaited?.until ?? 0, this.#downUntil) - now);
  }

  /** Makes one attempt and tells what came of it; false when there is nowhere to send it. */
  async #deliver(name: DeliveryName): Promise<boolean> {
    const attempts = this.#parts.news.find(name)?.attempts ?? 0;
    const outcome = await this.#parts.attempt(name, this.#stopping.signal);
    if (outcome === undefined) return false;
    if (outcome.kind !== 'missed') this.#breaker.success();
    else if (this.#breaker.failure()) this.#downUntil = this.#parts.clock.monotonic() + LEFT_ALONE;
    await this.#tell(name, newsOf(outcome, attempts));
    return true;
  }

  /** Tells the log, and again while it takes nothing: what has happened must not be forgotten. */
  async #tell(name: DeliveryName, news: News): Promise<void> {
    for (;;) {
      this.#stopping.signal.throwIfAborted();
      try {
        await this.#parts.news.tell(name, news);
        return;
      } catch (error) {
        if (!(error instanceof RecorderError)) throw error;
        if (error.code === 'not_found') return;
        await pause(TELL_AGAIN, undefined, { signal: this.#stopping.signal });
      }
    }
  }
}

function newsOf(outcome: AttemptResult, attempts: number): News {
  switch (outcome.kind) {
    case 'done':
      return { type: 'confirmed', attempted: true, receipt: outcome.receipt };
    case 'refused':
      return { type: 'refused', error: outcome.error };
    case 'missed':
      return { type: 'missed', error: outcome.error, wait: pauseAfter(attempts, outcome.retryAfter) };
    default:
      return outcome satisfies never;
  }
}
