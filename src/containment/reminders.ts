/**
 * Tells critical incidents again while nobody attends to them: each one `repeat_interval` after it was created, and again
 * after each further one. When a silence is over, it tells what is open or contained and was kept from being told.
 *
 * So the log alone says when that is due. What is kept is one time for each webhook, up to which all that were due were
 * told (`repeated_at` of `notification.delivered`): a restart tells those that have become due since.
 */
import { CLASSES } from '../../machines/vocabulary.ts';
import { type Clock, HOUR, SECOND, timestamp } from '../clock.ts';
import type { Incident } from '../domain/incident.ts';
import { passes, severitiesOf } from '../domain/notice.ts';
import type { SilenceOnRecord } from '../domain/silence-terms.ts';
import type { VendorWebhook } from '../policy/targets.ts';
import type { CurrentReads } from '../projections/current-reads.ts';
import type { DueMoments, KindCursor, Kinds } from '../projections/incidents-of-kinds.ts';
import { silencesMatching } from '../query/silence-match.ts';
import type { AttemptResult } from './attempt-result.ts';
import { pauseAfter } from './retry-pause.ts';
import type { IncidentReads } from './webhook-receiver.ts';

const DEFAULT_INTERVAL = 1 * HOUR;
/** How many incidents are told at a time. */
const MOST_AT_ONCE = 50;
/** How often it is looked for what is due: a twentieth of the interval, within these bounds. */
const SHORTEST_REST = 1 * SECOND;
const LONGEST_REST = 30 * SECOND;

/** Why incidents are told again: nobody attends to them, or the silence is over that kept them from being told. */
export type ReminderReason = 'unattended' | 'silence over';

export interface RemindersParts {
  readonly webhook: () => VendorWebhook;
  readonly current: () => Pick<CurrentReads, 'incidentsOf' | 'allSilences'>;
  readonly isSilenced: IncidentReads['isSilenced'];
  readonly clock: Clock;
  /** Up to when those that were due were told: RFC 3339; undefined when the webhook is new. */
  readonly known: string | undefined;
  /** Tells some incidents; gives what came of the last attempt. Rejects when the feed stops. */
  readonly tell: (incidents: readonly Incident[], reason: ReminderReason) => Promise<AttemptResult>;
}

/** What one pass over the incidents sends. */
interface Pass {
  readonly reason: ReminderReason;
  readonly kinds: Kinds;
  readonly due?: DueMoments;
  readonly isMeant: (incident: Incident) => boolean;
}

interface ReminderTurn {
  /** Up to when it tells what is due. */
  readonly to: number;
  /** What is still to be told. */
  readonly passes: Pass[];
  /** Behind which incident the first of them goes on. */
  after: KindCursor | undefined;
}

export class Reminders {
  readonly #parts: RemindersParts;
  /** Up to when those that were due were told, in milliseconds since the epoch. */
  #through: number;
  /** When to look again, by the monotonic clock. */
  #due = -Infinity;
  /** What is being told. */
  #turn: ReminderTurn | undefined;
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
    const now = clock.now();
    // The clock may have been set back.
    this.#through = Math.min(this.#through, now);
    const isRested = clock.monotonic() >= this.#due;
    // The end of a silence waits for a failing receiver alone.
    if (!isRested && (this.#misses > 0 || this.#silencesOver(now).length === 0)) return;
    const settings = webhook();
    const turn = (this.#turn ??= { to: now, passes: this.#passes(settings, now), after: undefined });
    for (let pass = turn.passes[0]; pass !== undefined; pass = turn.passes[0]) {
      const { reason, kinds, due, isMeant } = pass;
      const { documents, next } = current().incidentsOf(kinds, turn.after, MOST_AT_ONCE, due);
      const incidents = documents
        .map((json) => JSON.parse(json) as Incident)
        .filter((one) => passes(settings, one) && one.snoozed_until === undefined && isMeant(one))
        .filter((one) => !isSilenced(one, now));
      if (incidents.length > 0) {
        const result = await tell(incidents, reason);
        if (result.kind !== 'done') return this.#pause(result);
        this.#misses = 0;
        this.#lastError = undefined;
        this.#told += 1;
      }
      turn.after = next;
      if (next === undefined) turn.passes.shift();
    }
    this.#through = turn.to;
    this.#turn = undefined;
    this.#due = clock.monotonic() + restOf(settings);
  }

  /** What has become due up to a time. */
  #passes(settings: VendorWebhook, to: number): Pass[] {
    const { repeat_interval: every = DEFAULT_INTERVAL, class: classes = CLASSES } = settings;
    const severities = severitiesOf(settings.severity);
    const common = { states: ['open', 'contained'], classes, drills: settings.drills === true } as const;
    const over = this.#silencesOver(to);
    const passesDue: Pass[] = [];
    if (over.length > 0) {
      const isMeant = (one: Incident): boolean =>
        silencesMatching(one, over).some((silence) => Date.parse(one.created_at) <= endOf(silence));
      passesDue.push({ reason: 'silence over', kinds: { ...common, severities }, isMeant });
    }
    if (every > 0 && severities.includes('critical')) {
      const due = { every, from: this.#through, to };
      passesDue.push({
        reason: 'unattended',
        kinds: { ...common, severities: ['critical'] },
        due,
        isMeant: () => true,
      });
    }
    return passesDue;
  }

  /** The silences that have come to their end since the last turn. */
  #silencesOver(to: number): readonly SilenceOnRecord[] {
    return this.#parts
      .current()
      .allSilences()
      .filter((silence) => {
        const end = endOf(silence);
        return end > this.#through && end <= to && end > Date.parse(silence.from);
      });
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

/** For how long nothing is looked for, in milliseconds. */
const restOf = ({ repeat_interval: every = DEFAULT_INTERVAL }: VendorWebhook): number =>
  Math.min(Math.max(every / 20, SHORTEST_REST), LONGEST_REST);

/** When a silence is over, or will be, in milliseconds since the epoch. */
const endOf = ({ until, ended }: Pick<SilenceOnRecord, 'until' | 'ended'>): number =>
  Math.min(Date.parse(until), ended === undefined ? Infinity : Date.parse(ended.at));
