/**
 * Tells webhooks that the recorder lives: each webhook with a `heartbeat` gets a small request so often, while the recorder
 * takes reports. Where it stays away, the recorder is down, cut off, or refuses reports.
 *
 * A heartbeat has a connection of its own: the feed of entries and their order do not know of it. It is sent once and
 * never again: the next one says more. The body is
 *
 *     {"event":"recorder.alive","timestamp":"…","data":{"log_id":"…","last_seq":17,"version":"0.1.0","started_at":"…",
 *     "every_ms":60000}}
 *
 * with the headers of an entry: `Idempotency-Key`, `Audit-Event: recorder.alive`, token and signature.
 */
import type { AuditLog } from '../audit/log.ts';
import { type Clock, SECOND, timestamp } from '../clock.ts';
import { originOf } from '../policy/target-url.ts';
import type { Webhook } from '../policy/targets.ts';
import { VERSION } from '../version.ts';
import { briefly } from './http-target.ts';
import { sendToWebhook } from './webhook-request.ts';

/** For how long entries may wait for the disk until the recorder no longer counts as one that takes reports. */
const LONGEST_WRITE = 5 * SECOND;

const ALIVE = 'recorder.alive';

/** What became of the last heartbeat of a webhook. */
export interface HeartbeatStatus {
  /** The origin of the webhook. */
  readonly url: string;
  /** When one was taken last: RFC 3339; null when none was since the start. */
  readonly taken_at: string | null;
  /** Why the last one was not taken, without the words of an answer. */
  readonly last_error?: string;
}

export interface RecorderHeartbeatsDependencies {
  /** What the policy in force names. */
  readonly notify: () => readonly Webhook[];
  readonly log: Pick<AuditLog, 'status'>;
  /** Why reports are refused now; empty while they are taken. */
  readonly reasons: () => readonly string[];
  /** The identity of the log, when it is known. */
  readonly logId: () => string | undefined;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly clock: Clock;
}

interface Receiver {
  /** When the next heartbeat is due, by the monotonic clock. */
  due: number;
  sending: Promise<void> | undefined;
  takenAt: string | undefined;
  error: string | undefined;
}

export class RecorderHeartbeats {
  readonly #dependencies: RecorderHeartbeatsDependencies;
  /** By the URL. */
  readonly #receivers = new Map<string, Receiver>();
  readonly #stopping = new AbortController();
  /** How far the log was, and since when entries have waited without one of them being written. */
  #written = 0;
  #stuckSince: number | undefined;

  constructor(dependencies: RecorderHeartbeatsDependencies) {
    this.#dependencies = dependencies;
  }

  /** What became of the last heartbeats. */
  get status(): readonly HeartbeatStatus[] {
    return this.#wanting().map(({ url }) => {
      const { takenAt = null, error } = this.#receivers.get(url.text) ?? {};
      return {
        url: originOf(url),
        taken_at: takenAt,
        ...(error === undefined ? {} : { last_error: briefly(error) }),
      };
    });
  }

  /** Sends what is due. To be called every second or so. */
  beat(): void {
    if (this.#stopping.signal.aborted) return;
    const now = this.#dependencies.clock.monotonic();
    const wanting = this.#wanting();
    for (const url of this.#receivers.keys()) {
      if (!wanting.some((webhook) => webhook.url.text === url)) this.#receivers.delete(url);
    }
    if (wanting.length === 0 || !this.#takesReports(now)) return;
    for (const webhook of wanting) {
      const receiver = this.#receiverOf(webhook, now);
      if (receiver.sending !== undefined || now < receiver.due) continue;
      receiver.due = now + webhook.heartbeat;
      receiver.sending = this.#send(webhook, receiver).finally(() => (receiver.sending = undefined));
    }
  }

  /** Breaks off what is being sent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#receivers.values()].flatMap(({ sending }) => sending ?? []));
  }

  #wanting(): readonly (Webhook & { readonly heartbeat: number })[] {
    return this.#dependencies
      .notify()
      .flatMap((webhook) => (webhook.heartbeat === undefined ? [] : [{ ...webhook, heartbeat: webhook.heartbeat }]));
  }

  #receiverOf({ url, heartbeat }: Webhook & { readonly heartbeat: number }, now: number): Receiver {
    const known = this.#receivers.get(url.text);
    const receiver = known ?? { due: now, sending: undefined, takenAt: undefined, error: undefined };
    // The policy may ask for them more often now.
    receiver.due = Math.min(receiver.due, now + heartbeat);
    this.#receivers.set(url.text, receiver);
    return receiver;
  }

  /** Whether reports are taken: nothing refuses them, and what waits for the disk gets there. */
  #takesReports(now: number): boolean {
    const { log, reasons } = this.#dependencies;
    const { entries, waiting } = log.status;
    if (waiting === 0 || entries !== this.#written) this.#stuckSince = undefined;
    else this.#stuckSince ??= now;
    this.#written = entries;
    return reasons().length === 0 && now - (this.#stuckSince ?? now) < LONGEST_WRITE;
  }

  /** Never rejects. */
  async #send(webhook: Webhook & { readonly heartbeat: number }, receiver: Receiver): Promise<void> {
    const { log, logId, startedAt, clock } = this.#dependencies;
    const { heartbeat } = webhook;
    const now = clock.now();
    const time = timestamp(now);
    const data = {
      log_id: logId() ?? null,
      last_seq: log.status.entries,
      version: VERSION,
      started_at: startedAt,
      every_ms: heartbeat,
    };
    try {
      const result = await sendToWebhook(webhook, {
        key: `alive-${(logId() ?? '').slice(0, 12)}-${now}`,
        event: ALIVE,
        body: JSON.stringify({ event: ALIVE, timestamp: time, data }),
        timeout: heartbeat,
        signal: this.#stopping.signal,
      });
      receiver.error = result.kind === 'done' ? undefined : result.error;
      if (result.kind === 'done') receiver.takenAt = time;
    } catch {
      // It is stopping.
    }
  }
}
