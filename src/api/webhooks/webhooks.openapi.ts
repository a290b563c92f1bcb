import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import type { SkippedEntry } from '../../domain/entries.ts';
import { described, meaning, named } from '../openapi/described.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { count, type FieldsOf, text, time } from '../openapi/values.ts';
import { retryWebhookSchema } from './requests.ts';

const name = () => meaning(text(), 'Its name in the log: its origin, and a hash where it has a path.');

const skipped = named(
  'SkippedEntry',
  'An entry that is not sent to a webhook any more.',
  z.object({
    webhook: name(),
    seq: meaning(count, 'Of the entry.'),
    event: meaning(text(), 'Of the entry; log.archived for those up to it that were archived first.'),
    parked_at: meaning(time, 'When it was parked.'),
    skipped_at: time,
    attempts: meaning(count, 'How often it was sent after it was parked.'),
    error: meaning(text(), 'What came of the last attempt.'),
  } satisfies FieldsOf<SkippedEntry>),
);

const retried = named('WebhookRetried', 'What is sent again.', z.object({ webhook: name(), seq: count }));

const retryBody = described('RetryWebhook', 'Which entry a webhook is to get again.', retryWebhookSchema, {
  webhook: 'Its name in the log, its URL, or its origin where no other webhook has that.',
  seq: 'Of an entry that was skipped or is parked.',
  by: 'Who asks for it to be sent again.',
  note: 'Why.',
});

const WEBHOOK = 'http://127.0.0.1:9090#5d0c1c2d';

export const webhookPaths: ZodOpenApiPathsObject = {
  '/api/v1/webhooks/skipped': {
    get: {
      operationId: 'listSkippedEntries',
      tags: ['service'],
      summary: 'List the entries that webhooks did not take for a day',
      description: 'The newest hundred of each webhook. They are not sent any more, unless somebody asks for it.',
      security: [],
      responses: {
        200: response('The entries, for each webhook oldest first.', z.array(skipped), [
          {
            webhook: WEBHOOK,
            seq: 17,
            event: 'incident.reported',
            parked_at: '2026-11-22T07:17:00.000Z',
            skipped_at: '2026-11-23T07:17:00.000Z',
            attempts: 190,
            error: 'answered 500',
          },
        ]),
        ...refusals(400),
      },
    },
  },
  '/api/v1/webhooks/retry': {
    post: {
      operationId: 'retryWebhook',
      tags: ['service'],
      summary: 'Send an entry to a webhook again',
      description:
        'The entry was skipped or is parked: it is sent at once, and tried for another day. That also ends the pause ' +
        'before the webhook is sent the next entry.',
      requestBody: requestBody(retryBody, { webhook: WEBHOOK, seq: 17, by: 'ada' }),
      responses: {
        200: response('It is sent again.', retried, { webhook: WEBHOOK, seq: 17 }),
        ...refusals(400, 404, 413, 415, 503),
      },
    },
  },
};
