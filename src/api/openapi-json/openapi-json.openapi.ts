import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { refusals, response } from '../openapi/responses.ts';

export const openApiPaths: ZodOpenApiPathsObject = {
  '/api/v1/openapi.json': {
    get: {
      operationId: 'getDescription',
      tags: ['service'],
      summary: 'This document',
      security: [],
      responses: {
        200: response('The document.', z.looseObject({ openapi: z.string() }), {
          openapi: '3.1.1',
          info: {},
          paths: {},
        }),
        ...refusals(),
      },
    },
  },
};
