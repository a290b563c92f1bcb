import * as z from 'zod/mini';
import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { BUILT_IN_RULES } from '../../policy/defaults.ts';
import type { PolicyFault } from '../../policy/policy.ts';
import { meaning, named } from '../openapi/described.ts';
import { refusals, response } from '../openapi/responses.ts';
import { count, type FieldsOf, text } from '../openapi/values.ts';
import { accessNow, policy, policyFields } from './policy-shape.openapi.ts';

const reloaded = named(
  'Reloaded',
  'The policy that is in force now.',
  z.object({
    status: z.literal('reloaded'),
    policy: z.object(policyFields),
    access: accessNow,
    removed: meaning(z.array(text()), 'What the policy before had and this one has not, by name.'),
    warnings: z.array(text()),
  }),
);

const EXAMPLE = {
  version: 1,
  source: 'file',
  path: '/etc/secure-ai/policy/incident-containment.yaml',
  digest: '62620e39d2a2d4ee9f4d9bb1d7b6d7c61b9df6e7ac9ac2a9a3a4f7c01c1b5a58',
  loaded_at: '2026-11-22T07:00:00.000Z',
  rules: BUILT_IN_RULES,
  attention_after: 3_600_000,
  overdue_after: 60_000,
  targets: { freeze_agent: { engage: { url: 'http://127.0.0.1:8480/v1/action', action: 'freeze' } } },
  notify: [],
  parts: ['rules.tool_call_burst', 'targets.freeze_agent', 'targets.freeze_agent.engage'],
};

const RELOADED = {
  status: 'reloaded',
  policy: {
    version: 1,
    source: 'file',
    digest: '62620e39d2a2d4ee9f4d9bb1d7b6d7c61b9df6e7ac9ac2a9a3a4f7c01c1b5a58',
    loaded_at: '2026-11-22T07:30:00.000Z',
  },
  access: {
    source: 'file',
    path: '/etc/secure-ai/policy/incident-access.yaml',
    digest: '0d1c1c2d9f0a4f7a1d9b6a9c6f1f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b',
    loaded_at: '2026-11-22T07:30:00.000Z',
    principals: 5,
  },
  removed: ['targets.disable_airlock'],
  warnings: ['the last reload took away targets.disable_airlock: if that was not meant, put it back and reload'],
};

const refusedPolicy = named(
  'RefusedPolicy',
  'The faults of the policy, or of the access file.',
  z.object({
    error: text(),
    faults: z.array(z.object({ file: text(), line: count, message: text() } satisfies FieldsOf<PolicyFault>)),
  }),
);

const POLICY_REFUSED = response('The policy or the access file is refused; what is in force stays.', refusedPolicy, {
  error: 'containment policy refused:\n  /etc/secure-ai/policy/incident-containment.yaml:9: rules: must be a mapping …',
  faults: [{ file: '/etc/secure-ai/policy/incident-containment.yaml', line: 9, message: 'rules: must be a mapping …' }],
});

const reload = (operationId: string): ZodOpenApiPathItemObject => ({
  post: {
    operationId,
    tags: ['service'],
    summary: 'Read the policy and the access file again',
    description: 'The body is ignored.',
    responses: {
      200: response('They are in force.', reloaded, RELOADED),
      ...refusals(503),
      422: POLICY_REFUSED,
    },
  },
});

export const policyPaths: ZodOpenApiPathsObject = {
  '/api/v1/policy': {
    get: {
      operationId: 'getPolicy',
      tags: ['service'],
      summary: 'Read the policy in force',
      security: [],
      responses: { 200: response('The policy.', policy, EXAMPLE), ...refusals(400) },
    },
  },
  '/api/v1/reload': reload('reloadPolicy'),
  '/reload': reload('reloadPolicyByItsShortName'),
};
