import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import type { GuardStatus } from '../../incidents/guard-watch.ts';
import { described, meaning, named } from '../openapi/described.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { count, type FieldsOf, maybe, text, time } from '../openapi/values.ts';
import { heartbeatSchema } from './requests.ts';

export const guard = named(
  'Guard',
  'A source that the policy expects to hear from.',
  z.object({
    source: text(),
    every_seconds: meaning(count, 'How often the policy expects it.'),
    status: meaning(
      z.enum(['heard', 'awaited', 'silent']),
      'awaited: not heard since the recorder started or the policy expects it, and not overdue yet.',
    ),
    heard_at: meaning(z.nullable(time), 'The last sign of life: a heartbeat, or a report.'),
    silent_since: maybe(meaning(time, 'When its silence was found, while it is silent.')),
  } satisfies FieldsOf<GuardStatus>),
);

const heartbeatBody = described('Heartbeat', 'The sign of life of a guard.', heartbeatSchema, {
  source: { description: 'The name by which the policy expects it.', override: { minLength: 1, pattern: '\\S' } },
});

export const heartbeatPaths: ZodOpenApiPathsObject = {
  '/api/v1/heartbeat': {
    post: {
      operationId: 'sendHeartbeat',
      tags: ['service'],
      summary: 'Show that a guard lives',
      description:
        'For the sources that the policy expects (`expect`). A report of such a source counts as well. One that is silent for ' +
        'longer than its `every`, and a fifth of that in grace, raises an alert.',
      requestBody: requestBody(heartbeatBody, { source: 'runtime-attestor' }),
      responses: {
        200: response('It was heard.', guard, {
          source: 'runtime-attestor',
          every_seconds: 300,
          status: 'heard',
          heard_at: '2026-11-22T07:12:00.123Z',
        }),
        ...refusals(400, 404, 413, 415, 503),
      },
    },
  },
};
