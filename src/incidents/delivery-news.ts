/**
 * What becomes of the deliveries of incidents, told to the log.
 *
 * Whoever carries a delivery out, or hears of it, brings the news here. The delivery's statechart decides what they
 * amount to; news that it does not take (a delivery that was superseded in the meantime) change nothing. An incident
 * whose containment has failed or was lost raises an alert in the same write.
 */
import { decide, stateOf } from '../../machines/decision.ts';
import type { DeliveryEvent } from '../../machines/delivery.ts';
import type { ContainmentAction, Directive, State, Channel } from '../../machines/vocabulary.ts';
import type { Draft } from '../audit/entry.ts';
import type { Receipt } from '../domain/incident-entries.ts';
import { type Clock, timestamp } from '../clock.ts';
import { type DeliveryRecord, move, standingOf } from '../domain/delivery.ts';
import { type IncidentRecord, situationOf } from '../domain/incident.ts';
import type { Posture } from '../projections/posture.ts';
import type { IncidentActors } from './actors.ts';
import type { Changes } from './changes.ts';

export interface DeliveryName {
  /** Identifier of the incident. */
  readonly incident: string;
  readonly action: ContainmentAction;
  readonly directive: Directive;
}

export type News =
  /** An attempt came to nothing; the next would be due after `wait` milliseconds. */
  | { readonly type: 'missed'; readonly error: string; readonly wait: number }
  /** It was answered, or found, to be of no use to try again. */
  | { readonly type: 'refused'; readonly error: string }
  | { readonly type: 'confirmed'; readonly attempted: boolean; readonly receipt: Receipt }
  | { readonly type: 'lost'; readonly reason: string }
  | { readonly type: 'retried'; readonly via: Channel; readonly by?: string; readonly note?: string };

export interface DeliveryNewsParts {
  readonly changes: Changes;
  readonly posture: Posture;
  readonly actors: IncidentActors;
  readonly clock: Clock;
}

export class DeliveryNews {
  readonly #parts: DeliveryNewsParts;

  constructor(parts: DeliveryNewsParts) {
    this.#parts = parts;
  }

  /**
   * Tells the log.
   * @returns the delivery after it; undefined when the news came too late to change anything
   * @throws RecorderError `not_found`, `log_unavailable`, `overloaded`, `stopping`; nothing has changed then
   */
  tell(name: DeliveryName, news: News): Promise<DeliveryRecord | undefined> {
    const { changes, actors } = this.#parts;
    return changes.take(name.incident, async () => {
      const before = changes.record(name.incident);
      const delivery = this.#delivery(before, name);
      const next = delivery === undefined ? undefined : move(delivery, eventOf(news));
      if (next === undefined) return undefined;
      const state = stateAfter(before, name, next);
      if (state === undefined) return undefined;
      const { entries } = await changes.append(this.#drafts(name, before, state, news, next), name.incident, before);
      actors.follow(before, entries);
      return next;
    });
  }

  /** The delivery as it is now. */
  find(name: DeliveryName): DeliveryRecord | undefined {
    return this.#delivery(this.#parts.changes.record(name.incident), name);
  }

  #delivery({ incident }: IncidentRecord, { action, directive }: DeliveryName): DeliveryRecord | undefined {
    // What is resolved holds nothing any more.
    if (directive === 'engage' && incident.state === 'resolved') return undefined;
    if (directive === 'engage') return incident.containment?.actions.find((delivery) => delivery.action === action);
    const { release } = this.#parts.posture.of(action);
    return release?.incident === incident.id ? release.delivery : undefined;
  }

  #drafts(
    { incident: id, action, directive }: DeliveryName,
    { incident }: IncidentRecord,
    state: State,
    news: News,
    { status, attempts }: DeliveryRecord,
  ): readonly Draft[] {
    const { changes, clock } = this.#parts;
    const about = { incident: id, version: incident.version + 1, state, action, directive };
    const drafted = (event: Draft['event'], said: Draft['data']): readonly Draft[] =>
      changes.drafts(event, { ...about, ...said }, incident);
    switch (news.type) {
      case 'missed': {
        const { error, wait } = news;
        if (status === 'failed') return drafted('containment.failed', { attempt: attempts, refused: false, error });
        const next_attempt_at = timestamp(clock.now() + wait);
        return drafted('containment.attempted', { attempt: attempts, error, wait_ms: wait, next_attempt_at });
      }
      case 'refused':
        return drafted('containment.failed', { attempt: attempts, refused: true, error: news.error });
      case 'confirmed': {
        const { attempted, receipt } = news;
        return drafted('containment.confirmed', { ...(attempted ? { attempt: attempts } : {}), receipt });
      }
      case 'lost':
        return drafted('containment.lost', { reason: news.reason });
      case 'retried': {
        const { via, by, note } = news;
        const said = { ...(by === undefined ? {} : { by }), ...(note === undefined ? {} : { note }) };
        return drafted('containment.retried', { via, ...said });
      }
      default:
        return news satisfies never;
    }
  }
}

function eventOf(news: News): DeliveryEvent {
  switch (news.type) {
    case 'missed':
      return { type: 'miss', wait: news.wait };
    case 'refused':
      return { type: 'refuse' };
    case 'confirmed':
      return { type: 'confirm', attempted: news.attempted };
    case 'lost':
      return { type: 'lose' };
    case 'retried':
      return { type: 'retry', via: news.via };
    default:
      return news satisfies never;
  }
}

/** The incident's state after the news; undefined when its statechart does not take them any more. */
function stateAfter(before: IncidentRecord, { action, directive }: DeliveryName, next: DeliveryRecord) {
  if (directive === 'release') return before.incident.state;
  const decision = decide(situationOf(before), { type: 'delivery', action, standing: standingOf(next) });
  return decision.kind === 'moved' ? stateOf(decision.snapshot) : undefined;
}
