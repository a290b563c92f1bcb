/**
 * Tells critical incidents again while nobody attends to them: each one `repeat_interval` after it was created, and again
 * after each further one.
 *
 * So the log alone says when that is due. What is kept is one time for each webhook, up to which all that were due were
 * told (`repeated_at` of `notification.delivered`): a restart tells those that have become due since.
 */
import { CLASSES } from '../../machines/vocabulary.ts';
import { type Clock, HOUR, SECOND, timestamp } from '../clock.ts';
import type { Incident } from '../domain/incident.ts';
import { passes, severitiesOf } from '../domain/notice.ts';
import type { VendorWebhook } from '../policy/targets.ts';
import type { KindCursor } from '../projections/incidents-of-kinds.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { AttemptResult } from './attempt-result.ts';
import { pauseAfter } from './retry-pause.ts';
import type { IncidentReads } from './webhook-receiver.ts';

const DEFAULT_INTERVAL = 1 * HOUR;
/** How many incidents are told at a time. */
const MOST_AT_ONCE = 50;
/** How often it is looked for what is due: a twentieth of the interval, within these bounds. */
const SHORTEST_REST = 1 * SECOND;
const LONGEST_REST = 30 * SECOND;

export interface RemindersParts {
  readonly webhook: () => VendorWebhook;
  readonly current: () => Pick<CurrentReads, 'incidentsOf'>;
  readonly isSilenced: IncidentReads['isSilenced'];
  readonly clock: Clock;
  /** Up to when those that were due were told: RFC 3339; undefined when the webhook is new. */
  readonly known: string | undefined;
  /** Tells some incidents; gives what came of the last attempt. Rejects when the feed stops. */
  readonly tell: (incidents: readonly Incident[]) => Promise<AttemptResult>;
}

export class Reminders {
  readonly #parts: RemindersParts;
  /** Up to when those that were due were told, in milliseconds since the epoch. */
  #through: number;
  /** When to look again, by the monotonic clock. */
  #due = -Infinity;
  /** What is being told: up to when, and behind which incident it goes on. */
  #turn: { readonly to: number; after: KindCursor | undefined } | undefined;
  /** How often something was told. */
  #told = 0;
  #misses = 0;
  #lastError: string | undefined;

  constructor(parts: RemindersParts) {
    this.#parts = parts;
    this.#through = parts.known === undefined ? parts.clock.now() : Date.parse(parts.known);
  }

  /** Changes with everything that was told. */
  get told(): number {
    return this.#told;
  }

  /** Why the last attempt was not taken; undefined when it was. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Up to when those that were due were told: RFC 3339. */
  get through(): string {
    return timestamp(this.#through);
  }

  /**
   * Tells what is due. Cheap when it is not time to look. What was not taken is told again after a pause.
   * @throws RecorderError while the incidents on record are not known; rejects when the feed stops
   */
  async look(): Promise<void> {
    const { webhook, current, isSilenced, clock, tell } = this.#parts;
    const settings = webhook();
    const { repeat_interval: every = DEFAULT_INTERVAL, class: classes = CLASSES } = settings;
    const rest = Math.min(Math.max(every / 20, SHORTEST_REST), LONGEST_REST);
    if (clock.monotonic() < this.#due) return;
    const now = clock.now();
    // The clock may have been set back.
    this.#through = Math.min(this.#through, now);
    if (every === 0 || !severitiesOf(settings.severity).includes('critical')) {
      this.#through = now;
      this.#due = clock.monotonic() + rest;
      return;
    }
    const turn = (this.#turn ??= { to: now, after: undefined });
    const kinds = {
      states: ['open', 'contained'],
      classes,
      severities: ['critical'],
      drills: settings.drills === true,
    } as const;
    do {
      const due = { every, from: this.#through, to: turn.to };
      const { documents, next } = current().incidentsOf(kinds, turn.after, MOST_AT_ONCE, due);
      const unattended = documents
        .map((json) => JSON.parse(json) as Incident)
        .filter((one) => passes(settings, one) && one.snoozed_until === undefined && !isSilenced(one, now));
      if (unattended.length > 0) {
        const result = await tell(unattended);
        if (result.kind !== 'done') return this.#pause(result);
        this.#misses = 0;
        this.#lastError = undefined;
        this.#told += 1;
      }
      turn.after = next;
    } while (turn.after !== undefined);
    this.#through = turn.to;
    this.#turn = undefined;
    this.#due = clock.monotonic() + rest;
  }

  /** Makes the next attempt at once. */
  hurry(): void {
    this.#due = -Infinity;
  }

  #pause(result: Exclude<AttemptResult, { kind: 'done' }>): void {
    this.#lastError = result.error;
    const pause = pauseAfter(this.#misses, result.kind === 'missed' ? result.retryAfter : undefined);
    this.#misses += 1;
    this.#due = this.#parts.clock.monotonic() + pause;
  }
}
