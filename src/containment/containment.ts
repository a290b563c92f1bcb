/**
 * Containment, wired together: what carries it out, what hears of it, and what is shown of it.
 */
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import type { IncidentActors } from '../incidents/actors.ts';
import type { Changes } from '../incidents/changes.ts';
import { DeliveryNews } from '../incidents/delivery-news.ts';
import type { Policy } from '../policy/policy.ts';
import type { Incident } from '../domain/incident.ts';
import type { Projections } from '../projections/projections.ts';
import { Dispatcher } from './dispatcher.ts';
import { Notifier } from './notifier.ts';
import { PostureView } from './posture-view.ts';
import { Confirmations } from './confirmations.ts';
import { ConfirmationDeadline } from './confirmation-deadline.ts';

export interface ContainmentParts {
  readonly log: AuditLog;
  readonly projections: Projections;
  readonly actors: IncidentActors;
  readonly changes: Changes;
  readonly policy: { readonly current: Policy };
  readonly clock: Clock;
  /** Told of what should not have happened. */
  readonly onFault: (error: unknown) => void;
}

export class Containment {
  readonly receipts: Confirmations;
  readonly view: PostureView;
  readonly dispatcher: Dispatcher;
  readonly notifier: Notifier;
  readonly #silence: ConfirmationDeadline;
  readonly #projections: Projections;
  /** Whether the webhooks' feeds have yet to follow the policy in force. */
  #isDue = false;

  constructor({ log, projections, actors, changes, policy, clock, onFault }: ContainmentParts) {
    this.#projections = projections;
    const { posture } = projections;
    const targets = () => policy.current.targets;
    const incident = (id: string): Incident | undefined => projections.incidents.record(id)?.incident;
    const news = new DeliveryNews({ changes, posture, actors, clock });
    const requireUpToDate = changes.requireUpToDate.bind(changes);
    this.dispatcher = new Dispatcher({ posture, news, incident, targets, clock, onFault });
    const wake = this.dispatcher.wake.bind(this.dispatcher);
    this.receipts = new Confirmations({ posture, news, log, targets, clock, wake, requireUpToDate });
    this.view = new PostureView({ posture, incident, targets, requireUpToDate });
    this.#silence = new ConfirmationDeadline({ posture, news, targets, clock, onFault });
    this.notifier = new Notifier({ log, webhooks: projections.webhooks, notify: () => policy.current.notify, clock });
  }

  /** Begins, or goes on under another policy. */
  follow(): void {
    this.dispatcher.wake();
    this.view.changed();
    this.#isDue = true;
    this.#followWebhooks();
  }

  /** Takes notice of entries that are on disk and applied. */
  applied(): void {
    this.view.changed();
    this.notifier.wake();
  }

  /** Looks after what time brings: what is due, and who has fallen silent. To be called every second or so. */
  beat(): void {
    this.dispatcher.wake();
    this.#followWebhooks();
    this.notifier.wake();
    void this.#silence.look();
  }

  async stop(): Promise<void> {
    this.view.stop();
    await Promise.all([this.dispatcher.stop(), this.notifier.stop()]);
  }

  /** While the projections are behind, there is no telling how far the webhooks are. */
  #followWebhooks(): void {
    if (!this.#isDue || this.#projections.unfinished) return;
    this.#isDue = false;
    void this.notifier.follow();
  }
}
