import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { answer, refusals } from '../openapi/responses.ts';
import { health, probe } from '../openapi/service-schemas.ts';

const REASONS = ["the audit log can't be written: ENOSPC"];
const RETRY = { 'Retry-After': 'After how many seconds to ask again.' };

const EXAMPLE = {
  status: 'ok',
  open_incidents: 1,
  total_incidents: 2,
  warnings: [],
  version: '0.1.0',
  started_at: '2026-11-22T07:00:00.000Z',
  audit: {
    writable: true,
    state: 'open',
    last_seq: 17,
    verified_seq: 17,
    segments: 1,
    bytes: 8127,
    algorithm: 'hmac-sha256',
  },
  containment: { engaged: ['freeze_agent'], deliveries: { confirmed: 1 } },
  notify: [],
  policy: {
    version: 1,
    source: 'file',
    path: '/etc/secure-ai/policy/incident-containment.yaml',
    digest: '62620e39d2a2d4ee9f4d9bb1d7b6d7c61b9df6e7ac9ac2a9a3a4f7c01c1b5a58',
    loaded_at: '2026-11-22T07:00:00.000Z',
  },
};

const get = (operationId: string, summary: string, responses: object): ZodOpenApiPathItemObject => ({
  get: { operationId, tags: ['service'], summary, security: [], responses: { ...responses, ...refusals() } },
});

export const healthPaths: ZodOpenApiPathsObject = {
  '/health': get('getHealth', 'How the service is', {
    200: answer('It takes reports and commands.', health, EXAMPLE),
    503: answer('It does not.', health, { ...EXAMPLE, status: 'degraded', reasons: REASONS }, RETRY),
  }),
  '/livez': get('getLiveness', 'Whether the process serves', {
    200: answer('It does. When there is no answer, starting it again may help.', probe, { status: 'ok' }),
  }),
  '/readyz': get('getReadiness', 'Whether reports and commands are taken', {
    200: answer('They are.', probe, { status: 'ok' }),
    503: answer('They are not, and why.', probe, { status: 'degraded', reasons: REASONS }, RETRY),
  }),
};
