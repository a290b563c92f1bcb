/**
 * Carries containment out: a lane for each action, so that a service which is dead or hangs holds up nobody else.
 *
 * Each lane has one connection at a time. A report never waits for any of this.
 */
import { ACTIONS, type ContainmentAction } from '../../machines/vocabulary.ts';
import { type Clock, SECOND } from '../clock.ts';
import type { DeliveryName, DeliveryNews } from '../incidents/delivery-news.ts';
import type { Targets } from '../policy/targets.ts';
import type { Incident } from '../domain/incident.ts';
import type { Posture } from '../projections/posture.ts';
import { ask } from './broker-target.ts';
import { bodyFor, headersFor } from './directive.ts';
import { send } from './http-target.ts';
import { Lane } from './lane.ts';
import type { AttemptResult } from './attempt-result.ts';

const HTTP_TIMEOUT = 5 * SECOND;
const BROKER_TIMEOUT = 90 * SECOND;

export interface DispatcherParts {
  readonly posture: Posture;
  readonly news: DeliveryNews;
  /** An incident that is on record. */
  readonly incident: (id: string) => Incident | undefined;
  /** Where the policy in force sends containment actions. */
  readonly targets: () => Targets;
  readonly clock: Clock;
  /** Told of what should not have happened. */
  readonly onFault: (error: unknown) => void;
}

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #lanes: ReadonlyMap<ContainmentAction, Lane>;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    const attempt = (name: DeliveryName, signal: AbortSignal) => this.#attempt(name, signal);
    this.#lanes = new Map(ACTIONS.map((action) => [action, new Lane(action, { ...parts, attempt })]));
  }

  /** Looks whether something is due: for one action, or for all. */
  wake(action?: ContainmentAction): void {
    if (action !== undefined) this.#lanes.get(action)?.wake();
    else for (const lane of this.#lanes.values()) lane.wake();
  }

  /** Breaks off what is being sent. It is sent again after the next start, under the same key. */
  async stop(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.stop()));
  }

  async #attempt(name: DeliveryName, signal: AbortSignal): Promise<AttemptResult | undefined> {
    const target = this.#parts.targets()[name.action];
    const endpoint = target?.[name.directive];
    const broker = name.directive === 'engage' ? target?.broker : undefined;
    const incident = this.#parts.incident(name.incident);
    if (incident === undefined || (endpoint === undefined && broker === undefined)) return undefined;
    const body = bodyFor(name.action, incident);
    if (typeof body === 'string') return { kind: 'refused', error: body };
    if (endpoint !== undefined) {
      return send({
        endpoint,
        tokenPath: target?.token_path,
        headers: headersFor(name, incident, this.#parts.news.find(name)),
        body: { action: endpoint.action, ...body },
        timeout: target?.timeout ?? HTTP_TIMEOUT,
        signal,
      });
    }
    return broker && ask({ broker, body, timeout: target?.timeout ?? BROKER_TIMEOUT, signal });
  }
}
