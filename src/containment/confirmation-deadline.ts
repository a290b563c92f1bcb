/**
 * Watches for silent services: one that must confirm every `confirm_every` and has not done so for three periods has
 * lost the action that it carried out.
 *
 * The time of its last confirmation is on record. While the recorder runs, the monotonic clock measures how long ago that
 * is. After a start a service has at least one period to confirm, because it could not while the recorder was down.
 */
import { ACTIONS, type ContainmentAction } from '../../machines/vocabulary.ts';
import { type Clock, SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import type { IncidentActor } from '../incidents/incident-actor.ts';
import type { Targets } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { isOfIncident } from '../projections/incident-proof.ts';

/**
 * A sign of life is noted at most twice in a period, so the last one may be half a period younger than what is on
 * record: three periods have certainly passed after three and a half.
 */
const PERIODS = 3.5;
/** How much of the silence before a start counts at most. */
const PERIODS_BEFORE_START = 2;
/** How many deliveries one look marks as lost; the next look takes the others. */
const MOST_AT_ONCE = 100;

export interface ConfirmationDeadlineDependencies {
  readonly incidents: { actor(id: string): Pick<IncidentActor, 'send'> };
  /** @throws RecorderError `log_unavailable` while the posture is behind the log */
  readonly current: () => Pick<CurrentReads, 'posture'>;
  readonly targets: () => Targets;
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

interface Heard {
  readonly at: string;
  /** The same by the monotonic clock. */
  readonly monotonic: number;
}

export class ConfirmationDeadline {
  readonly #dependencies: ConfirmationDeadlineDependencies;
  readonly #heard = new Map<ContainmentAction, Heard>();
  #looking: Promise<void> | undefined;
  #isStopped = false;

  constructor(dependencies: ConfirmationDeadlineDependencies) {
    this.#dependencies = dependencies;
  }

  /** Looks whether a service has been silent for too long. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  /** Ends a look that is under way after its present incident. Further looks do nothing. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#looking;
  }

  async #look(): Promise<void> {
    try {
      for (const action of ACTIONS) if (!this.#isStopped) await this.#lookAt(action);
    } catch (error) {
      // The log takes nothing now; the next look finds the same.
      if (!(error instanceof RecorderError)) this.#dependencies.onFault(error);
    }
  }

  async #lookAt(action: ContainmentAction): Promise<void> {
    const { incidents, current, targets, clock } = this.#dependencies;
    const { posture } = current();
    const every = targets()[action]?.confirm_every;
    const { heard_at, counts } = posture.of(action);
    if (every === undefined || heard_at === null || counts.confirmed === undefined) return;
    const silence = clock.monotonic() - this.#heardOf(action, heard_at, every).monotonic;
    if (silence <= PERIODS * every) return;
    const reason = `its service was not heard of for ${Math.round(silence / SECOND)} s`;
    for (const { incident } of posture.withStatus(action, 'confirmed', MOST_AT_ONCE)) {
      if (this.#isStopped) return;
      try {
        await incidents
          .actor(incident)
          .send({ type: 'deliver', action, directive: 'engage', news: { type: 'lost', reason } });
      } catch (error) {
        if (!isOfIncident(error)) throw error;
      }
    }
  }

  #heardOf(action: ContainmentAction, at: string, every: number): Heard {
    const { clock } = this.#dependencies;
    const known = this.#heard.get(action);
    if (known?.at === at) return known;
    const ago =
      known === undefined ? Math.min(Math.max(clock.now() - Date.parse(at), 0), PERIODS_BEFORE_START * every) : 0;
    const heard = { at, monotonic: clock.monotonic() - ago };
    this.#heard.set(action, heard);
    return heard;
  }
}
