import { signal } from '@preact/signals';
import type { ActivityReading } from '../../query/activity-counts.ts';
import type { ComparisonReading } from '../../query/comparison-reading.ts';
import { HOUR, MINUTE, SECOND } from '../../clock.ts';
import { LiveResource } from '../live-resource.ts';
import { serviceTime } from '../service-time.ts';

export const SPANS_OF_HOURS = [24, 72, 168] as const;
const WEEK = 168 * HOUR;

/** How many hours are shown. */
export const hours = signal<number>(24);

const isIncident = ({ event }: { readonly event: string }): boolean => event.startsWith('incident.');

/** What happened in each of these hours. */
export const activity = new LiveResource<ActivityReading>(
  () => `/api/v1/stats/hours?hours=${hours.value}`,
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.'),
  10 * SECOND,
);

const compare = (since: number, until: number, by: string): string =>
  `/api/v1/stats/compare?${new URLSearchParams({
    since: new Date(since).toISOString(),
    until: new Date(until).toISOString(),
    by,
  }).toString()}`;

/** These hours against those before them: by source, and how long it took. */
export const comparison = new LiveResource<ComparisonReading>(
  () => {
    const until = serviceTime();
    return compare(until - hours.value * HOUR, until, 'source');
  },
  ({ event }) => event.startsWith('incident.') || event === 'containment.confirmed',
  5 * SECOND,
);

/** Each hour of this week beside the same one of the week before. */
export const weeks = new LiveResource<ComparisonReading>(
  () => {
    const until = Math.ceil(serviceTime() / HOUR) * HOUR;
    return compare(until - WEEK, until, 'hour');
  },
  isIncident,
  1 * MINUTE,
);
