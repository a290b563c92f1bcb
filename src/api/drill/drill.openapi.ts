import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { incident } from '../incidents/incident.openapi.ts';
import { described, named } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { incidentId, text } from '../openapi/values.ts';
import { drillSchema } from './requests.ts';

const drillBody = described('Drill', 'What is rehearsed.', drillSchema, {
  class: 'The class whose rule is rehearsed.',
  by: 'Who asks for it.',
  note: 'Why.',
});

const running = named(
  'DrillRunning',
  'Another drill is running.',
  z.object({ error: text(), incident: z.nullable(incidentId) }),
);

export const drillPaths: ZodOpenApiPathsObject = {
  '/api/v1/drill': {
    post: {
      operationId: 'beginDrill',
      tags: ['containment'],
      summary: 'Rehearse what a report of a class would do',
      description:
        'The drill is an incident with `drill: true`, which goes on by itself: the targets that take part (`drill: true` in the ' +
        'policy) are asked to engage, and to release when it is resolved at its end. It counts in no statistics, holds no ' +
        'action, and touches nothing that a real incident holds. `drill_releases` of the incident are there once it is resolved.',
      requestBody: requestBody(drillBody, { class: 'prompt_injection', note: 'the monthly one' }),
      responses: {
        201: response(
          'It has begun.',
          incident,
          { ...EXAMPLE_INCIDENT, source: 'drill', description: 'A drill: the monthly one', drill: true },
          { ETag: 'Its version, in quotation marks.', Location: 'The path under which it is read.' },
        ),
        ...refusals(400, 413, 415, 503),
        409: response('Another drill is running.', running, {
          error: 'a drill is running: INC-20261122-4f2a9c01d3e8; try again when it is over',
          incident: 'INC-20261122-4f2a9c01d3e8',
        }),
      },
    },
  },
};
