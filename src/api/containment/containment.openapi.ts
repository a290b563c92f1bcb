import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { COMMANDS } from '../../../machines/commands.ts';
import { ACTIONS } from '../../../machines/vocabulary.ts';
import {
  type ActionPreview,
  type IncidentPreview,
  type Preview,
  type Released,
  RELEASING,
} from '../../containment/release-preview.ts';
import { step } from '../recovery/recovery-shape.openapi.ts';
import { ifMatch } from '../incidents/commands.openapi.ts';
import { incident, nextTransitions } from '../incidents/incident.openapi.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { describe, described, meaning, named } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { queryOf } from '../openapi/parameters.ts';
import { action, count, type FieldsOf, incidentId, maybe, state, text } from '../openapi/values.ts';
import { actionPosture, confirmed, posture, retried } from './posture.openapi.ts';
import {
  confirmSchema,
  LONGEST_WAIT,
  MOST_PREVIEWED,
  previewSchema,
  releaseSchema,
  retrySchema,
  waitSchema,
} from './requests.ts';

const INCIDENT = {
  description: 'One incident; without it, all incidents that hold the action.',
  override: { minLength: 1, pattern: '\\S' },
};

const confirmBody = described(
  'Confirmation',
  'A service confirms that it has carried out a directive.',
  confirmSchema,
  {
    action: 'The action that it has carried out.',
    incident_id: INCIDENT,
    directive: 'Whether the action was engaged or released.',
    observed: 'The state that the service observes. When it contradicts the directive, the containment is lost.',
  },
);

const retryBody = described('Retry', 'A person has deliveries tried again.', retrySchema, {
  action: 'The action whose deliveries are tried again.',
  incident_id: INCIDENT,
  by: 'Who asks for it.',
  note: 'Why.',
});

const releaseBody = described('Release', 'A person releases one action of an incident early.', releaseSchema, {
  id: { description: 'The identifier of the incident.', override: { minLength: 1, pattern: '\\S' } },
  action: 'The action that is released.',
  reason: { description: 'Why.', override: { minLength: 1, pattern: '\\S' } },
  by: 'Who releases it.',
});

const releasedIncident = named(
  'ReleasedIncident',
  'An incident of which one action was released early.',
  z.extend(incident, {
    release: meaning(
      z.object({
        action,
        releases: meaning(z.boolean(), 'Whether its release is asked for: no other incident holds it.'),
        others: meaning(count, 'How many other incidents hold it, so that it stays in force.'),
      } satisfies FieldsOf<Released>),
      'What became of the action.',
    ),
  }),
);

/** What would become of one action. */
export const actionPreview = z.object({
  action,
  releases: meaning(
    z.boolean(),
    'Whether it would be released: these are the last that hold it, and each of them takes the command now.',
  ),
  holders: meaning(count, 'How many unresolved incidents hold it now.'),
  others: meaning(count, 'How many of them are others than these.'),
  last: meaning(z.boolean(), 'Whether these are the last that hold it.'),
} satisfies FieldsOf<ActionPreview>);

const previewed = named(
  'ReleasePreview',
  'What a command would release.',
  z.object({
    command: z.enum(RELEASING),
    actions: meaning(z.array(actionPreview), 'Each action that one of the incidents holds.'),
    incidents: z.array(
      z.object({
        id: incidentId,
        state,
        possible: meaning(z.boolean(), 'Whether it takes the command now.'),
        actions: meaning(z.array(action), 'The actions that it holds and that the command would let end.'),
        missing: maybe(meaning(z.array(step), 'What its recovery still needs before it may be resolved.')),
      } satisfies FieldsOf<IncidentPreview>),
    ),
    unknown: meaning(z.array(text()), 'Those that are not on record.'),
  } satisfies FieldsOf<Preview>),
);

const notHeld = named(
  'NotHeld',
  'The incident does not hold the action.',
  z.object({
    error: text(),
    state,
    holds: meaning(z.array(action), 'The actions that it holds and that can be released.'),
    allowed: z.array(z.enum(COMMANDS)),
    transitions: nextTransitions,
  }),
);

const query = queryOf(waitSchema, {
  wait: {
    description: 'With `If-None-Match`: how many seconds to wait for a change before a 304.',
    override: { type: 'integer', minimum: 1, maximum: LONGEST_WAIT },
  },
});

const ifNoneMatch = z.exactOptional(z.string());
describe(ifNoneMatch, 'The `ETag` of the posture that the client knows.');
const header = z.object({ 'If-None-Match': ifNoneMatch });

const pathAction = z.enum(ACTIONS);
describe(pathAction, 'The containment action.');

const EXAMPLE = {
  action: 'freeze_agent',
  engaged: true,
  since: EXAMPLE_INCIDENT.created_at,
  asked: { directive: 'engage', since: EXAMPLE_INCIDENT.created_at },
  carried_out: null,
  not_known: { incidents: 1, overdue: 0, oldest_asked_at: EXAMPLE_INCIDENT.created_at },
  holders: 1,
  held_by: [EXAMPLE_INCIDENT.id],
  holder_groups: [
    {
      class: EXAMPLE_INCIDENT.class,
      source: EXAMPLE_INCIDENT.source,
      count: 1,
      severity: EXAMPLE_INCIDENT.severity,
      first: EXAMPLE_INCIDENT.created_at,
      ids: [EXAMPLE_INCIDENT.id],
      more: 0,
    },
  ],
  via: 'poll',
  heard_at: null,
  delivery: {
    incident: EXAMPLE_INCIDENT.id,
    directive: 'engage',
    status: 'recorded',
    via: 'poll',
    attempts: 0,
    waited_ms: 0,
    asked_at: EXAMPLE_INCIDENT.created_at,
    asked_seq: 17,
    counts: { recorded: 1 },
  },
};

