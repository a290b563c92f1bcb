/** Keeps a feed for each webhook that the policy in force names. */
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { nameOf } from '../policy/target-url.ts';
import type { Webhook } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import { type DetailedWebhookStatus, WebhookFeed, type WebhookStatus } from './webhook-feed.ts';

export interface NotifierDependencies {
  readonly log: ReadableLog & Pick<AuditLog, 'append'>;
  /** @throws RecorderError `log_unavailable` while it is not known how far the webhooks are */
  readonly current: () => Pick<CurrentReads, 'takenBy'>;
  /** What the policy in force names. */
  readonly notify: () => readonly Webhook[];
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

export class Notifier {
  readonly #dependencies: NotifierDependencies;
  readonly #feeds = new Map<string, WebhookFeed>();
  /** Whether the feeds still have to follow the policy in force; `beat` tries again. */
  #isDue = false;
  #stopped = false;
  #following: Promise<void> = Promise.resolve();

  constructor(dependencies: NotifierDependencies) {
    this.#dependencies = dependencies;
  }

  /** How each webhook is, as anybody may see it. */
  get status(): readonly WebhookStatus[] {
    return [...this.#feeds.values()].map(({ status }) => status);
  }

  /** How each webhook is, with its address and the words of its last answer. */
  get detailedStatus(): readonly DetailedWebhookStatus[] {
    return [...this.#feeds.values()].map(({ detailedStatus }) => detailedStatus);
  }

  /** Makes the feeds look whether there is something to send. Cheap when there is not. */
  wake(): void {
    for (const feed of this.#feeds.values()) feed.wake();
  }

  /** Wakes the feeds, after they have followed the policy where they could not yet. Called every second or so. */
  beat(): void {
    if (this.#isDue) void this.follow();
    this.wake();
  }

  /** Makes the feeds follow the policy in force, after earlier calls are done. Never rejects. */
  follow(): Promise<void> {
    this.#isDue = true;
    this.#following = this.#following.then(() => this.#follow());
    return this.#following;
  }

  async #follow(): Promise<void> {
    if (this.#stopped || !this.#isDue) return;
    this.#isDue = false;
    try {
      await this.#followPolicy();
    } catch (error) {
      // It is not known now how far the webhooks are: the next beat tries again.
      this.#isDue = true;
      if (!(error instanceof RecorderError)) this.#dependencies.onFault(error);
    }
  }

  async #followPolicy(): Promise<void> {
    const { log, current, notify, clock } = this.#dependencies;
    const reads = current();
    // Older entries name a webhook by its whole URL.
    const positionOf = ({ url }: Webhook) => reads.takenBy(nameOf(url)) ?? reads.takenBy(url.text);
    const named = new Map(notify().map((webhook) => [webhook.url.text, webhook]));
    for (const [url, feed] of this.#feeds) {
      if (named.has(url)) continue;
      this.#feeds.delete(url);
      await feed.stop();
    }
    if (this.#stopped) return;
    for (const [url, webhook] of named) {
      const feed = this.#feeds.get(url) ?? new WebhookFeed(webhook, { log, clock, takenUpTo: positionOf(webhook) });
      feed.follow(webhook);
      this.#feeds.set(url, feed);
    }
    this.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#following;
    await Promise.all([...this.#feeds.values()].map((feed) => feed.stop()));
  }
}
