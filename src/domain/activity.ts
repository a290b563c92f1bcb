/** What an incident counts as among those of its hour. Durations count in steps: four of them double a duration. */
import type { Severity } from '../../machines/vocabulary.ts';
import { waitOf } from './delivery.ts';
import type { Incident } from './incident.ts';

const HOUR = 3_600_000;

export type Measure = 'contained' | 'resolved';

/** How long something took, over some hours. Times are in milliseconds, `null` where there is nothing to measure. */
export interface Durations {
  /** How many came to their end in these hours. */
  readonly count: number;
  readonly median_ms: number | null;
  readonly p90_ms: number | null;
  /** One for each hour, by when it was over. */
  readonly hourly_median_ms: readonly (number | null)[];
}

/** Whether an incident asks for containment that was never carried out. What was lost had been. */
export const isWaiting = (incident: Incident | undefined): boolean =>
  incident?.containment !== undefined &&
  incident.drill !== true &&
  incident.state !== 'resolved' &&
  incident.containment.actions.some((delivery) => waitOf(delivery) !== undefined);

type Contributing = Pick<Incident, 'created_at' | 'severity' | 'containment' | 'resolved_at' | 'drill'>;

export function contribute(counts: Map<string, number>, incident: Contributing, by: 1 | -1): void {
  if (incident.drill === true) return;
  const createdAt = Date.parse(incident.created_at);
  const count = (at: number, what: Severity | Measure, step: number): void => {
    const key = `${Math.floor(at / HOUR)} ${what} ${step}`;
    counts.set(key, (counts.get(key) ?? 0) + by);
  };
  const measure = (what: Measure, over: string | undefined): void => {
    if (over !== undefined) count(Date.parse(over), what, stepOf(Date.parse(over) - createdAt));
  };
  count(createdAt, incident.severity, 0);
  measure('contained', confirmedAt(incident));
  measure('resolved', incident.resolved_at);
}

/** When the last of its actions was confirmed; undefined until all are. */
function confirmedAt({ containment }: Contributing): string | undefined {
  if (containment?.status !== 'confirmed') return undefined;
  const times = containment.actions.flatMap(({ confirmed_at = [] }) => confirmed_at);
  return times.reduce<string | undefined>((latest = '', time) => (time > latest ? time : latest), undefined);
}

/** Four steps double a duration. */
const STEPS_PER_DOUBLING = 4;

/** Step 0 is for no time, or for less: the clock may have been set back. */
export const stepOf = (milliseconds: number): number =>
  milliseconds < 1 ? 0 : 1 + Math.floor(Math.log2(milliseconds) * STEPS_PER_DOUBLING);

/** The duration in the middle of a step, in milliseconds. */
const middleOf = (step: number): number => (step === 0 ? 0 : Math.round(2 ** ((step - 0.5) / STEPS_PER_DOUBLING)));

/** Durations of some hours, counted by their steps. */
export class Scales {
  readonly #hours: Map<number, number>[];
  readonly #all = new Map<number, number>();

  constructor(hours: number) {
    this.#hours = Array.from({ length: hours }, () => new Map());
  }

  add(hour: number, step: number, count: number): void {
    this.#hours[hour]?.set(step, count);
    this.#all.set(step, (this.#all.get(step) ?? 0) + count);
  }

  /** Adds durations that have not come to their end, and belong to no hour. */
  addWaiting(step: number, count: number): void {
    this.#all.set(step, (this.#all.get(step) ?? 0) + count);
  }

  read(): Durations {
    return {
      count: total(this.#all),
      median_ms: percentile(this.#all, 0.5),
      p90_ms: percentile(this.#all, 0.9),
      hourly_median_ms: this.#hours.map((hour) => percentile(hour, 0.5)),
    };
  }
}

const total = (steps: ReadonlyMap<number, number>): number =>
  [...steps.values()].reduce((sum, count) => sum + count, 0);

/** The duration that this share of them does not exceed. */
const percentile = (steps: ReadonlyMap<number, number>, share: number): number | null => {
  const wanted = total(steps) * share;
  let seen = 0;
  for (const [step, count] of [...steps].toSorted(([one], [other]) => one - other)) {
    seen += count;
    if (seen >= wanted) return middleOf(step);
  }
  return null;
};
