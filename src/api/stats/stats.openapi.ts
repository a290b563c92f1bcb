import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { answer, refusals } from '../openapi/responses.ts';
import { activity, statistics } from '../incidents/incident.openapi.ts';
import { queryOf } from '../openapi/parameters.ts';
import { MOST_HOURS } from '../../projections/activity.ts';
import { hoursSchema } from '../request/fields.ts';

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

const ACTIVITY = {
  from: '2026-11-22T06:00:00.000Z',
  hours: 2,
  reported: { critical: [0, 0], high: [0, 1], medium: [1, 0], low: [0, 0] },
  time_to_containment: { count: 0, median_ms: null, p90_ms: null, hourly_median_ms: [null, null] },
  time_to_resolution: { count: 1, median_ms: 284_731, p90_ms: 284_731, hourly_median_ms: [null, 284_731] },
};

const query = queryOf(hoursSchema, {
  hours: {
    description: 'How many, the one that has begun among them; 24 when left out.',
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
      summary: 'Count what happened in each of the last hours',
      security: [],
      requestParams: { query },
      responses: { 200: answer('The hours.', activity, ACTIVITY), ...refusals(400) },
    },
  },
};
