import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { answer, POLICY_REFUSED, refusals } from '../openapi/responses.ts';
import { reloaded } from '../openapi/service-schemas.ts';

const EXAMPLE = {
  status: 'reloaded',
  policy: {
    version: 1,
    source: 'file',
    digest: '62620e39d2a2d4ee9f4d9bb1d7b6d7c61b9df6e7ac9ac2a9a3a4f7c01c1b5a58',
    loaded_at: '2026-11-22T07:30:00.000Z',
  },
  warnings: [],
};

const reload = (operationId: string): ZodOpenApiPathItemObject => ({
  post: {
    operationId,
    tags: ['service'],
    summary: 'Read the policy again',
    description: 'A body is not looked at.',
    responses: {
      200: answer('It is in force.', reloaded, EXAMPLE),
      ...refusals(503),
      422: POLICY_REFUSED,
    },
  },
});

export const reloadPaths: ZodOpenApiPathsObject = {
  '/api/v1/reload': reload('reloadPolicy'),
  '/reload': reload('reloadPolicyByItsShortName'),
};
