import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { describe, described, meaning, named } from '../openapi/described.ts';
import { queryOf } from '../openapi/parameters.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { text } from '../openapi/values.ts';
import { acknowledgeDamageSchema, logSchema } from './requests.ts';

const acknowledged = named(
  'Acknowledged',
  'The findings that were acknowledged.',
  z.object({ acknowledged: meaning(z.array(text()), 'Their names.') }),
);

const header = (description: string, isOptional = false) => {
  const value = isOptional ? z.optional(z.string()) : z.string();
  describe(value, description);
  return value;
};
const logId = header('The identity of the log, when it is known.', true);
const logEntries = header('The `seq` of the last durable entry.');
const logFirst = header('The `seq` of the first entry that is here.');

const body = described(
  'AcknowledgeDamage',
  'Which finding about the audit log to acknowledge.',
  acknowledgeDamageSchema,
  {
    finding: 'The name of a finding, like `entries_missing:4-9`; or its first part, for all of that kind.',
    by: 'Who acknowledges it.',
    note: 'Why, or what was done about it.',
  },
);

const query = queryOf(logSchema, {
  from: 'The `seq` of the first entry; by default 1.',
  limit: 'How many entries at most.',
  follow: 'With `true`, new entries follow as they become durable, and an empty line every 15 seconds.',
});

const lines = z.string();
describe(lines, 'One entry a line, as it stands in the log; empty lines say that there is nothing new.');

const EXAMPLE_LINE =
  '{"timestamp":"2026-11-22T07:00:00.000Z","event":"service.started","data":{"seq":1,…},"prev_hash":"",' +
  '"entry_hash":"52a84c33…","algorithm":"hmac-sha256"}\n';

export const logPaths: ZodOpenApiPathsObject = {
  '/api/v1/log': {
    get: {
      operationId: 'readLog',
      tags: ['service'],
      summary: 'Read the lines of the audit log',
      description:
        'For a copy of the log elsewhere: the lines as they are written, evidence included, so it always needs a token ' +
        '(role `anchor` or `auditor`). At most two read at a time. 410: the entry is archived; `first_seq` is the first ' +
        'that is there.',
      requestParams: { query },
      responses: {
        200: {
          description:
            'The lines. The response ends where the log ends, unless it is followed; one that is cut off is not all.',
          headers: z.object({
            'Log-Id': logId,
            'Log-Entries': logEntries,
            'Log-First': logFirst,
          }),
          content: { 'application/x-ndjson': { schema: lines, example: EXAMPLE_LINE } },
        },
        ...refusals(400, 410, 416, 503),
      },
    },
  },
  '/api/v1/log/acknowledge-damage': {
    post: {
      operationId: 'acknowledgeDamage',
      tags: ['service'],
      summary: 'Acknowledge a finding about the audit log',
      description:
        'Ends the warning about it, and is recorded. It mends nothing: lines that do not verify stay damage, and ' +
        'missing entries stay missing.',
      requestBody: requestBody(body, { finding: 'checkpoint_missing', by: 'ada', note: 'restored from the backup' }),
      responses: {
        200: response('What was acknowledged.', acknowledged, { acknowledged: ['checkpoint_missing'] }),
        ...refusals(400, 404, 413, 415, 503),
      },
    },
  },
};
