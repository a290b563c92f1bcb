/**
 * Carries containment out, with a lane for each action, so that a service that is down or hangs delays no other.
 *
 * Each lane has one connection at a time. A report never waits for any of this.
 */
import { ACTIONS, BY_HAND, type ContainmentAction, type Directive } from '../../machines/vocabulary.ts';
import { type Clock, SECOND } from '../clock.ts';
import type { DeliveryName } from '../domain/delivery.ts';
import type { IncidentActor } from '../incidents/incident-actor.ts';
import type { Endpoint, Target, Targets } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { ask } from './broker-target.ts';
import { bodyFor, headersFor } from './directive.ts';
import { send } from './http-target.ts';
import { Lane } from './lane.ts';
import type { AttemptResult } from './attempt-result.ts';

/** An agent that freezes drains its work first, for up to 35 s. */
const HTTP_TIMEOUT = 40 * SECOND;
const BROKER_TIMEOUT = 90 * SECOND;

/** What came of an attempt of a drill that was not made. */
export type Spared = { readonly kind: 'spared'; readonly reason: string } | { readonly kind: 'later' };

const LATER = { kind: 'later' } as const;
const SPARED = {
  engage: 'not asked: a real incident asks for it',
  release: 'not released: a real incident asks for it',
} as const;
const NOWHERE = 'not asked: the policy has no address for it';

export interface DispatcherDependencies {
  readonly incidents: { actor(id: string): Pick<IncidentActor, 'send' | 'delivery' | 'read' | 'proved'> };
  /** @throws RecorderError `log_unavailable` while the posture is behind the log */
  readonly current: () => Pick<CurrentReads, 'posture'>;
  /** Where the policy in force sends containment actions. */
  readonly targets: () => Targets;
  /** Whether it is proved that an action is not in force. */
  readonly isProved: (action: ContainmentAction) => boolean;
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

export class Dispatcher {
  readonly #dependencies: DispatcherDependencies;
  readonly #lanes: ReadonlyMap<ContainmentAction, Lane>;

  constructor(dependencies: DispatcherDependencies) {
    this.#dependencies = dependencies;
    const attempt = (name: DeliveryName, signal: AbortSignal) => this.#attempt(name, signal);
    this.#lanes = new Map(ACTIONS.map((action) => [action, new Lane(action, { ...dependencies, attempt })]));
  }

  /** Looks whether something is due for an action. */
  wake(action: ContainmentAction): void {
    // Without a target its service fetches it.
    if (this.#dependencies.targets()[action] !== undefined) this.#lanes.get(action)?.wake();
  }

  /** Looks whether something is due for any action. */
  wakeAll(): void {
    for (const lane of this.#lanes.values()) lane.wake();
  }

  /** Makes the next attempt of each action without a pause: the policy was loaded again. */
  hurryAll(): void {
    for (const lane of this.#lanes.values()) lane.hurry();
  }

  /**
   * Makes one attempt of a drill. Nothing is sent for an action that a real incident holds: to engage it says nothing new,
   * and to release it would end that.
   * @returns `spared` when nothing was sent for such a reason, `later` when a real directive goes first
   * @throws RecorderError when the incident or the posture can't be read now
   */
  async rehearse(name: DeliveryName): Promise<AttemptResult | Spared> {
    const { current, isProved, targets } = this.#dependencies;
    const result = await this.#lanes.get(name.action)!.rehearse(name.directive, async (signal) => {
      if (current().posture.of(name.action).holders > 0) {
        return { kind: 'spared', reason: SPARED[name.directive] } as const;
      }
      if (name.directive === 'release' && !isProved(name.action)) return LATER;
      if (name.directive === 'engage' && targets()[name.action]?.drill !== true) {
        return { kind: 'spared', reason: 'not asked: this is a drill' } as const;
      }
      return (await this.#attempt(name, signal)) ?? ({ kind: 'spared', reason: NOWHERE } as const);
    });
    return result ?? LATER;
  }

  /** Aborts what is being sent. It is sent again after the next start, under the same key. */
  async stop(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.stop()));
  }

  async #attempt(name: DeliveryName, signal: AbortSignal): Promise<AttemptResult | undefined> {
    const { incidents, targets } = this.#dependencies;
    const target = targets()[name.action];
    const endpoint = endpointOf(target, name.directive);
    const broker = name.directive === 'engage' ? target?.broker : undefined;
    if (endpoint === undefined && broker === undefined) return undefined;
    const actor = incidents.actor(name.incident);
    await actor.proved();
    const { incident } = actor.read();
    const body = bodyFor(name.action, incident);
    if (typeof body === 'string') return { kind: 'refused', error: body, unsent: true };
    if (endpoint !== undefined) {
      return send({
        endpoint,
        tokenPath: target?.token_path,
        prove: target?.prove,
        secretPath: target?.secret_path,
        caPath: target?.ca_path,
        headers: headersFor(name, incident, actor.delivery(name.action, name.directive)),
        body: { action: endpoint.action, ...body },
        timeout: target?.timeout ?? HTTP_TIMEOUT,
        signal,
        confirm: target?.confirm,
        final: target?.final,
        doneWhen: target?.done_when,
      });
    }
    return broker && ask({ broker, body, timeout: target?.timeout ?? BROKER_TIMEOUT, signal });
  }
}

/** Where a directive is sent; undefined when it is not sent as a request. */
function endpointOf(target: Target | undefined, directive: Directive): Endpoint | undefined {
  const endpoint = target?.[directive];
  return endpoint === BY_HAND ? undefined : endpoint;
}
