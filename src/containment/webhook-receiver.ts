import type { EntryLine } from '../audit/entry-line.ts';
import type { Clock } from '../clock.ts';
import { applianceAlert, applianceEventOf } from '../domain/appliance-alert.ts';
import { isAboutIncident, NOTIFIED_EVENTS } from '../domain/entries.ts';
import type { Incident } from '../domain/incident.ts';
import { isStillSo, noticeIn, passes } from '../domain/notice.ts';
import { isVendor, type VendorWebhook, type Webhook } from '../policy/targets.ts';
import type { AttemptResult } from './attempt-result.ts';
import { alertOf } from './formats/alertmanager.ts';
import { sendNotice } from './formats/notice-request.ts';
import { pagerdutyEvent } from './formats/pagerduty.ts';
import { sendToWebhook } from './webhook-request.ts';

/** What receivers of notices ask about incidents. */
export interface IncidentReads {
  /** The JSON text of an incident as it is now; undefined when it is not on record. @throws RecorderError */
  readonly incident: (id: string) => string | undefined;
  /** Whether a silence covers an incident at a time (milliseconds since the epoch). */
  readonly isSilenced: (incident: Incident, at: number) => boolean;
}

/** The receiver of one webhook: what it wants, and when it took an entry last. */
export class WebhookReceiver {
  webhook: Webhook;
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  readonly #reads: IncidentReads;
  /** When it took an entry last, by the monotonic clock. */
  #tookAt = -Infinity;
  #turn: Promise<void> = Promise.resolve();

  constructor(webhook: Webhook, clock: Clock, stopping: AbortSignal, reads: IncidentReads) {
    this.webhook = webhook;
    this.#clock = clock;
    this.#stopping = stopping;
    this.#reads = reads;
  }

  /**
   * Whether it has taken an entry after a moment of the monotonic clock: then it is up, whatever it says to another.
   */
  hasTakenSince(moment: number): boolean {
    return this.#tookAt > moment;
  }

  /**
   * Whether it asked for an entry. A report may contain its incident, so it counts as `incident.contained`, too. Where a
   * notice is made of the entry: whether there is one, as the incident is now.
   */
  wants(line: EntryLine): boolean {
    const { webhook } = this;
    if (isVendor(webhook)) return this.#noticeOf(webhook, line) !== undefined;
    if (webhook.alerts !== undefined) return applianceEventOf(line, webhook.alerts) !== undefined;
    const names: readonly string[] = webhook.events ?? NOTIFIED_EVENTS;
    if (names.includes(line.event)) return true;
    if (line.event !== 'incident.reported' || !names.includes('incident.contained')) return false;
    const entry = line.entry();
    return isAboutIncident(entry) && entry.data.state === 'contained';
  }

  /** In how many milliseconds an entry may be sent: a page waits for `group_wait`, in the time of its entry. */
  dueIn(line: EntryLine): number {
    const { format, group_wait: wait = 0 } = this.webhook;
    if (format !== 'pagerduty' || wait === 0) return 0;
    const notice = noticeIn(line);
    if (notice?.kind !== 'new' && notice?.kind !== 'again') return 0;
    const now = this.#clock.now();
    return Math.max(0, Math.min(Date.parse(notice.timestamp), now) + wait - now);
  }

  /** Sends an entry once, or the notice that is made of it. Only 2xx takes it. Rejects when its feed stops. */
  async send(line: EntryLine): Promise<AttemptResult> {
    const { webhook } = this;
    const result = await (isVendor(webhook)
      ? this.exclusively(() => this.#sendNotice(webhook, line))
      : this.#sendEntry(line));
    // It is over meanwhile, or silenced: nothing was sent, and nothing is known of the receiver.
    if (result === undefined) return { kind: 'done', receipt: { by: 'answer' } };
    if (result.kind === 'done') this.#tookAt = this.#clock.monotonic();
    return result;
  }

  /**
   * Does, one after the other, what reads how incidents are and sends that: so no older state arrives after a newer one,
   * and opens again what is closed.
   */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  #sendEntry(line: EntryLine): Promise<AttemptResult> {
    const { body, hash } = this.#contentOf(line);
    return sendToWebhook(this.webhook, { key: hash, event: line.event, body, signal: this.#stopping });
  }

  async #sendNotice(webhook: VendorWebhook, line: EntryLine): Promise<AttemptResult | undefined> {
    const incident = this.#noticeOf(webhook, line);
    if (incident === undefined) return undefined;
    const body = (routingKey: string): object =>
      webhook.format === 'pagerduty' ? pagerdutyEvent(incident, webhook, routingKey) : [alertOf(incident, webhook)];
    const { entry_hash: key } = line.entry();
    return sendNotice(webhook, { key, event: line.event, body, signal: this.#stopping });
  }

  /** The incident that a notice is to be made of, as it is now; undefined when there is none for this entry. */
  #noticeOf(webhook: VendorWebhook, line: EntryLine): Incident | undefined {
    const notice = noticeIn(line);
    if (notice === undefined) return undefined;
    const { kind, incident: id } = notice;
    const { format, send_resolved: sendResolved = true } = webhook;
    if (kind === 'attended' && format !== 'pagerduty') return undefined;
    if (kind === 'resolved' && !sendResolved) return undefined;
    const json = this.#reads.incident(id);
    // A resolved incident may have left the record; its identifier is enough to close it.
    if (json === undefined) return kind === 'resolved' && format === 'pagerduty' ? closing(id) : undefined;
    const incident = JSON.parse(json) as Incident;
    if (!passes(webhook, incident)) return undefined;
    const isSo =
      format === 'alertmanager' && kind !== 'resolved' ? incident.state !== 'resolved' : isStillSo(kind, incident);
    if (!isSo) return undefined;
    // What closes an alert is sent also where a silence has begun since.
    return kind !== 'resolved' && this.#reads.isSilenced(incident, this.#clock.now()) ? undefined : incident;
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
    const body = applianceAlert(event, entry, this.#reads.incident(entry.data.incident));
    return { body, hash: entry.entry_hash };
  }
}

/** As much of an incident as the event that closes it needs. */
const closing = (id: string): Incident => ({ id, state: 'resolved' }) as Incident;
