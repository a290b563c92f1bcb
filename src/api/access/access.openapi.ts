import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { ROLES } from '../../../machines/vocabulary.ts';
import { meaning, named } from '../openapi/described.ts';
import { refusals, response } from '../openapi/responses.ts';
import { action, incidentClass, maybe, text } from '../openapi/values.ts';

const me = named(
  'Me',
  'Whose token a request has, and what they may do. Bounds that are not given are none.',
  z.object({
    principal: text(),
    roles: z.array(z.enum(ROLES)),
    shared: meaning(z.boolean(), 'Several present this token: whom a request names is what they claim.'),
    sources: maybe(meaning(z.array(text()), 'A reporter reports only as these sources,')),
    classes: maybe(meaning(z.array(incidentClass), 'and only of these classes.')),
    actions: maybe(meaning(z.array(action), 'An implementer reads and confirms only these actions.')),
  }),
);

export const accessPaths: ZodOpenApiPathsObject = {
  '/api/v1/access/me': {
    get: {
      operationId: 'whoAmI',
      tags: ['service'],
      summary: 'Whose token it is',
      description: 'For any token that somebody has.',
      responses: {
        200: response('Who asks.', me, {
          principal: 'canary-tripwire',
          roles: ['reporter'],
          shared: false,
          sources: ['canary-tripwire'],
          classes: ['integrity_violation'],
        }),
        ...refusals(400),
      },
    },
  },
};
