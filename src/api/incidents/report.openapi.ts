import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { describe, described } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT, EXAMPLE_REPORT } from '../openapi/examples.ts';
import { incident } from './incident.openapi.ts';
import { NAME_PATTERN } from '../../domain/hidden-characters.ts';
import { LONGEST_SOURCE } from '../../domain/source-name.ts';
import { reportSchema } from './requests.ts';

const FILLED = { minLength: 1, pattern: '\\S' };

const reportBody = described('Report', 'What a service reports.', reportSchema, {
  class: 'The kind of the incident.',
  source: {
    description:
      'Who reports. Not blank, at most 256 characters; no control, format, private-use, unassigned or blank characters ' +
      'except single spaces between words.',
    override: { minLength: 1, maxLength: LONGEST_SOURCE, pattern: NAME_PATTERN },
    examples: ['tool-firewall'],
  },
  description: { description: 'What happened; not blank.', override: FILLED },
  severity: 'How bad it is. Without it, the policy’s default for the class.',
  evidence: {
    description:
      'Any JSON object, up to 32 levels deep. It is kept exactly, or refused with the path of what can’t be kept.',
    override: { type: 'object', additionalProperties: {} },
  },
  dedup_key: 'Reports with the same key, class and source are occurrences of one incident while that is unresolved.',
});

const idempotencyKey = z.exactOptional(z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/)));
describe(idempotencyKey, 'Makes it safe to send the report again: it is recorded once.');

const prefer = z.exactOptional(z.string());
describe(
  prefer,
  'wait=N (RFC 7240), 1 to 40 seconds, more counts as 40: the answer waits until containment is settled, or that time is ' +
    'over, and says `Preference-Applied: wait=N`. At most 32 answers wait; a further one comes at once and does not say so. ' +
    'When all places are taken, the principal with the most of them gives one to another.',
);

export const reportPaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents/report': {
    post: {
      operationId: 'reportIncident',
      tags: ['incidents'],
      summary: 'Report an incident',
      description:
        'Before the response is sent, the report is on disk, and containment is asked for if the policy says so. With ' +
        '`Prefer: wait=N`, or `answer_after` in its rule, it is sent when containment is settled: see `containment_results`.',
      requestParams: { header: z.object({ 'Idempotency-Key': idempotencyKey, Prefer: prefer }) },
      requestBody: requestBody(reportBody, EXAMPLE_REPORT),
      responses: {
        201: response('A new incident.', incident, EXAMPLE_INCIDENT, {
          ETag: 'Its version, in quotation marks.',
          Location: 'The path under which it is read.',
        }),
        200: response(
          'An incident that is on record already: another occurrence of it, or the same report sent again.',
          incident,
          { ...EXAMPLE_INCIDENT, occurrences: 2, last_seen_at: '2026-11-22T07:13:00.000Z', dedup_key: 'page 7' },
          { ETag: 'Its version, in quotation marks.' },
        ),
        ...refusals(400, 413, 415, 422, 429, 503),
      },
    },
  },
};
