/**
 * The deliveries of one action: one attempt at a time, in the order in which they are due, so that a release never
 * overtakes an engage and two attempts never cross.
 *
 * The lane keeps nothing that a restart could lose: the posture says what is due and when, and the result of an attempt
 * goes to the incident's actor as a message. It is in one of three states: *at rest* while nothing is due,
 * *waiting* until something is, or *at work* on one attempt. `wake` makes it look again.
 *
 * After several failed attempts in a row the service counts as down: then there is one attempt in a while, and all other
 * deliveries of the lane wait for it. Waiting is measured by the monotonic clock. A clock jump never delays a delivery
 * beyond its accumulated backoff: what was never tried goes at once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ConsecutiveBreaker } from 'cockatiel';
import type { ContainmentAction } from '../../machines/vocabulary.ts';
import { type Clock, SECOND } from '../clock.ts';
import { isAbsence, RecorderError } from '../errors.ts';
import type { IncidentActor } from '../incidents/incident-actor.ts';
import { type DeliveryName, type DeliveryNews, type DeliveryRecord, isUndelivered } from '../domain/delivery.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { UnprovedIncident } from '../projections/incident-proof.ts';
import type { Holder } from '../projections/posture.ts';
import { LONGEST_RETRY_AFTER, pauseAfter } from './retry-pause.ts';
import type { AttemptResult } from './attempt-result.ts';

/** How many attempts in a row have to come to nothing until the service counts as down, and how long it is left alone. */
const FAILURES_UNTIL_DOWN = 5;
const LEFT_ALONE = 10 * SECOND;
/** How many incidents that can't be proved are set aside at most. */
const MOST_ASIDE = 100;
/** How long they are set aside. */
const SET_ASIDE = 30 * SECOND;
/** The pause before a result that the log refused is reported again. */
const REPORT_AGAIN = 1 * SECOND;

export interface LaneDependencies {
  readonly incidents: { actor(id: string): Pick<IncidentActor, 'send' | 'delivery'> };
  /** @throws RecorderError `log_unavailable` while the posture is behind the log */
  readonly current: () => Pick<CurrentReads, 'posture'>;
  /**
   * Makes one attempt; undefined when there is nowhere to send it now.
   * @throws RecorderError when the incident can't be read now
   */
  readonly attempt: (name: DeliveryName, signal: AbortSignal) => Promise<AttemptResult | undefined>;
  /** Whether it is proved that an action is not in force; until then no release is sent. */
  readonly isProved: (action: ContainmentAction) => boolean;
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

interface Due {
  readonly name: DeliveryName;
  /** In milliseconds since the epoch. */
  readonly due: number;
}

export class Lane {
  readonly #action: ContainmentAction;
  readonly #dependencies: LaneDependencies;
  readonly #breaker = new ConsecutiveBreaker(FAILURES_UNTIL_DOWN);
  readonly #stopping = new AbortController();
  /** Until when the service is left alone, by the monotonic clock. */
  #downUntil = 0;
  /** What is waited for, and until when, by the monotonic clock. */
  #awaited: (Due & { readonly until: number }) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Incidents that could not be proved against the log; they are tried again after a while. */
  readonly #aside = new Set<string>();
  #asideSince = 0;
  /** Whether the next attempt is to be made without a pause. */
  #isHurried = false;
  #isAtWork = false;
  /** Ends the attempt of a drill that has the lane, where that harms nobody. */
  #rehearsal: AbortController | undefined;
  #working: Promise<void> | undefined;

  constructor(action: ContainmentAction, dependencies: LaneDependencies) {
    this.#action = action;
    this.#dependencies = dependencies;
  }

