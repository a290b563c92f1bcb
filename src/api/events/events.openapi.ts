import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { refusals } from '../openapi/responses.ts';
import { describe } from '../openapi/described.ts';
import { queryOf } from '../openapi/parameters.ts';
import { eventsSchema } from './requests.ts';

const query = queryOf(eventsSchema, {
  class: 'Only entries about incidents of these classes.',
  state: 'Only entries that led to these states.',
  severity: 'Only entries about incidents of these severities.',
  after: {
    description: 'The `seq` of the entry after which the stream begins; without it, only new entries are sent.',
    override: { type: 'integer', minimum: 0 },
  },
});

const lastEventId = z.exactOptional(z.string().check(z.regex(/^\d{1,15}$/)));
describe(lastEventId, 'The `id` of the last event that the reader received; it counts instead of `after`.');

const stream = z.string();
describe(stream, 'Server-Sent Events: `id` is the `seq`, `event` the event of an entry, `data` its line of the log.');

const EXAMPLE =
  'retry: 2000\nid: 16\n\n' +
  'id: 17\nevent: service.started\n' +
  'data: {"timestamp":"2026-11-22T07:00:00.000Z","event":"service.started","data":{"seq":17,…},…}\n\n';

export const eventPaths: ZodOpenApiPathsObject = {
  '/api/v1/events': {
    get: {
      operationId: 'followEvents',
      tags: ['incidents'],
      summary: 'Follow the audit log',
      description:
        'The entries that are in the log already, then each new one when it is on disk. A reader that reconnects resumes.',
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