const released = (name: string): object => ({
  ...EXAMPLE,
  action: name,
  engaged: false,
  since: null,
  asked: null,
  not_known: null,
  holders: 0,
  held_by: [],
  holder_groups: undefined,
  delivery: null,
});

const notInForce = named(
  'NotInForce',
  'The action has nothing to confirm or to try again.',
  z.object({ error: text(), action: maybe(action), engaged: maybe(z.boolean()) }),
);

const NOT_IN_FORCE = response('The action has nothing to confirm or to try again.', notInForce, {
  error: 'freeze_agent is released: there is no engage to confirm',
  action: 'freeze_agent',
  engaged: false,
});

const ETAG = { ETag: 'Changes whenever the response does.' };
const UNCHANGED = { description: 'The client knows this posture, and it did not change within `wait` seconds.' };

export const containmentPaths: ZodOpenApiPathsObject = {
  '/api/v1/containment': {
    get: {
      operationId: 'getPosture',
      tags: ['containment'],
      summary: 'Read which containment actions are in force',
      security: [],
      requestParams: { query, header },
      responses: {
        200: response(
          'Every action.',
          posture,
          {
            ...Object.fromEntries(ACTIONS.map((name) => [name, released(name)])),
            freeze_agent: EXAMPLE,
          },
          ETAG,
        ),
        304: UNCHANGED,
        ...refusals(400, 503),
      },
    },
  },
  '/api/v1/containment/preview': {
    get: {
      operationId: 'previewRelease',
      tags: ['containment'],
      summary: 'Read what a command would release',
      description:
        'An action is released when the last unresolved incident that holds it lets it end. Of several incidents it says ' +
        'what the command does once all of them have had it.',
      security: [],
      requestParams: {
        query: queryOf(previewSchema, {
          id: { description: `An incident; up to ${MOST_PREVIEWED} times.` },
          command: { description: '`resolve`, or `release` for an early release.' },
          action: { description: 'With `release`: the action that is meant.' },
        }),
      },
      responses: {
        200: response('What it would do to each action that they hold.', previewed, {
          command: 'resolve',
          actions: [{ action: 'freeze_agent', releases: false, holders: 3, others: 2, last: false }],
          incidents: [{ id: EXAMPLE_INCIDENT.id, state: 'contained', possible: true, actions: ['freeze_agent'] }],
          unknown: [],
        }),
        ...refusals(400, 404, 410, 503),
      },
    },
  },
  '/api/v1/containment/{action}': {
    get: {
      operationId: 'getActionPosture',
      tags: ['containment'],
      summary: 'Read whether one containment action is in force',
      description: 'For a service that polls for its directives.',
      security: [],
      requestParams: { path: z.object({ action: pathAction }), query, header },
      responses: {
        200: response('The action.', actionPosture, EXAMPLE, ETAG),
        304: UNCHANGED,
        ...refusals(400, 404, 503),
      },
    },
  },
  '/api/v1/containment/confirm': {
    post: {
      operationId: 'confirmContainment',
      tags: ['containment'],
      summary: 'Confirm that an action is engaged or released',
      requestBody: requestBody(confirmBody, { action: 'freeze_agent', directive: 'engage', observed: 'engaged' }),
      responses: {
        200: response('What the confirmation changed.', confirmed, {
          action: 'freeze_agent',
          directive: 'engage',
          confirmed: 1,
          lost: 0,
          remaining: 0,
        }),
        ...refusals(400, 404, 410, 413, 415, 503),
        409: NOT_IN_FORCE,
      },
    },
  },
  '/api/v1/containment/release': {
    post: {
      operationId: 'releaseAction',
      tags: ['containment'],
      summary: 'Release one action of an incident early',
      description:
        'The incident stays. Where other incidents hold the action it stays in force; otherwise its release is delivered ' +
        'as at the end of the incident. For operators; where the incident’s rule asks for a recovery for the role ' +
        '`recovery`, and what was done for the recovery counts no more. A further report whose rule asks for the action, ' +
        'and `contain`, ask for it again.',
      requestParams: { header: z.object({ 'If-Match': ifMatch }) },
      requestBody: requestBody(releaseBody, {
        id: EXAMPLE_INCIDENT.id,
        action: 'freeze_agent',
        reason: 'The agent is needed',
        by: 'ada',
      }),
      responses: {
        200: response(
          'The incident after it, and what became of the action.',
          releasedIncident,
          { ...EXAMPLE_INCIDENT, version: 3, release: { action: 'freeze_agent', releases: false, others: 2 } },
          { ETag: 'Its version, in quotation marks.' },
        ),
        ...refusals(400, 404, 410, 412, 413, 415, 503),
        409: response('The incident does not hold the action, or is resolved.', notHeld, {
          error: 'the incident does not hold freeze_agent; it holds disable_airlock',
          state: 'contained',
          holds: ['disable_airlock'],
          allowed: ['acknowledge', 'resolve'],
          transitions: [{ event: 'release', allowed: true, target: 'open' }],
        }),
      },
    },
  },
  '/api/v1/containment/retry': {
    post: {
      operationId: 'retryContainment',
      tags: ['containment'],
      summary: 'Try deliveries again that failed, were lost or wait',
      requestBody: requestBody(retryBody, { action: 'freeze_agent', by: 'ada' }),
      responses: {
        200: response('How many deliveries are tried again.', retried, {
          action: 'freeze_agent',
          retried: 1,
          remaining: 0,
        }),
        ...refusals(400, 404, 410, 413, 415, 503),
        409: NOT_IN_FORCE,
      },
    },
  },
};
