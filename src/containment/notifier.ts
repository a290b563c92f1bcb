/** Keeps a feed for each webhook that the policy in force names. */
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import type { Webhook } from '../policy/targets.ts';
import type { Webhooks } from '../projections/webhooks.ts';
import { WebhookFeed, type WebhookStatus } from './webhook-feed.ts';

export interface NotifierParts {
  readonly log: Pick<AuditLog, 'append' | 'status' | 'sealed' | 'fileOf'>;
  readonly webhooks: Webhooks;
  /** What the policy in force names. */
  readonly notify: () => readonly Webhook[];
  readonly clock: Clock;
}

export class Notifier {
  readonly #parts: NotifierParts;
  readonly #feeds = new Map<string, WebhookFeed>();
  #stopped = false;
  #following: Promise<void> = Promise.resolve();

  constructor(parts: NotifierParts) {
    this.#parts = parts;
  }

  /** How each webhook is. */
  get status(): readonly WebhookStatus[] {
    return [...this.#feeds.values()].map(({ status }) => status);
  }

  /** Looks whether there is something to tell. Cheap when there is not. */
  wake(): void {
    for (const feed of this.#feeds.values()) feed.wake();
  }

  /** Goes on under the policy in force, when an earlier call of this has done so. */
  follow(): Promise<void> {
    this.#following = this.#following.then(() => this.#follow());
    return this.#following;
  }

  async #follow(): Promise<void> {
    if (this.#stopped) return;
    const { log, webhooks, notify, clock } = this.#parts;
    const named = new Map(notify().map((webhook) => [webhook.url.text, webhook]));
    for (const [url, feed] of this.#feeds) {
      if (named.has(url)) continue;
      this.#feeds.delete(url);
      await feed.stop();
    }
    if (this.#stopped) return;
    for (const [url, webhook] of named) {
      const feed = this.#feeds.get(url) ?? new WebhookFeed(webhook, { log, clock, takenUpTo: webhooks.cursor(url) });
      feed.follow(webhook);
      this.#feeds.set(url, feed);
    }
    this.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#feeds.values()].map((feed) => feed.stop()));
  }
}
