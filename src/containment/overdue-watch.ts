/**
 * Watches for directives that nobody confirms: an engage or a release that is not confirmed `overdue_after` after it
 * was asked for is overdue, whether it is sent without success or waits to be fetched.
 *
 * Each delivery is found overdue once, by a message to its incident, and that entry stays true over a restart. The
 * first one of an action and directive raises an alert, the others do not, until none of them is overdue any more. What
 * became overdue while the recorder was down is found once, after the start.
 *
 * `look` costs nothing before the earliest time at which something can become overdue.
 */
import { ACTIONS, type ContainmentAction, DIRECTIVES, type Directive } from '../../machines/vocabulary.ts';
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import { waitOf } from '../domain/delivery.ts';
import { RecorderError } from '../errors.ts';
import type { IncidentActor } from '../incidents/incident-actor.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { isOfIncident } from '../projections/incident-proof.ts';
import { type Release, WAITS } from '../domain/posture.ts';
import type { ShownPosture, Unconfirmed } from '../projections/posture.ts';
import { EntryAges } from './entry-ages.ts';

/** How many deliveries of an action one look finds overdue; the next look takes the others. */
const MOST_AT_ONCE = 16;
/** How many of their incidents are awake at the same time, up to 5 MiB each. Their entries share a sync. */
const MAX_AWAKE = 4;
/** How long to rest after a look, as a multiple of the time that it took: thousands may be overdue, and reports come first. */
const REST = 4;

export interface OverdueWatchDependencies {
  readonly incidents: { actor(id: string): Pick<IncidentActor, 'send'> };
  readonly log: Pick<AuditLog, 'status'>;
  /** @throws RecorderError `log_unavailable` while the posture is behind the log */
  readonly current: () => Pick<CurrentReads, 'posture'>;
  /** What is shown of the posture. */
  readonly shown: ShownPosture;
  /**
   * Whether the whole database is proved. Until then each incident takes a proof of its own, which reads the log: only the
   * first one of an action and directive is found overdue, and raises the alert.
   */
  readonly isProved: () => boolean;
  /** After how many milliseconds the policy in force calls a directive overdue. */
  readonly overdueAfter: () => number;
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

/** A directive of an action that is asked for and not known to be carried out, over all incidents that ask for it. */
export interface UnconfirmedDirective {
  readonly action: ContainmentAction;
  readonly directive: Directive;
  /** The incident that has waited longest, when it asked (RFC 3339), and how many milliseconds ago that is. */
  readonly incident: string;
  readonly asked_at: string;
  readonly age: number;
  /** Whether one of them is overdue, and for how many incidents that is on record. */
  readonly isOverdue: boolean;
  readonly overdue: number;
}

export class OverdueWatch {
  readonly #dependencies: OverdueWatchDependencies;
  readonly #ages: EntryAges;
  /** When something can become overdue at the earliest, by the monotonic clock, and under which `overdue_after`. */
  #earliest = { at: 0, after: 0 };
  #looking: Promise<void> | undefined;
  #isStopped = false;

  constructor(dependencies: OverdueWatchDependencies) {
    this.#dependencies = dependencies;
    this.#ages = new EntryAges(dependencies.clock, dependencies.log.status.entries);
  }

