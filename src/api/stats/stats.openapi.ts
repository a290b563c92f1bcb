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
import type { Durations } from '../../domain/activity.ts';
import { type ActivityReading, type DurationsSoFar, MOST_HOURS } from '../../query/activity-counts.ts';
import type { StatisticsReading } from '../../query/statistics.ts';
import { meaning, named } from '../openapi/described.ts';
import { queryOf } from '../openapi/parameters.ts';
import { refusals, response } from '../openapi/responses.ts';
import { count, type FieldsOf, maybe, text, time } from '../openapi/values.ts';
import {
  COMPARED_BY,
  type ComparedGroup,
  type ComparisonReading,
  type Sample,
  type TimeTaken,
} from '../../query/comparison-reading.ts';
import { comparisonSchema, hoursSchema } from './requests.ts';

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

const range = () => z.object({ since: time, until: time });
const nowAndBefore = <Schema extends z.ZodMiniType>(schema: Schema) => z.object({ now: schema, before: schema });

const timeTaken = named(
  'TimeTaken',
  'How long incidents took, and how many still wait.',
  z.object({
    count: meaning(count, 'How many came to their end.'),
    median_ms: meaning(z.nullable(count), 'Of these; null when there are none.'),
    p95_ms: meaning(z.nullable(count), 'The time that 95 % of them do not exceed.'),
    waiting: meaning(count, 'How many have not come to their end now.'),
    longest_waiting_ms: meaning(z.nullable(count), 'How long the one that has waited longest has waited until now.'),
  } satisfies FieldsOf<TimeTaken>),
);
const sampled = z.object({
  incidents: count,
  timed: meaning(count, 'Of how many the times were read.'),
} satisfies FieldsOf<Sample>);

const comparison = named(
  'Comparison',
  'The incidents on record that were reported in a range, beside those of the range before. Drills count nowhere.',
  z.object({
    range: range(),
    before: meaning(range(), 'As long as the range, and right before it.'),
    incidents: z.object({ now: count, before: count, change: meaning(z.int(), 'How many more than before.') }),
    groups: meaning(
      z.array(
        z.object({
          class: maybe(text()),
          source: maybe(text()),
          severity: maybe(text()),
          hour: maybe(meaning(time, 'The beginning of an hour of the range.')),
          now: count,
          before: count,
          change: meaning(z.int(), 'How many more than before.'),
        } satisfies FieldsOf<ComparedGroup>),
      ),
      'The 200 largest, by now; by hour all of them in their order, each beside the hour of the same place before.',
    ),
    others: maybe(
      meaning(
        z.object({ groups: meaning(count, 'How many at least.'), now: count, before: count }),
        'The groups that are not listed.',
      ),
    ),
    time_to: meaning(
      z.object({
        contain: meaning(nowAndBefore(timeTaken), 'Until all actions of an incident were confirmed.'),
        acknowledge: meaning(nowAndBefore(timeTaken), 'Until it was acknowledged last.'),
        resolve: nowAndBefore(timeTaken),
      }),
      'Of the incidents that were reported in each range, from their report.',
    ),
    sample: maybe(
      meaning(
        z.object({ now: maybe(sampled), before: maybe(sampled) }),
        'There when the times are those of a sample: of ranges with more than 20,000 incidents. The counts, and who waits, are exact.',
      ),
    ),
    archived: maybe(
      meaning(
        z.array(z.enum(['now', 'before'])),
        'The ranges from which incidents may have gone to the archive: these are not counted.',
      ),
    ),
  } satisfies FieldsOf<ComparisonReading>),
);

const TAKEN = { count: 3, median_ms: 61_000, p95_ms: 284_731, waiting: 1, longest_waiting_ms: 3_600_000 };
const UNTAKEN = { count: 0, median_ms: null, p95_ms: null, waiting: 0, longest_waiting_ms: null };

const COMPARISON = {
  range: { since: '2026-11-22T00:00:00.000Z', until: '2026-11-23T00:00:00.000Z' },
  before: { since: '2026-11-21T00:00:00.000Z', until: '2026-11-22T00:00:00.000Z' },
  incidents: { now: 4, before: 0, change: 4 },
  groups: [{ class: 'prompt_injection', now: 4, before: 0, change: 4 }],
  time_to: {
    contain: { now: TAKEN, before: UNTAKEN },
    acknowledge: { now: TAKEN, before: UNTAKEN },
    resolve: { now: TAKEN, before: UNTAKEN },
  },
};

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

const comparisonQuery = queryOf(comparisonSchema, {
  since: {
    description: 'The beginning of the range, RFC 3339; a day before `until` by default.',
    override: { format: 'date-time' },
  },
  until: { description: 'Its end, which is not in it; now by default.', override: { format: 'date-time' } },
  by: `What to group by, one of ${COMPARED_BY.join(', ')}; class by default.`,
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
  '/api/v1/stats/compare': {
    get: {
      operationId: 'compareStatistics',
      tags: ['incidents'],
      summary: 'Compare a range of time with the one before',
      security: [],
      requestParams: { query: comparisonQuery },
      responses: { 200: response('Both ranges.', comparison, COMPARISON), ...refusals(400) },
    },
  },
};
