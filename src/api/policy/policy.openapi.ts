import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { BUILT_IN_RULES } from '../../policy/defaults.ts';
import { answer, refusals } from '../openapi/responses.ts';
import { policy } from '../openapi/service-schemas.ts';

const EXAMPLE = {
  version: 1,
  source: 'file',
  path: '/etc/secure-ai/policy/incident-containment.yaml',
  digest: '62620e39d2a2d4ee9f4d9bb1d7b6d7c61b9df6e7ac9ac2a9a3a4f7c01c1b5a58',
  loaded_at: '2026-11-22T07:00:00.000Z',
  rules: BUILT_IN_RULES,
  targets: { freeze_agent: { engage: { url: 'http://127.0.0.1:8480/v1/action', action: 'freeze' } } },
  notify: [],
};

export const policyPaths: ZodOpenApiPathsObject = {
  '/api/v1/policy': {
    get: {
      operationId: 'getPolicy',
      tags: ['service'],
      summary: 'Read the policy in force',
      security: [],
      responses: { 200: answer('It.', policy, EXAMPLE), ...refusals(400) },
    },
  },
};
