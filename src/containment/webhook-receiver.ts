import type { EntryLine } from '../audit/entry-line.ts';
import type { Clock } from '../clock.ts';
import { applianceAlert, applianceEventOf } from '../domain/appliance-alert.ts';
import { isAboutIncident, NOTIFIED_EVENTS } from '../domain/entries.ts';
import type { Webhook } from '../policy/targets.ts';
import type { AttemptResult } from './attempt-result.ts';
import { sendToWebhook } from './webhook-request.ts';

/** The receiver of one webhook: what it wants, and when it took an entry last. */
export class WebhookReceiver {
  webhook: Webhook;
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  readonly #incident: (id: string) => string | undefined;
  /** When it took an entry last, by the monotonic clock. */
  #tookAt = -Infinity;

  /** @param incident the JSON text of an incident as it is now; undefined when it is not on record */
  constructor(webhook: Webhook, clock: Clock, stopping: AbortSignal, incident: (id: string) => string | undefined) {
    this.webhook = webhook;
    this.#clock = clock;
    this.#stopping = stopping;
    this.#incident = incident;
  }

  /**
   * Whether it has taken an entry after a moment of the monotonic clock: then it is up, whatever it says to another.
   */
  hasTakenSince(moment: number): boolean {
    return this.#tookAt > moment;
  }

  /**
   * Whether it asked for an entry. A report may contain its incident, so it counts as `incident.contained`, too.
   */
  wants(line: EntryLine): boolean {
    if (this.webhook.alerts !== undefined) return applianceEventOf(line, this.webhook.alerts) !== undefined;
    const names: readonly string[] = this.webhook.events ?? NOTIFIED_EVENTS;
    if (names.includes(line.event)) return true;
    if (line.event !== 'incident.reported' || !names.includes('incident.contained')) return false;
    const entry = line.entry();
    return isAboutIncident(entry) && entry.data.state === 'contained';
  }

  /** Sends an entry once. Only 2xx takes it. Rejects when its feed stops. */
  async send(line: EntryLine): Promise<AttemptResult> {
    const { body, hash } = this.#contentOf(line);
    const result = await sendToWebhook(this.webhook, { key: hash, event: line.event, body, signal: this.#stopping });
    if (result.kind === 'done') this.#tookAt = this.#clock.monotonic();
    return result;
  }

  /** The body for an entry: its line, or the alert that a webhook of `alerting` knows. @throws RecorderError */
  #contentOf(line: EntryLine): { readonly body: string; readonly hash: string } {
    const { alerts } = this.webhook;
    if (alerts === undefined) {
      const body = line.bytes.toString();
      return { body, hash: (JSON.parse(body) as { entry_hash: string }).entry_hash };
    }
    const entry = line.entry();
    const event = applianceEventOf(line, alerts);
    if (event === undefined || !isAboutIncident(entry)) return { body: line.bytes.toString(), hash: entry.entry_hash };
    const body = applianceAlert(event, entry, this.#incident(entry.data.incident));
    return { body, hash: entry.entry_hash };
  }
}
