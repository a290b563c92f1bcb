import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { CLASSES, ROLES } from '../../../machines/vocabulary.ts';
import { describe, described, meaning, named } from '../openapi/described.ts';
import { maybe, text } from '../openapi/values.ts';
import { EXAMPLE_INCIDENT, EXAMPLE_REPORT } from '../openapi/examples.ts';
import { incident } from './incident.openapi.ts';
import { NAME_PATTERN } from '../../domain/hidden-characters.ts';
import { LONGEST_SOURCE } from '../../domain/source-name.ts';
import { MOST_REPORTS } from './report-batch.ts';
import { reportSchema } from './requests.ts';

const BATCH = [{ ...EXAMPLE_REPORT, idempotency_key: 'a4c1' }, EXAMPLE_REPORT];

const FILLED = { minLength: 1, pattern: '\\S' };

const REPORT_FIELDS = {
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
};

const reportBody = described('Report', 'What a service reports.', reportSchema, REPORT_FIELDS);

const batchedSchema = z.strictObject({
  ...reportSchema.shape,
  idempotency_key: z.exactOptional(z.string().check(z.regex(/^[\x21-\x7e]{1,255}$/))),
});

const batchedBody = described('BatchedReport', 'A report of a batch.', batchedSchema, {
  ...REPORT_FIELDS,
  idempotency_key: 'As `Idempotency-Key` of a single report: with it the report is recorded once.',
});

const batchItem = named(
  'BatchItem',
  'What became of one report of a batch.',
  z.object({
    status: meaning(
      z.int(),
      'As the report alone would have been answered: 201, 200; 400, 403, 422, 429; 503 when this one can’t be recorded now.',
    ),
    replayed: maybe(meaning(z.literal(true), 'There when it was sent before, under the same key.')),
    incident: maybe(incident),
    error: maybe(
      meaning(text(), 'Why it was refused. What else the refusal of a single report says stands next to it.'),
    ),
    allowed: maybe(z.array(z.string())),
    needs: maybe(z.array(z.enum(ROLES))),
    roles: maybe(z.array(z.enum(ROLES))),
    sources: maybe(z.array(z.string())),
    classes: maybe(z.array(z.enum(CLASSES))),
    retry_after: maybe(meaning(z.int(), 'After how many seconds the source may report again.')),
  }),
);

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
  '/api/v1/incidents/reports': {
    post: {
      operationId: 'reportIncidents',
      tags: ['incidents'],
      summary: 'Report many incidents at once',
      description:
        `Up to ${MOST_REPORTS} reports, as a JSON array or one on each line, in one body of the usual length. All of them ` +
        'are on disk before the response is sent. Each is taken or refused by itself, in their order, as if they came one ' +
        'after the other; where nothing can be recorded, the whole is refused and no report of it is on record. The response ' +
        'waits for no containment.',
      requestBody: {
        required: true,
        content: {
          'application/json': { schema: z.array(batchedBody), example: BATCH },
          'application/x-ndjson': {
            schema: { type: 'string', description: 'A `BatchedReport` on each line.' },
            example: BATCH.map((report) => `${JSON.stringify(report)}\n`).join(''),
          },
        },
      },
      responses: {
        200: response('An item for each report, in their order.', z.array(batchItem), [
          { status: 201, incident: EXAMPLE_INCIDENT },
          { status: 400, error: 'class, source, and description are required' },
        ]),
        ...refusals(400, 413, 415, 503),
      },
    },
  },
};
