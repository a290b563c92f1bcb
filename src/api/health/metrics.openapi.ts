import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { FORMATS } from '../../metrics/exposition.ts';
import { refusals } from '../openapi/responses.ts';

const EXAMPLE =
  '# HELP incident_recorder_ready Whether reports and commands are taken.\n' +
  '# TYPE incident_recorder_ready gauge\n' +
  'incident_recorder_ready 1\n';

export const metricsPaths: ZodOpenApiPathsObject = {
  '/metrics': {
    get: {
      operationId: 'getMetrics',
      tags: ['service'],
      summary: 'The service’s figures for Prometheus',
      security: [],
      responses: {
        200: {
          description: 'In OpenMetrics text, or in the older text format for a client that accepts only that.',
          content: Object.fromEntries(
            FORMATS.map((format, index) => [
              format,
              { schema: z.string(), example: index === 0 ? `${EXAMPLE}# EOF\n` : EXAMPLE },
            ]),
          ),
        },
        ...refusals(),
      },
    },
  },
};
