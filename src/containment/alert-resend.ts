/**
 * Sends Alertmanager all unresolved incidents again, once a minute: it takes an alert without an end for over when it has
 * not come for five minutes.
 *
 * A turn goes through the incidents on record, in batches with a pause as long as each took, so a restart goes on by itself
 * and nothing is kept about incidents. A turn that takes longer than a minute is followed by the next at once, and says
 * so: with more incidents than fit into five minutes, alerts would end there that have not ended here.
 */
import { CLASSES } from '../../machines/vocabulary.ts';
import { type Clock, MINUTE, timestamp } from '../clock.ts';
import type { Incident } from '../domain/incident.ts';
import { passes, severitiesOf } from '../domain/notice.ts';
import type { VendorWebhook } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { KindCursor } from '../projections/incidents-of-kinds.ts';
import type { AttemptResult } from './attempt-result.ts';
import { alertOf } from './formats/alertmanager.ts';
import { sendNotice } from './formats/notice-request.ts';
import { Rest } from './rest.ts';
import { pauseAfter } from './retry-pause.ts';
import type { IncidentReads, WebhookReceiver } from './webhook-receiver.ts';

const EVERY = 1 * MINUTE;
const MOST_AT_ONCE = 50;

/** How the last turn went, and the one that is under way. */
export interface ResendStatus {
  /** How many alerts the last turn has sent. */
  readonly alerts: number;
  /** How long it took, in milliseconds; of the present turn, when that has taken longer already. */
  readonly took_ms: number;
  /** Whether that is longer than the minute after which all are sent again. */
  readonly late: boolean;
}

export interface AlertResendParts {
  readonly webhook: () => VendorWebhook;
  readonly current: () => Pick<CurrentReads, 'incidentsOf'>;
  readonly isSilenced: IncidentReads['isSilenced'];
  readonly clock: Clock;
  readonly stopping: AbortSignal;
  /** See `WebhookReceiver`. */
  readonly exclusively: WebhookReceiver['exclusively'];
}

export class AlertResend {
  readonly #parts: AlertResendParts;
  readonly #rest: Rest;
  #working: Promise<void> | undefined;
  /** When the present turn began, or the last one, by the monotonic clock; and whether it is under way. */
  #began = -Infinity;
  #isUnderWay = false;
  /** Whether a batch of the turn was refused. */
  #isRefused = false;
  #after: KindCursor | undefined;
  #sent = 0;
  #last = { alerts: 0, took: 0 };
  #misses = 0;
  #lastError: string | undefined;

  constructor(parts: AlertResendParts) {
    this.#parts = parts;
    this.#rest = new Rest(parts.clock, parts.stopping);
  }

  get status(): ResendStatus {
    const underWay = this.#isUnderWay ? this.#parts.clock.monotonic() - this.#began : 0;
    const took = Math.round(Math.max(this.#last.took, underWay));
    return { alerts: this.#last.alerts, took_ms: took, late: took > EVERY };
  }

  /** Why the last batch was not taken; undefined when it was. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Begins a turn when it is time, and goes on with the present one. Cheap when there is nothing to do. */
  look(): void {
    const { clock, stopping } = this.#parts;
    this.#rest.look();
    if (stopping.aborted || this.#working !== undefined) return;
    if (!this.#isUnderWay && clock.monotonic() - this.#began < EVERY) return;
    this.#working = this.#work()
      .catch(() => {
        // Stopping, or the incidents on record are not known now: the next look goes on.
      })
      .finally(() => {
        this.#working = undefined;
      });
  }

  /** Ends the pause after a batch that was not taken. */
  hurry(): void {
    this.#rest.end();
  }

  async settle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    const { clock } = this.#parts;
    if (!this.#isUnderWay) {
      this.#isUnderWay = true;
      this.#began = clock.monotonic();
      this.#sent = 0;
      this.#isRefused = false;
      this.#after = undefined;
    }
    while (await this.#goOn());
    this.#last = { alerts: this.#sent, took: clock.monotonic() - this.#began };
    this.#isUnderWay = false;
  }

  /** Sends the next batch, and rests. Returns false when that was the last of the turn. */
  async #goOn(): Promise<boolean> {
    const { clock, exclusively } = this.#parts;
    const before = clock.monotonic();
    const { count, next, result } = await exclusively(() => this.#sendBatch());
    if (result !== undefined && result.kind !== 'done') this.#lastError = result.error;
    if (result?.kind === 'missed' || result?.kind === 'accepted') {
      const pause = pauseAfter(this.#misses, result.retryAfter);
      this.#misses += 1;
      await this.#rest.for(pause);
      return true;
    }
    // Refused is the batch for one of its alerts: Alertmanager has taken the others.
    this.#isRefused ||= result?.kind === 'refused';
    if (!this.#isRefused) this.#lastError = undefined;
    this.#misses = 0;
    this.#sent += count;
    this.#after = next;
    if (next === undefined) return false;
    await this.#rest.for(clock.monotonic() - before);
    return true;
  }

  #batch(): { readonly alerts: readonly object[]; readonly next: KindCursor | undefined } {
    const { webhook, current, isSilenced, clock } = this.#parts;
    const settings = webhook();
    const kinds = {
      states: ['open', 'contained', 'acknowledged'],
      classes: settings.class ?? CLASSES,
      severities: severitiesOf(settings.severity),
      drills: settings.drills === true,
    } as const;
    const { documents, next } = current().incidentsOf(kinds, this.#after, MOST_AT_ONCE);
    const now = clock.now();
    const alerts = documents
      .map((json) => JSON.parse(json) as Incident)
      .filter((one) => passes(settings, one) && !isSilenced(one, now))
      .map((one) => alertOf(one, settings));
    return { alerts, next };
  }

  /** Sends the incidents of the next batch, as they are now. */
  async #sendBatch(): Promise<{ count: number; next: KindCursor | undefined; result: AttemptResult | undefined }> {
    const { alerts, next } = this.#batch();
    return { count: alerts.length, next, result: alerts.length === 0 ? undefined : await this.#send(alerts) };
  }

  #send(alerts: readonly object[]): Promise<AttemptResult> {
    const { webhook, clock, stopping } = this.#parts;
    const key = `resend-${timestamp(clock.now())}`;
    return sendNotice(webhook(), { key, event: 'incident.unresolved', body: () => alerts, signal: stopping });
  }
}
