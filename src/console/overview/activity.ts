import { signal } from '@preact/signals';
import type { ActivityReading } from '../../projections/activity.ts';
import { SECOND } from '../../clock.ts';
import { LiveResource } from '../live-resource.ts';

export const SPANS_OF_HOURS = [24, 72, 168] as const;

/** How many hours are shown. */
export const hours = signal<number>(72);

/** What happened in each of these hours. */
export const activity = new LiveResource<ActivityReading>(
  () => `/api/v1/stats/hours?hours=${hours.value}`,
  ({ event }) => event.startsWith('incident.') || event.startsWith('containment.'),
  10 * SECOND,
);
