import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { described, meaning, named } from '../openapi/described.ts';
import { error, gone } from '../openapi/error-schemas.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { count, text } from '../openapi/values.ts';
import { fleetCommandSchema } from './requests.ts';

const body = described('HandedCommand', 'A command of the fleet.', fleetCommandSchema, {
  command:
    'The signed note (C2SP signed-note). Its text is the line `incident-fleet/command/v1` and a line of JSON: `id`, ' +
    '`machine`, `log`, `command`, `body` (as that of the REST command), `expected_version`, `idempotency_key`, `by`, ' +
    '`role`, `issued`, `expires`.',
});

const answered = named(
  'AnsweredCommand',
  'What the command was answered.',
  z.object({
    id: meaning(text(), 'The command.'),
    status: meaning(count, 'The HTTP status that the person would have got here.'),
    body: meaning(z.unknown(), 'And the body.'),
  }),
);

const EXAMPLE_NOTE =
  'incident-fleet/command/v1\n{"body":{"id":"INC-20261122-18b8a401d3e8"},"by":"ada","command":"acknowledge",…}\n\n' +
  '\u2014 fleet.example.org x08go/ZJkuBS…\n';

export const fleetPaths: ZodOpenApiPathsObject = {
  '/api/v1/fleet/commands': {
    post: {
      operationId: 'giveFleetCommand',
      tags: ['incidents'],
      summary: 'Carry out a command of the fleet',
      description:
        'A command that somebody has given at the fleet, which has signed it, counts as far as `fleet` of the access ' +
        'file allows it. It is carried out once, however often it comes; the answer is the same then. What the ' +
        'machine refuses is in `status` and `body`. 403: the fleet has not this role here. 410: it has expired. 422: ' +
        'it is for another machine or log, or the access file names no fleet.',
      requestBody: requestBody(body, { command: EXAMPLE_NOTE }),
      responses: {
        200: response('What the command was answered.', answered, {
          id: 'CMD-18b8a401d3e8',
          status: 200,
          body: { id: 'INC-20261122-18b8a401d3e8', state: 'acknowledged' },
        }),
        ...refusals(400, 413, 415, 503),
        410: response('The command has expired.', gone, {
          error:
            'the command has expired at 2026-11-22T07:12:00Z, and by the clock here it is 2026-11-22T07:13:04.000Z',
        }),
        422: response('It is for another machine or log.', error, {
          error: 'this is a command to the machine oven-4, and this one is oven-3',
        }),
      },
    },
  },
};
