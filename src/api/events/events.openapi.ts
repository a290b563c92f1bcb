import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { refusals } from '../openapi/responses.ts';
import { describe } from '../openapi/described.ts';
import { queryOf } from '../openapi/parameters.ts';
import { eventsSchema } from './requests.ts';

/** LOG:SEQ or SEQ: see log-position.ts. */
const POSITION = '^([0-9a-f]{8,64}:)?\\d{1,15}$';

const query = queryOf(eventsSchema, {
  class: 'Only entries about incidents of these classes.',
  state: 'Only entries that led to these states.',
  severity: 'Only entries about incidents of these severities.',
  after: {
    description:
      'The `id` of the event after which the stream begins, or the `seq` of its entry alone; without it, only new ' +
      'entries are sent.',
    override: { type: ['integer', 'string'], minimum: 0, pattern: POSITION },
  },
});

const lastEventId = z.exactOptional(z.string().check(z.regex(new RegExp(POSITION))));
describe(lastEventId, 'The `id` of the last event that the reader received; it counts instead of `after`.');

const stream = z.string();
describe(
  stream,
  'Server-Sent Events: `event` is the event of an entry, `data` its line of the log. `id` is `LOG:SEQ`: the `seq`, and ' +
    'which log it counts in (12 digits of `log_id`, 8 of the hash of the entry).',
);

const EXAMPLE =
  'retry: 2000\nid: 5d0c1c2d9f0a4c7e1b20:16\n\n' +
  'id: 5d0c1c2d9f0aa19006c7:17\nevent: service.started\n' +
  'data: {"timestamp":"2026-11-22T07:00:00.000Z","event":"service.started","data":{"seq":17,…},…}\n\n';

export const eventPaths: ZodOpenApiPathsObject = {
  '/api/v1/events': {
    get: {
      operationId: 'followEvents',
      tags: ['incidents'],
      summary: 'Follow the audit log',
      description:
        'The entries that are in the log already, then each new one when it is on disk. A reader that reconnects resumes. ' +
        '410: what follows was archived, or the place is not in this log; `first_seq` is the first entry that is there.',
      security: [],
      requestParams: { query, header: z.object({ 'Last-Event-ID': lastEventId }) },
      responses: {
        200: {
          description: 'The stream. It ends when the service stops, or when its reader is too slow.',
          content: { 'text/event-stream': { schema: stream, example: EXAMPLE } },
        },
        ...refusals(400, 410, 503),
      },
    },
  },
};
