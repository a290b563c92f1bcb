import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { described, meaning, named } from '../openapi/described.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { text } from '../openapi/values.ts';
import { acknowledgeDamageSchema } from './requests.ts';

const acknowledged = named(
  'Acknowledged',
  'The findings that were acknowledged.',
  z.object({ acknowledged: meaning(z.array(text()), 'Their names.') }),
);

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

export const logPaths: ZodOpenApiPathsObject = {
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
