/**
 * Ends snoozes whose time has come, so that these incidents need attention again.
 *
 * The deadlines are in the log, and the projections have them by time: nothing is kept in memory, so a restart forgets
 * none, and what became due while the recorder was down ends right after the start. The wall clock may be set back: then
 * a snooze ends when the time that it was for has passed (`Snoozes.due`).
 */
import { type Clock, MINUTE } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { isOfIncident } from '../projections/incident-proof.ts';
import type { DueSnooze } from '../projections/snoozes.ts';
import type { IncidentActor } from './incident-actor.ts';

/** How many incidents one look wakes; the next look takes the others. */
const MOST_AT_ONCE = 64;
/** How many of them are awake at the same time. Their entries share a sync. */
const MAX_AWAKE = 4;
/** How long to rest after a look, as a multiple of the time that it took: thousands may be due, and reports come first. */
const REST = 4;
/** How long one waits that can't be woken now, in milliseconds, and how many of these are remembered. */
const TRY_AGAIN = 1 * MINUTE;
const MOST_WAITING = 256;

export interface SnoozeWatchDependencies {
  readonly incidents: { actor(id: string): Pick<IncidentActor, 'send'> };
  /** @throws RecorderError `log_unavailable`, `starting` while the projections are behind the log */
  readonly current: () => Pick<CurrentReads, 'snoozes'>;
  /** Whether the whole database is proved. Until then each incident takes a proof of its own, which reads the log. */
  readonly isProved: () => boolean;
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

export class SnoozeWatch {
  readonly #dependencies: SnoozeWatchDependencies;
  /** When to look again at the earliest, by the monotonic clock. */
  #restUntil = -Infinity;
  /** Those that could not be woken, and when to try again. */
  readonly #waiting = new Map<string, number>();
  #looking: Promise<void> | undefined;
  #isStopped = false;

  constructor(dependencies: SnoozeWatchDependencies) {
    this.#dependencies = dependencies;
  }

  /** Wakes what is due. To be called every second or so. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  /** Ends a look that is under way after its present incidents. Further looks do nothing. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { current, isProved, clock } = this.#dependencies;
    const began = clock.monotonic();
    if (this.#isStopped || began < this.#restUntil) return;
    try {
      for (const [id, until] of this.#waiting) if (until <= began) this.#waiting.delete(id);
      const most = isProved() ? MOST_AT_ONCE : 1;
      const found = current().snoozes.due(clock.now(), most + this.#waiting.size);
      const due = found.filter(({ incident }) => !this.#waiting.has(incident)).slice(0, most);
      if (due.length === 0) return;
      for (let at = 0; at < due.length && !this.#isStopped; at += MAX_AWAKE) {
        await Promise.all(due.slice(at, at + MAX_AWAKE).map((one) => this.#end(one)));
      }
    } catch (error) {
      // The log takes nothing now; the next look finds the same.
      if (!(error instanceof RecorderError)) this.#dependencies.onFault(error);
    }
    const ended = clock.monotonic();
    this.#restUntil = ended + REST * (ended - began);
  }

  async #end({ incident, until }: DueSnooze): Promise<void> {
    try {
      const { change } = await this.#dependencies.incidents.actor(incident).send({ type: 'wake', until });
      if (change === 'moved') return;
    } catch (error) {
      if (!isOfIncident(error)) throw error;
    }
    // It can't be proved now, or the database says something else than the log: others come first.
    if (this.#waiting.size >= MOST_WAITING) this.#waiting.clear();
    this.#waiting.set(incident, this.#dependencies.clock.monotonic() + TRY_AGAIN);
  }
}
