/** Keeps a feed for each webhook that the policy in force names. */
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import type { Signed } from '../domain/caller.ts';
import { RecorderError } from '../errors.ts';
import { nameOf, originOf } from '../policy/target-url.ts';
import { isVendor, type Webhook } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { ShownWebhooks } from '../projections/webhooks.ts';
import { GroupedFeed } from './grouped-feed.ts';
import { type DetailedWebhookStatus, type Feed, WebhookFeed, type WebhookStatus } from './webhook-feed.ts';
import type { IncidentReads } from './webhook-receiver.ts';

/** Which entry a webhook is to get again. */
export type WebhookRetry = Signed & {
  /** Its name in the log, or its URL as the policy writes it, or its origin where no other webhook has that. */
  readonly webhook: string;
  readonly seq: number;
};

export interface NotifierDependencies {
  readonly log: ReadableLog & Pick<AuditLog, 'append'>;
  /** @throws RecorderError `log_unavailable` while it is not known how far the webhooks are */
  readonly current: () => Pick<CurrentReads, 'takenBy' | 'skippedFor' | 'document' | 'incidentsOf' | 'allSilences'>;
  readonly shown: Pick<ShownWebhooks, 'countSkipped'>;
  /** What the policy in force names. */
  readonly notify: () => readonly Webhook[];
  /** Whether a silence covers an incident at a time: then there are no notices of it. By default none does. */
  readonly isSilenced?: IncidentReads['isSilenced'];
  readonly clock: Clock;
  /** Receives errors that should never happen. */
  readonly onFault: (error: unknown) => void;
}

export class Notifier {
  readonly #dependencies: NotifierDependencies;
  readonly #feeds = new Map<string, Feed>();
  /** How many entries the log had when the policy first named each webhook: one that is new gets those after them. */
  readonly #namedAt = new Map<string, number>();
  /** Whether the feeds still have to follow the policy in force; `beat` tries again. */
  #isDue = false;
  #stopped = false;
  #following: Promise<void> = Promise.resolve();

  constructor(dependencies: NotifierDependencies) {
    this.#dependencies = dependencies;
    // Here and not when the feeds begin: until then a long log may be read, while reports are taken.
    this.#noteNames();
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

  /**
   * Sends a webhook an entry again that was skipped or is parked, for another day.
   * @returns the name of the webhook in the log
   * @throws RecorderError `not_found` when there is no such webhook or entry, and what an append throws
   */
  async retry({ webhook: given, seq, ...sender }: WebhookRetry): Promise<{ readonly webhook: string; seq: number }> {
    const feed = this.#named(given);
    const name = nameOf(feed.webhook.url);
    const skipped = this.#dependencies.current().skippedFor(name, seq);
    if (await feed.retry(seq, skipped?.event, sender)) return { webhook: name, seq };
    throw new RecorderError('not_found', `entry ${seq} was neither skipped nor parked for ${name}`);
  }

  /** Records how far the webhooks are. Never rejects. */
  async record(): Promise<void> {
    await Promise.allSettled([...this.#feeds.values()].map((feed) => feed.record()));
  }

  #named(given: string): Feed {
    const feeds = [...this.#feeds.values()];
    const exact = feeds.find(({ webhook: { url } }) => nameOf(url) === given || url.text === given);
    const [found, another] = exact ? [exact] : feeds.filter(({ webhook: { url } }) => originOf(url) === given);
    if (found !== undefined && another === undefined) return found;
    const allowed = feeds.map(({ webhook: { url } }) => nameOf(url));
    const message = another === undefined ? 'no such webhook' : 'several webhooks have this origin';
    throw new RecorderError('not_found', `${message}; in force: ${allowed.join(', ') || 'none'}`, {
      fields: { allowed },
    });
  }

  /** Makes the feeds follow the policy in force, after earlier calls are done. Never rejects. */
  follow(): Promise<void> {
    this.#isDue = true;
    this.#noteNames();
    this.#following = this.#following.then(() => this.#follow());
    return this.#following;
  }

  #noteNames(): void {
    const { log, notify } = this.#dependencies;
    const named = new Set(notify().map(({ url }) => url.text));
    for (const url of this.#namedAt.keys()) if (!named.has(url)) this.#namedAt.delete(url);
    for (const url of named) if (!this.#namedAt.has(url)) this.#namedAt.set(url, log.status.entries);
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
    const { log, current, shown, notify, isSilenced = () => false, clock } = this.#dependencies;
    const known = current();
    // Older entries name a webhook by its whole URL.
    const knownOf = ({ url }: Webhook) => known.takenBy(nameOf(url)) ?? known.takenBy(url.text);
    const feedFor = (webhook: Webhook): Feed => {
      const countSkipped = () => shown.countSkipped(nameOf(webhook.url));
      const since = this.#namedAt.get(webhook.url.text) ?? log.status.entries;
      const reads = { incident: (id: string): string | undefined => current().document(id)?.json, isSilenced };
      const parts = { log, clock, known: knownOf(webhook), since, countSkipped, reads, current };
      return isVendor(webhook) && webhook.format === 'slack'
        ? new GroupedFeed(webhook, parts)
        : new WebhookFeed(webhook, parts);
    };
    const named = new Map(notify().map((webhook) => [webhook.url.text, webhook]));
    for (const [url, feed] of this.#feeds) {
      const webhook = named.get(url);
      // One that is sent something else from now on begins again at its position.
      if (webhook !== undefined && webhook.format === feed.webhook.format) continue;
      this.#feeds.delete(url);
      await feed.stop();
    }
    if (this.#stopped) return;
    current();
    for (const [url, webhook] of named) {
      const feed = this.#feeds.get(url) ?? feedFor(webhook);
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