  /** Looks, a microtask later, whether something is due: actors wake a lane before the posture shows what they ask. */
  wake(): void {
    if (this.#rehearsal !== undefined) void Promise.resolve().then(() => this.#interruptRehearsal());
    if (this.#stopping.signal.aborted || this.#isAtWork) return;
    clearTimeout(this.#timer);
    this.#isAtWork = true;
    this.#working = Promise.resolve().then(() => this.#work());
  }

  /**
   * Makes an attempt for a drill while nothing else is sent, so that it never crosses a real one.
   * @param directive an `engage` is broken off when a real directive is due; a `release` is not, as what it may still do
   *   has to be done before a real engage
   * @returns what `attempt` gives, or undefined when a real directive is due: that goes first
   */
  async rehearse<Result>(
    directive: DeliveryName['directive'],
    attempt: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result | undefined> {
    while (this.#isAtWork) await this.#working;
    this.#stopping.signal.throwIfAborted();
    if (this.#isRealDue()) {
      this.wake();
      return undefined;
    }
    clearTimeout(this.#timer);
    this.#isAtWork = true;
    const rehearsal = new AbortController();
    if (directive === 'engage') this.#rehearsal = rehearsal;
    const result = attempt(AbortSignal.any([rehearsal.signal, this.#stopping.signal]));
    this.#working = result.then(
      () => {},
      () => {},
    );
    try {
      return await result;
    } catch (error) {
      if (rehearsal.signal.aborted && !this.#stopping.signal.aborted) return undefined;
      throw error;
    } finally {
      this.#rehearsal = undefined;
      this.#isAtWork = false;
      this.wake();
    }
  }

  #interruptRehearsal(): void {
    if (this.#isRealDue()) this.#rehearsal?.abort();
  }

  /** Whether something real is to be sent now. */
  #isRealDue(): boolean {
    try {
      const next = this.#next();
      return next !== undefined && next.due <= this.#dependencies.clock.now();
    } catch {
      // The posture is behind the log: what is due is not known.
      return true;
    }
  }

  /** Makes the next attempt without a pause: the target may be another one now. */
  hurry(): void {
    this.#isHurried = true;
    this.wake();
  }

  /** Breaks off the attempt that is being made; the next start repeats it. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopping.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        // Nothing is begun any more, and no pause either.
        this.#stopping.signal.throwIfAborted();
        const wait = this.#pauseBefore(next);
        if (wait > 0) {
          this.#timer = setTimeout(() => this.wake(), wait);
          return;
        }
        if (!(await this.#deliver(next.name).catch((error: unknown) => this.#setAside(next.name, error)))) return;
      }
    } catch (error) {
      // While the projections are behind, what is due is unknown. The next wake looks again.
      if (!this.#stopping.signal.aborted && !(error instanceof RecorderError)) this.#dependencies.onFault(error);
    } finally {
      // In this turn: directives that arrive from now on must wake the lane.
      this.#isAtWork = false;
    }
  }

  /** What is to be sent next. */
  #next(): Due | undefined {
    const { current, clock, isProved } = this.#dependencies;
    const { posture } = current();
    if (this.#aside.size > 0 && clock.monotonic() - this.#asideSince >= SET_ASIDE) this.#aside.clear();
    const { release, counts } = posture.of(this.#action);
    if (release !== null && isUndelivered(release.delivery)) {
      // To engage too early harms nobody.
      if (!isProved(this.#action)) return undefined;
      const { incident, asked_at, delivery } = release;
      const due = Date.parse(delivery.next_attempt_at ?? asked_at);
      return { name: { incident, action: this.#action, directive: 'release' }, due };
    }
    const [first] = (['pending', 'delivering'] as const)
      .filter((status) => counts[status] !== undefined)
      .flatMap((status) =>
        this.#withStatus(posture, status).map(({ incident, due }) => {
          // What was never tried is due, whatever the clock says now of when it was asked for.
          return { incident, due: status === 'pending' ? Math.min(due, clock.now()) : due };
        }),
      )
      .toSorted((one, other) => one.due - other.due);
    if (first === undefined) return undefined;
    return { name: { incident: first.incident, action: this.#action, directive: 'engage' }, due: first.due };
  }

  /** The holder with this status that is due first, without those that were set aside. */
  #withStatus(posture: CurrentReads['posture'], status: DeliveryRecord['status']): readonly Holder[] {
    const holders = posture.withStatus(this.#action, status, 1 + this.#aside.size);
    return holders.filter(({ incident }) => !this.#aside.has(incident)).slice(0, 1);
  }

  #pauseBefore(next: Due): number {
    const { clock } = this.#dependencies;
    const now = clock.monotonic();
    if (this.#isHurried) {
      this.#isHurried = false;
      this.#downUntil = 0;
      this.#awaited = undefined;
      return 0;
    }
    const known = this.#awaited;
    if (known?.name.incident !== next.name.incident || known.due !== next.due) {
      const longest = Math.min(this.#find(next.name)?.waited_ms ?? 0, LONGEST_RETRY_AFTER);
      const wait = Math.min(Math.max(next.due - clock.now(), 0), longest);
      this.#awaited = { ...next, until: now + wait };
    }
    return Math.ceil(Math.max(this.#awaited?.until ?? 0, this.#downUntil) - now);
  }

  #find({ incident, action, directive }: DeliveryName): DeliveryRecord | undefined {
    return this.#dependencies.incidents.actor(incident).delivery(action, directive);
  }

  /** Lets others go first when an incident can't be proved now. @throws any other error */
  #setAside({ incident }: DeliveryName, error: unknown): boolean {
    if (!(error instanceof UnprovedIncident) || this.#aside.size >= MOST_ASIDE) throw error;
    if (this.#aside.size === 0) this.#asideSince = this.#dependencies.clock.monotonic();
    this.#aside.add(incident);
    return true;
  }

  /** Makes one attempt and reports the result to the incident; false when there is nowhere to send it. */
  async #deliver(name: DeliveryName): Promise<boolean> {
    const attempts = this.#find(name)?.attempts ?? 0;
    const outcome = await this.#dependencies.attempt(name, this.#stopping.signal);
    if (outcome === undefined) return false;
    if (outcome.kind !== 'missed') this.#breaker.success();
    else if (this.#breaker.failure()) this.#downUntil = this.#dependencies.clock.monotonic() + LEFT_ALONE;
    await this.#report(name, newsOf(outcome, attempts));
    return true;
  }

  /** Reports to the incident's actor, and repeats that while the log refuses it: no result may be lost. */
  async #report({ incident, action, directive }: DeliveryName, news: DeliveryNews): Promise<void> {
    for (;;) {
      this.#stopping.signal.throwIfAborted();
      try {
        await this.#dependencies.incidents.actor(incident).send({ type: 'deliver', action, directive, news });
        return;
      } catch (error) {
        if (!(error instanceof RecorderError)) throw error;
        if (isAbsence(error)) return;
        await pause(REPORT_AGAIN, undefined, { signal: this.#stopping.signal });
      }
    }
  }
}

function newsOf(outcome: AttemptResult, attempts: number): DeliveryNews {
  switch (outcome.kind) {
    case 'done':
      return { type: 'confirmed', attempted: true, receipt: outcome.receipt };
    case 'refused':
      return { type: 'refused', error: outcome.error, ...(outcome.unsent && { unsent: true }) };
    case 'accepted':
    case 'missed':
      return { type: 'missed', error: outcome.error, wait: pauseAfter(attempts, outcome.retryAfter) };
    default:
      return outcome satisfies never;
  }
}