  /** Finds what has become overdue. To be called every second or so. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  /** Ends a look that is under way after its present incidents. Further looks do nothing. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#looking;
  }

  /** What is asked for and not known to be carried out: at most one for each action and directive. */
  get unconfirmed(): readonly UnconfirmedDirective[] {
    return ACTIONS.flatMap((action) => DIRECTIVES.flatMap((directive) => this.#unconfirmed(action, directive) ?? []));
  }

  #unconfirmed(action: ContainmentAction, directive: Directive): UnconfirmedDirective | undefined {
    const { shown, overdueAfter } = this.#dependencies;
    const { release, overdue, holders } = shown.of(action);
    const heads = directive === 'release' ? releaseHeads(release) : holders === 0 ? [] : headsOf(shown, action);
    const [oldest] = heads.toSorted((one, other) => one.askedSeq - other.askedSeq);
    if (oldest === undefined) return undefined;
    const count = directive === 'engage' ? overdue : heads.filter(({ wait }) => wait === 'overdue').length;
    const after = overdueAfter();
    return {
      action,
      directive,
      incident: oldest.incident,
      asked_at: new Date(oldest.askedAt).toISOString(),
      age: this.#ages.of(oldest),
      isOverdue: count > 0 || heads.some((head) => head.wait === 'waiting' && this.#ages.of(head) >= after),
      overdue: count,
    };
  }

  async #look(): Promise<void> {
    const { log, overdueAfter, clock } = this.#dependencies;
    this.#ages.note(log.status.entries);
    const after = overdueAfter();
    const now = clock.monotonic();
    if (this.#isStopped || (now < this.#earliest.at && after === this.#earliest.after)) return;
    // What is asked for from now on is overdue after that time at the earliest.
    let earliest = now + after;
    try {
      for (const action of ACTIONS) earliest = Math.min(earliest, now + (await this.#lookAt(action, after)));
    } catch (error) {
      // The log takes nothing now; the next look finds the same.
      earliest = now;
      if (!(error instanceof RecorderError)) this.#dependencies.onFault(error);
    }
    const ended = clock.monotonic();
    this.#earliest = { at: Math.max(earliest, ended + REST * (ended - now)), after };
  }

  /** Finds what is overdue of an action. @returns after how many milliseconds to look again at the latest */
  async #lookAt(action: ContainmentAction, after: number): Promise<number> {
    const { posture } = this.#dependencies.current();
    const { release } = posture.of(action);
    let again = after;
    for (const head of releaseHeads(release)) {
      if (head.wait !== 'waiting') continue;
      const left = after - this.#ages.of(head);
      if (left <= 0) await this.#find(action, 'release', head, after, true);
      else again = Math.min(again, left);
    }
    const waiting = posture.of(action).holders === 0 ? [] : posture.waiting(action, 'waiting', MOST_AT_ONCE);
    // The one that was asked for first is the first to be overdue.
    const due = waiting.filter((one) => this.#ages.of(one) >= after);
    const next = waiting[due.length];
    if (next !== undefined) again = Math.min(again, after - this.#ages.of(next));
    while (due.length > 0 && !this.#isStopped && posture.of(action).overdue === 0) {
      await this.#find(action, 'engage', due.shift()!, after, true);
    }
    const others = this.#dependencies.isProved() ? due : [];
    for (let at = 0; at < others.length && !this.#isStopped; at += MAX_AWAKE) {
      const some = others.slice(at, at + MAX_AWAKE);
      await Promise.all(some.map((one) => this.#find(action, 'engage', one, after, false)));
    }
    return others.length < due.length || (next === undefined && waiting.length > 0) ? 0 : again;
  }

  async #find(
    action: ContainmentAction,
    directive: Directive,
    asked: Unconfirmed,
    after: number,
    first: boolean,
  ): Promise<void> {
    const news = { type: 'overdue', waited: this.#ages.of(asked), after, first } as const;
    try {
      await this.#dependencies.incidents.actor(asked.incident).send({ type: 'deliver', action, directive, news });
    } catch (error) {
      // A resolved incident may have left the record, and its release with it. One that can't be proved waits.
      if (!isOfIncident(error)) throw error;
    }
  }
}

type Head = Unconfirmed & { readonly wait: (typeof WAITS)[number] };

/** For each reason to wait, the holder that has waited longest. */
const headsOf = (posture: ShownPosture, action: ContainmentAction): readonly Head[] =>
  WAITS.flatMap((wait) => posture.waiting(action, wait, 1).map((one) => ({ ...one, wait })));

/** The release of an action, while it is not known to be carried out. */
function releaseHeads(release: Release | null): readonly Head[] {
  if (release === null) return [];
  const { incident, delivery } = release;
  const wait = waitOf(delivery);
  if (wait === undefined) return [];
  return [{ incident, askedAt: Date.parse(delivery.asked_at), askedSeq: delivery.asked_seq, wait }];
}
