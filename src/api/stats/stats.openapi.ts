import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import {
  CLASSES,
  CONTAINMENT_STATUSES,
  RESOLUTIONS,
  SEVERITIES,
  type Severity,
  STATES,
} from '../../../machines/vocabulary.ts';
import { type ActivityReading, type Durations, type DurationsSoFar, MOST_HOURS } from '../../projections/activity.ts';
import type { StatisticsReading } from '../../projections/statistics.ts';
import { meaning, named } from '../openapi/described.ts';
import { queryOf } from '../openapi/parameters.ts';
import { refusals, response } from '../openapi/responses.ts';
import { count, type FieldsOf, time } from '../openapi/values.ts';
import { hoursSchema } from './requests.ts';

const countsOf = (names: readonly string[]) => z.object(Object.fromEntries(names.map((name) => [name, count])));

const statistics = named(
  'Statistics',
  'How many incidents there are.',
  z.object({
    total_incidents: count,
    open_incidents: meaning(count, 'Open or contained.'),
    needs_attention: meaning(
      count,
      'Open or contained, or acknowledged with containment that is overdue or broken or with a recovery to be done; ' +
        'without those that are silenced or snoozed, and without drills.',
    ),
    contained_count: meaning(count, 'For how many containment was ever asked for; by_containment says how far it is.'),
    resolved_count: meaning(count, 'How many were ever resolved.'),
    by_containment: meaning(
      countsOf(CONTAINMENT_STATUSES),
      'How far containment is, for the incidents on record that asked for it: confirmed is carried out, degraded failed, ' +
        'was lost or needs a person. Of resolved ones, how far it was in the end.',
    ),
    by_resolution: meaning(
      countsOf(RESOLUTIONS),
      'What the resolved incidents on record turned out to be, where whoever resolved them has said so.',
    ),
    by_class: countsOf(CLASSES),
    by_state: countsOf(STATES),
    by_severity: countsOf(SEVERITIES),
    open_by_severity: countsOf(SEVERITIES),
  } satisfies FieldsOf<StatisticsReading & { readonly needs_attention: number }>),
);

const duration = meaning(
  z.nullable(count),
  'In milliseconds, exact to a tenth; null where there is nothing to measure.',
);

const durationFields = {
  count: meaning(count, 'How many came to their end in these hours.'),
  median_ms: duration,
  p90_ms: duration,
  hourly_median_ms: meaning(z.array(duration), 'One for each hour, by the time of the end.'),
} satisfies FieldsOf<Durations>;

const durations = z.object(durationFields);

const durationsSoFar = z.object({
  ...durationFields,
  waiting: meaning(count, 'How many still wait; in median and p90 they count for as long as they have waited.'),
  oldest_waiting_ms: meaning(z.nullable(count), 'How long the one that has waited longest has waited.'),
} satisfies FieldsOf<DurationsSoFar>);

const activity = named(
  'Activity',
  'What happened to the incidents on record, hour by hour, oldest first.',
  z.object({
    from: meaning(time, 'The beginning of the first hour.'),
    hours: count,
    reported: z.object(
      Object.fromEntries(SEVERITIES.map((name) => [name, z.array(count)])) as Record<
        Severity,
        z.ZodMiniArray<typeof count>
      >,
    ),
    time_to_containment: meaning(durationsSoFar, 'Until all actions of an incident were confirmed.'),
    time_to_resolution: durations,
  } satisfies FieldsOf<ActivityReading>),
);

const none = (names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, 0]));

const EXAMPLE = {
  total_incidents: 2,
  open_incidents: 1,
  needs_attention: 1,
  contained_count: 1,
  resolved_count: 1,
  by_containment: { ...none(CONTAINMENT_STATUSES), confirmed: 1 },
  by_resolution: { ...none(RESOLUTIONS), true_positive: 1 },
  by_class: { ...none(CLASSES), forbidden_airlock_request: 1, prompt_injection: 1 },
  by_state: { ...none(STATES), open: 1, resolved: 1 },
  by_severity: { ...none(SEVERITIES), high: 1, medium: 1 },
  open_by_severity: { ...none(SEVERITIES), medium: 1 },
};

const ACTIVITY = {
  from: '2026-11-22T06:00:00.000Z',
  hours: 2,
  reported: { critical: [0, 0], high: [0, 1], medium: [1, 0], low: [0, 0] },
  time_to_containment: {
    count: 0,
    median_ms: 60_000,
    p90_ms: 60_000,
    hourly_median_ms: [null, null],
    waiting: 1,
    oldest_waiting_ms: 61_000,
  },
  time_to_resolution: { count: 1, median_ms: 284_731, p90_ms: 284_731, hourly_median_ms: [null, 284_731] },
};

const query = queryOf(hoursSchema, {
  hours: {
    description: 'How many hours, including the current one; 24 by default.',
    override: { type: 'integer', minimum: 1, maximum: MOST_HOURS },
  },
});

export const statsPaths: ZodOpenApiPathsObject = {
  '/api/v1/stats': {
    get: {
      operationId: 'getStatistics',
      tags: ['incidents'],
      summary: 'Count the incidents',
      security: [],
      responses: { 200: response('The counts.', statistics, EXAMPLE), ...refusals(400) },
    },
  },
  '/api/v1/stats/hours': {
    get: {
      operationId: 'getActivity',
      tags: ['incidents'],
      summary: 'Count what happened in each of the last hours',
      security: [],
      requestParams: { query },
      responses: { 200: response('The hours.', activity, ACTIVITY), ...refusals(400) },
    },
  },
};
