import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { MOST_HOURS } from '../../projections/activity.ts';
import { CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { answer, refusals } from '../openapi/answers.ts';
import { activity, statistics } from '../openapi/incident-schemas.ts';
import { queryOf } from '../openapi/query.ts';
import { hoursSchema } from '../schemas.ts';

const none = (names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, 0]));

const EXAMPLE = {
  total_incidents: 2,
  open_incidents: 1,
  contained_count: 1,
  resolved_count: 1,
  by_class: { ...none(CLASSES), forbidden_airlock_request: 1, prompt_injection: 1 },
  by_state: { ...none(STATES), open: 1, resolved: 1 },
  by_severity: { ...none(SEVERITIES), high: 1, medium: 1 },
  open_by_severity: { ...none(SEVERITIES), medium: 1 },
};

const HOURS_EXAMPLE = {
  from: '2026-11-22T06:00:00.000Z',
  hours: 2,
  reported: { critical: [0, 1], high: [2, 0], medium: [0, 0], low: [0, 0] },
  time_to_containment: { count: 3, median_ms: 41, p90_ms: 310, hourly_median_ms: [38, 310] },
  time_to_resolution: { count: 0, median_ms: null, p90_ms: null, hourly_median_ms: [null, null] },
};

const hours = queryOf(hoursSchema, {
  hours: {
    description: 'How many hours, up to the present one; 24 when left out.',
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
      responses: { 200: answer('The counts.', statistics, EXAMPLE), ...refusals(400) },
    },
  },
  '/api/v1/stats/hours': {
    get: {
      operationId: 'getActivity',
      tags: ['incidents'],
      summary: 'Tell what happened in the last hours',
      security: [],
      requestParams: { query: hours },
      responses: { 200: answer('Hour by hour.', activity, HOURS_EXAMPLE), ...refusals(400) },
    },
  },
};
