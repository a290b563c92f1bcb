/**
 * Sends one webhook the entries of the audit log that it asked for: each at least once, in order.
 *
 * A feed reads the log from the webhook's position, sends one entry at a time, and continues when the webhook has taken
 * it. An answer that another attempt would not change counts as taken, and `status` shows it. The position is recorded
 * in the log (`notification.delivered`) from time to time: after a crash the last entries are sent again, under the same
 * keys.
 * The log names the webhook by `nameOf`, because its path may be a secret and many people read the log.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { EntryLine } from '../audit/entry-line.ts';
import { LogCursor } from '../audit/log-cursor.ts';
import type { AuditLog, ReadableLog } from '../audit/log.ts';
import { type Clock, SECOND, timestamp } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { nameOf, originOf } from '../policy/target-url.ts';
import type { Webhook } from '../policy/targets.ts';
import { pauseAfter } from './retry-pause.ts';
import { briefly, send } from './http-target.ts';
import { isAboutIncident, NOTIFIED_EVENTS } from '../domain/entries.ts';

const TIMEOUT = 5 * SECOND;
/** How often the webhook's position is recorded in the log. */
const RECORD_EVERY = 30 * SECOND;

/** How a webhook is, as `GET /health` shows it to anybody. */
export interface WebhookStatus {
  /** Its origin: the path may be a secret. */
  readonly url: string;
  readonly status: 'ok' | 'failing';
  /** How many entries of the log are after its position, wanted or not. */
  readonly behind: number;
  /** How many entries it has refused since the start. */
  readonly refused: number;
  /** Without the words of its answer. */
  readonly last_error?: string;
}

/** How a webhook is, for the metrics, and for readers with the token. */
export interface DetailedWebhookStatus {
  readonly webhook: Webhook;
  readonly status: WebhookStatus;
  /** In the words of its answer. */
  readonly lastError: string | undefined;
}

export interface WebhookFeedParts {
  readonly log: ReadableLog & Pick<AuditLog, 'append'>;
  readonly clock: Clock;
  /** The `seq` up to which the webhook has taken the log; undefined when it is new. */
  readonly takenUpTo: number | undefined;
}

export class WebhookFeed {
  readonly #parts: WebhookFeedParts;
  readonly #stopping = new AbortController();
  #webhook: Webhook;
  #cursor: LogCursor | undefined;
  /** The last entry that was taken, or is not for it. */
  #position: number;
  /** The position that the log has, and when it was recorded, by the monotonic clock. */
  #recorded: number;
  #recordedAt = -Infinity;
  /** Whether anything was sent since. */
  #sent = false;
  #working: Promise<void> | undefined;
  #misses = 0;
  #refused = 0;
  #lastError: string | undefined;

  constructor(webhook: Webhook, parts: WebhookFeedParts) {
    this.#webhook = webhook;
    this.#parts = parts;
    // In a database that somebody has edited it may be ahead of the log: then it would take nothing any more.
    const { entries } = parts.log.status;
    this.#position = Math.min(parts.takenUpTo ?? entries, entries);
    this.#recorded = parts.takenUpTo ?? -1;
  }

  get status(): WebhookStatus {
    return {
      url: originOf(this.#webhook.url),
      status: this.#misses === 0 ? 'ok' : 'failing',
      behind: this.#parts.log.status.entries - this.#position,
      refused: this.#refused,
      ...(this.#lastError === undefined ? {} : { last_error: briefly(this.#lastError) }),
    };
  }

  get detailedStatus(): DetailedWebhookStatus {
    return { webhook: this.#webhook, status: this.status, lastError: this.#lastError };
  }

  /** Continues under the policy in force. */
  follow(webhook: Webhook): void {
    this.#webhook = webhook;
  }

  /** Looks whether there is something to send. Cheap when there is not. */
  wake(): void {
    if (this.#stopping.signal.aborted || this.#working !== undefined) return;
    this.#working = this.#work()
      .catch(() => {
        // Stopping, or the log can't be read or written now: the next wake continues from the position.
        this.#cursor = undefined;
      })
      .finally(() => {
        this.#working = undefined;
      });
  }

  /** Stops sending and records the position in the log. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
    await this.#record().catch(() => {});
  }

  async #work(): Promise<void> {
    // A new webhook's first entry must not depend on when the next start is.
    if (this.#recorded < 0) await this.#record();
    this.#cursor ??= new LogCursor(this.#parts.log, this.#position);
    for (let page = await this.#page(); page.length > 0; page = await this.#page()) {
      for (const line of page) {
        if (isFor(this.#webhook, line)) await this.#deliver(line);
        this.#position = line.seq;
        await this.#recordIfDue();
      }
    }
    await this.#recordIfDue();
  }

  async #page(): Promise<readonly EntryLine[]> {
    const cursor = this.#cursor!;
    try {
      return await cursor.next();
    } catch (error) {
      if (!(error instanceof RecorderError) || error.code !== 'gone') throw error;
      // What was archived before the webhook took it is at least a day old.
      this.#cursor = new LogCursor(this.#parts.log, Number(error.fields.first_seq) - 1);
      return this.#cursor.next();
    }
  }

  /** Sends an entry until it is taken. */
  async #deliver(line: EntryLine): Promise<void> {
    const { signal } = this.#stopping;
    const body = line.bytes.toString();
    const { entry_hash: hash } = JSON.parse(body) as { entry_hash: string };
    for (;;) {
      const { url, token_path: tokenPath, prove, secret_path: secretPath, ca_path: caPath } = this.#webhook;
      const headers = { 'idempotency-key': hash, 'audit-event': line.event };
      const outcome = await send({
        endpoint: { url },
        tokenPath,
        prove,
        secretPath,
        caPath,
        headers,
        body,
        timeout: TIMEOUT,
        signal,
        confirm: 'status',
      });
      this.#sent = true;
      if (outcome.kind !== 'missed') {
        this.#misses = 0;
        this.#refused += outcome.kind === 'refused' ? 1 : 0;
        this.#lastError = outcome.kind === 'refused' ? outcome.error : undefined;
        return;
      }
      this.#lastError = outcome.error;
      const wait = pauseAfter(this.#misses, outcome.retryAfter);
      this.#misses += 1;
      await pause(wait, undefined, { signal });
    }
  }

  async #recordIfDue(): Promise<void> {
    if (this.#sent && this.#parts.clock.monotonic() - this.#recordedAt >= RECORD_EVERY) await this.#record();
  }

  async #record(): Promise<void> {
    if (this.#recorded === this.#position) return;
    const { log, clock } = this.#parts;
    const through_seq = this.#position;
    const data = { url: nameOf(this.#webhook.url), through_seq };
    await log.append([{ timestamp: timestamp(clock.now()), event: 'notification.delivered', data }]);
    this.#recorded = through_seq;
    this.#recordedAt = clock.monotonic();
    this.#sent = false;
  }
}

/** Whether a webhook asked for an entry. A report may contain its incident, so it counts as `incident.contained`, too. */
function isFor({ events = NOTIFIED_EVENTS }: Webhook, line: EntryLine): boolean {
  const names: readonly string[] = events;
  if (names.includes(line.event)) return true;
  if (line.event !== 'incident.reported' || !names.includes('incident.contained')) return false;
  const entry = line.entry();
  return isAboutIncident(entry) && entry.data.state === 'contained';
}
