import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { answer, refusals } from '../openapi/answers.ts';
import { statistics } from '../openapi/incident-schemas.ts';

const EXAMPLE = {
  total_incidents: 2,
  open_incidents: 1,
  contained_count: 1,
  resolved_count: 1,
  by_class: {
    attestation_failure: 0,
    policy_bypass_attempt: 0,
    manifest_mismatch: 0,
    forbidden_airlock_request: 1,
    prompt_injection: 1,
    tool_call_burst: 0,
    model_behavior_anomaly: 0,
    integrity_violation: 0,
    unauthorized_access: 0,
  },
  by_state: { open: 1, contained: 0, acknowledged: 0, resolved: 1 },
  by_severity: { critical: 0, high: 1, medium: 1, low: 0 },
  open_by_severity: { critical: 0, high: 0, medium: 1, low: 0 },
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
