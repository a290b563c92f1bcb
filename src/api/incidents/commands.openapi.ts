import * as z from 'zod/mini';
import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { describe, described } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { incident } from './incident.openapi.ts';
import { commandSchema } from './requests.ts';

const commandBody = described('Command', 'A person’s command on an incident.', commandSchema, {
  id: { description: 'The identifier of the incident.', override: { minLength: 1, pattern: '\\S' } },
  by: 'Who gives it.',
  note: 'Why.',
});

const ifMatch = z.exactOptional(z.string());
describe(ifMatch, {
  description: 'The version that the incident must have, in quotation marks. Without it, or with `*`, any version.',
  examples: ['"2"'],
});

interface CommandDescription {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  /** Whether there are states in which it is not allowed. */
  readonly mayBeIllegal: boolean;
  /** What the incident shows after the command. */
  readonly example: object;
}

const command = (it: CommandDescription): ZodOpenApiPathItemObject => {
  const { operationId, summary, description, mayBeIllegal, example } = it;
  return {
    post: {
      operationId,
      tags: ['incidents'],
      summary,
      description: `${description} When the incident is in that state already, nothing changes.`,
      requestParams: { header: z.object({ 'If-Match': ifMatch }) },
      requestBody: requestBody(commandBody, { id: EXAMPLE_INCIDENT.id, by: 'ada' }),
      responses: {
        200: response(
          'The incident after the command.',
          incident,
          { ...EXAMPLE_INCIDENT, version: 3, ...example },
          { ETag: 'Its version, in quotation marks.' },
        ),
        ...refusals(400, 404, 412, 413, 415, 503, ...(mayBeIllegal ? ([409] as const) : [])),
      },
    },
  };
};

const AT = '2026-11-22T07:20:00.000Z';

export const commandPaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents/contain': command({
    operationId: 'containIncident',
    summary: 'Contain an incident that the policy left open',
    description: 'Engages the actions of its rule.',
    mayBeIllegal: true,
    example: { state: 'contained', contained_at: AT, contained_by: 'ada' },
  }),
  '/api/v1/incidents/acknowledge': command({
    operationId: 'acknowledgeIncident',
    summary: 'Acknowledge an incident',
    description: 'A person has seen it; containment stays in force.',
    mayBeIllegal: true,
    example: { state: 'acknowledged', acknowledged_at: AT, acknowledged_by: 'ada' },
  }),
  '/api/v1/incidents/resolve': command({
    operationId: 'resolveIncident',
    summary: 'Resolve an incident',
    description: 'Ends the incident, whatever its state, and releases its containment.',
    mayBeIllegal: false,
    example: { state: 'resolved', resolved_at: AT, resolved_by: 'ada' },
  }),
};
