/**
 * What happened in each hour: what an incident contributes to the counts of its hours, and how they are shown. Pure; the
 * recorder and the fleet keep the counts in tables of their own.
 */
import { SEVERITIES, type Severity } from '../../machines/vocabulary.ts';
import { HOUR, SECOND } from '../clock.ts';
import { contribute, type Durations, isWaiting, type Measure, Scales, stepOf } from '../domain/activity.ts';
import type { Incident } from '../domain/incident.ts';

/**
 * Durations with those that have not come to their end. In median and p90 they count for as long as they have waited.
 */
export interface DurationsSoFar extends Durations {
  /** How many still wait, whenever they began. */
  readonly waiting: number;
  /** How long the one that has waited longest has waited, nearly. */
  readonly oldest_waiting_ms: number | null;
}

export interface ActivityReading {
  /** RFC 3339: the beginning of the first hour. */
  readonly from: string;
  readonly hours: number;
  /** How many were reported in each hour, oldest first. */
  readonly reported: Readonly<Record<Severity, readonly number[]>>;
  /** Until all of an incident's actions were confirmed. */
  readonly time_to_containment: DurationsSoFar;
  readonly time_to_resolution: Durations;
}

/** The most hours that can be read at once: a week. */
export const MOST_HOURS = 168;

/**
 * Incidents that wait are counted by when they were reported, twice: in short stretches, which are read for the last
 * hours, and in long ones, which are read for the time before. So a read looks at few rows for any number of incidents.
 */
export const SHORT = 10 * SECOND;
export const LONG = HOUR;
/** Reports that are younger than this are read in short stretches, in milliseconds. */
const RECENT = 3 * HOUR;

/** A count of an hour since the epoch: of reports of a severity, or of durations in a step of the scale. */
export interface HourCount {
  readonly hour: number;
  readonly what: string;
  readonly step: number;
  readonly count: number;
}

/** How many incidents that wait were reported in a stretch of time: its length and beginning in milliseconds. */
export interface WaitingCount {
  readonly length: number;
  readonly beginning: number;
  readonly count: number;
}

/** The first and the last of some hours up to now, and from when on those that wait are read in short stretches. */
export function hoursUpTo(now: number, hours: number) {
  const last = Math.floor(now / HOUR);
  return { first: last - hours + 1, last, recent: Math.floor((now - RECENT) / LONG) * LONG };
}

/**
 * The reading of the last hours up to the one of `now` (milliseconds since the epoch).
 * @param counted the counts of these hours, each sum once; and the long stretches before `recent`, the short ones from then on
 */
export function activityOf(
  now: number,
  hours: number,
  counted: { readonly counts: Iterable<HourCount>; readonly waiting: Iterable<WaitingCount> },
): ActivityReading {
  const { first } = hoursUpTo(now, hours);
  const reported = Object.fromEntries(SEVERITIES.map((severity) => [severity, Array<number>(hours).fill(0)]));
  const taken = { contained: new Scales(hours), resolved: new Scales(hours) };
  for (const { hour, what, step, count } of counted.counts) {
    const at = hour - first;
    const counts = reported[what];
    if (counts === undefined) taken[what as Measure].add(at, step, count);
    else counts[at] = count;
  }
  return {
    from: new Date(first * HOUR).toISOString(),
    hours,
    reported: reported as Record<Severity, number[]>,
    time_to_containment: soFar(taken.contained, counted.waiting, now),
    time_to_resolution: taken.resolved.read(),
  };
}

/** Adds those that are not contained yet. */
function soFar(scales: Scales, waitingCounts: Iterable<WaitingCount>, now: number): DurationsSoFar {
  const { hourly_median_ms, count } = scales.read();
  let waiting = 0;
  let oldest: number | null = null;
  for (const { length, beginning, count: some } of waitingCounts) {
    // The clock may have been set back.
    const age = Math.max(0, now - beginning - length / 2);
    oldest = Math.max(oldest ?? 0, age);
    waiting += some;
    scales.addWaiting(stepOf(age), some);
  }
  return { ...scales.read(), hourly_median_ms, count, waiting, oldest_waiting_ms: oldest };
}

/** What a batch of changes adds to the counts of those that wait, and takes from them. */
class WaitingShares {
  readonly #waiting = new Map<number, number>();

  /** Counts an incident as it is now, and no longer as it was. */
  follow(before: Incident | undefined, now: Incident): void {
    const [did, does] = [isWaiting(before), isWaiting(now)];
    if (did === does) return;
    const at = Date.parse(now.created_at);
    const short = Math.floor(at / SHORT) * SHORT;
    this.#waiting.set(short, (this.#waiting.get(short) ?? 0) + (does ? 1 : -1));
  }

  /** What changes: each is counted in a short and in a long stretch. */
  *rows(): Generator<WaitingCount> {
    for (const [beginning, count] of this.#waiting) {
      if (count === 0) continue;
      for (const length of [SHORT, LONG]) yield { length, beginning: Math.floor(beginning / length) * length, count };
    }
  }
}

/** What a batch of changes adds to all of these counts, and takes from them. */
export class ActivityShares {
  /** By hour, what and step, with a space between. */
  readonly counts = new Map<string, number>();
  readonly waiting = new WaitingShares();

  /** Counts an incident as it is now, and no longer as it was. */
  follow(before: Incident | undefined, now: Incident): void {
    if (before !== undefined) contribute(this.counts, before, -1);
    contribute(this.counts, now, 1);
    this.waiting.follow(before, now);
  }

  /** Takes an incident out of the counts that has left the record. */
  leave(incident: Incident): void {
    contribute(this.counts, incident, -1);
  }
}
