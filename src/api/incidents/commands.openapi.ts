import * as z from 'zod/mini';
import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../../machines/commands.ts';
import { begin, decide } from '../../../machines/decision.ts';
import { RESOLUTIONS, STATES } from '../../../machines/vocabulary.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { describe, described } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { incident } from './incident.openapi.ts';
import { commandSchema, resolveSchema } from './requests.ts';

const commandBody = described('Command', 'A person’s command on an incident.', commandSchema, {
  id: { description: 'The identifier of the incident.', override: { minLength: 1, pattern: '\\S' } },
  by: 'Who gives it.',
  note: 'Why.',
});

const resolveBody = described('Resolve', 'A person’s command that ends an incident.', resolveSchema, {
  id: { description: 'The identifier of the incident.', override: { minLength: 1, pattern: '\\S' } },
  by: 'Who gives it.',
  note: 'Why.',
  resolution: `What the incident was: ${RESOLUTIONS.join(', ')}. The statistics count it.`,
});

export const ifMatch = z.exactOptional(z.string());
describe(ifMatch, {
  description:
    'The version that the incident must have, in quotation marks. Without it, or with `*`, any version. It also holds when ' +
    'only deliveries, alerts, or occurrences that change neither severity nor state, have come since.',
  examples: ['"2"'],
});

/**
 * A command that leads to the state in which the incident already is changes nothing; any other may be illegal. None may
 * be resolved whose recovery is not complete.
 */
const mayBeIllegal = (type: CommandName): boolean => {
  const recovery = { acknowledge: true };
  const { context } = begin({ auto_contain: false, actions: [], default_severity: 'low', recovery }).snapshot;
  return STATES.some((value) => decide({ value, context }, { type }).kind === 'refused');
};

const pathOf = (name: CommandName): ZodOpenApiPathItemObject => {
  const { done, meaning } = COMMAND_TABLE[name];
  const at = '2026-11-22T07:20:00.000Z';
  return {
    post: {
      operationId: `${name}Incident`,
      tags: ['incidents'],
      summary: `${name.charAt(0).toUpperCase()}${name.slice(1)} an incident`,
      description: `${meaning} When the incident is in that state already, nothing changes.`,
      requestParams: { header: z.object({ 'If-Match': ifMatch }) },
      requestBody: requestBody(name === 'resolve' ? resolveBody : commandBody, {
        id: EXAMPLE_INCIDENT.id,
        by: 'ada',
        ...(name === 'resolve' && { resolution: 'true_positive' }),
      }),
      responses: {
        200: response(
          'The incident after it.',
          incident,
          {
            ...EXAMPLE_INCIDENT,
            version: 3,
            state: done,
            [`${done}_at`]: at,
            [`${done}_by`]: 'ada',
            ...(name === 'resolve' && { resolution: 'true_positive' }),
          },
          { ETag: 'Its version, in quotation marks.' },
        ),
        ...refusals(400, 404, 410, 412, 413, 415, 503, ...(mayBeIllegal(name) ? ([409] as const) : [])),
      },
    },
  };
};

export const commandPaths: ZodOpenApiPathsObject = Object.fromEntries(
  COMMANDS.map((name) => [`/api/v1/incidents/${name}`, pathOf(name)]),
);
