import type { EntryLine } from '../audit/entry-line.ts';
import { type Clock, SECOND } from '../clock.ts';
import { isAboutIncident, NOTIFIED_EVENTS } from '../domain/entries.ts';
import type { Webhook } from '../policy/targets.ts';
import type { AttemptResult } from './attempt-result.ts';
import { send } from './http-target.ts';

const TIMEOUT = 5 * SECOND;

/** The receiver of one webhook: what it wants, and when it took an entry last. */
export class WebhookReceiver {
  webhook: Webhook;
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;
  /** When it took an entry last, by the monotonic clock. */
  #tookAt = -Infinity;

  constructor(webhook: Webhook, clock: Clock, stopping: AbortSignal) {
    this.webhook = webhook;
    this.#clock = clock;
    this.#stopping = stopping;
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
    const names: readonly string[] = this.webhook.events ?? NOTIFIED_EVENTS;
    if (names.includes(line.event)) return true;
    if (line.event !== 'incident.reported' || !names.includes('incident.contained')) return false;
    const entry = line.entry();
    return isAboutIncident(entry) && entry.data.state === 'contained';
  }

  /** Sends an entry once. Only 2xx takes it. Rejects when its feed stops. */
  async send(line: EntryLine): Promise<AttemptResult> {
    const { url, token_path: tokenPath, prove, secret_path: secretPath, ca_path: caPath } = this.webhook;
    const body = line.bytes.toString();
    const { entry_hash: hash } = JSON.parse(body) as { entry_hash: string };
    const result = await send({
      endpoint: { url },
      tokenPath,
      prove,
      secretPath,
      caPath,
      headers: { 'idempotency-key': hash, 'audit-event': line.event },
      body,
      timeout: TIMEOUT,
      signal: this.#stopping,
      confirm: 'status',
    });
    if (result.kind === 'done') this.#tookAt = this.#clock.monotonic();
    return result;
  }
}
