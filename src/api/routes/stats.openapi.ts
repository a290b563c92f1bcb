import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { CLASSES, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { answer, refusals } from '../openapi/answers.ts';
import { statistics } from '../openapi/incident-schemas.ts';

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
};
