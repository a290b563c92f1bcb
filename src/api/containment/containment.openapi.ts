import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { ACTIONS } from '../../../machines/vocabulary.ts';
import { answer, body, NOT_IN_FORCE, refusals } from '../openapi/responses.ts';
import { describe, described } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { queryOf } from '../openapi/parameters.ts';
import { actionPosture, confirmed, posture, retried } from './posture.openapi.ts';
import { confirmSchema, LONGEST_WAIT, retrySchema, waitSchema } from '../request/fields.ts';

const INCIDENT = {
  description: 'The one incident that is meant; all that hold the action, when left out.',
  override: { minLength: 1, pattern: '\\S' },
};

const confirmBody = described('Confirmation', 'A service’s word that it has carried a directive out.', confirmSchema, {
  action: 'What it has carried out.',
  incident_id: INCIDENT,
  directive: 'Whether it was to be put into force or taken back.',
  observed: 'What the service sees of its own state. When that contradicts, the containment is lost.',
});

const retryBody = described('Retry', 'A person’s wish to have deliveries tried again.', retrySchema, {
  action: 'Of which action.',
  incident_id: INCIDENT,
  by: 'Who wishes that.',
  note: 'Why.',
});

const query = queryOf(waitSchema, {
  wait: {
    description: 'With `If-None-Match`: how many seconds to wait for another posture before a 304.',
    override: { type: 'integer', minimum: 1, maximum: LONGEST_WAIT },
  },
});

const ifNoneMatch = z.exactOptional(z.string());
describe(ifNoneMatch, 'The `ETag` of the posture that is known already.');
const header = z.object({ 'If-None-Match': ifNoneMatch });

const action = z.enum(ACTIONS);
describe(action, 'The containment action.');

const EXAMPLE = {
  action: 'freeze_agent',
  engaged: true,
  since: EXAMPLE_INCIDENT.created_at,
  holders: 1,
  held_by: [EXAMPLE_INCIDENT.id],
  via: 'poll',
  heard_at: null,
  delivery: {
    incident: EXAMPLE_INCIDENT.id,
    directive: 'engage',
    status: 'recorded',
    via: 'poll',
    attempts: 0,
    waited_ms: 0,
    counts: { recorded: 1 },
  },
};

const released = (name: string): object => ({
  ...EXAMPLE,
  action: name,
  engaged: false,
  since: null,
  holders: 0,
  held_by: [],
  delivery: null,
});

const ETAG = { ETag: 'Changes whenever the answer does.' };
const UNCHANGED = { description: 'It is the posture that is known already, also after `wait` seconds.' };

export const containmentPaths: ZodOpenApiPathsObject = {
  '/api/v1/containment': {
    get: {
      operationId: 'getPosture',
      tags: ['containment'],
      summary: 'Read which containment actions are in force',
      security: [],
      requestParams: { query, header },
      responses: {
        200: answer(
          'Every action.',
          posture,
          { ...Object.fromEntries(ACTIONS.map((name) => [name, released(name)])), freeze_agent: EXAMPLE },
          ETAG,
        ),
        304: UNCHANGED,
        ...refusals(400, 503),
      },
    },
  },
  '/api/v1/containment/{action}': {
    get: {
      operationId: 'getActionPosture',
      tags: ['containment'],
      summary: 'Read whether one containment action is in force',
      description: 'What a service asks that comes for what it has to do.',
      security: [],
      requestParams: { path: z.object({ action }), query, header },
      responses: {
        200: answer('The action.', actionPosture, EXAMPLE, ETAG),
        304: UNCHANGED,
        ...refusals(400, 404, 503),
      },
    },
  },
  '/api/v1/containment/confirm': {
    post: {
      operationId: 'confirmContainment',
      tags: ['containment'],
      summary: 'Confirm that an action is in force, or is not any more',
      requestBody: body(confirmBody, { action: 'freeze_agent', directive: 'engage', observed: 'engaged' }),
      responses: {
        200: answer('What that has changed.', confirmed, {
          action: 'freeze_agent',
          directive: 'engage',
          confirmed: 1,
          lost: 0,
          remaining: 0,
        }),
        ...refusals(400, 404, 413, 415, 503),
        409: NOT_IN_FORCE,
      },
    },
  },
  '/api/v1/containment/retry': {
    post: {
      operationId: 'retryContainment',
      tags: ['containment'],
      summary: 'Have deliveries tried again that failed, were lost or wait',
      requestBody: body(retryBody, { action: 'freeze_agent', by: 'ada' }),
      responses: {
        200: answer('How many are.', retried, { action: 'freeze_agent', retried: 1, remaining: 0 }),
        ...refusals(400, 404, 413, 415, 503),
        409: NOT_IN_FORCE,
      },
    },
  },
};
