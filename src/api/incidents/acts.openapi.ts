import type { ZodOpenApiPathsObject } from 'zod-openapi';
import * as z from 'zod/mini';
import { described, meaning, named } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { incidentId, maybe, state, text } from '../openapi/values.ts';
import { commandBody, ifMatch } from './commands.openapi.ts';
import { incident, nextTransitions } from './incident.openapi.ts';
import { assignSchema, noteSchema, snoozeSchema } from './requests.ts';

const ID = { description: 'The identifier of the incident.', override: { minLength: 1, pattern: '\\S' } };
const BY = 'Who does it.';
const WHY = 'Why.';

const noteBody = described('Note', 'What a person notes about an incident.', noteSchema, {
  id: ID,
  note: { description: 'What there is to say.', override: { minLength: 1, pattern: '\\S' } },
  by: BY,
});

const assignBody = described('Assignment', 'Who works an incident.', assignSchema, {
  id: ID,
  to: { description: 'Who; `null` for nobody.', examples: ['ada'] },
  by: BY,
  note: WHY,
});

const snoozeBody = described('Snooze', 'Until when an incident is hidden from what needs attention.', snoozeSchema, {
  id: ID,
  until: {
    description: 'RFC 3339, in the future, at most 90 days ahead; `null` ends the snooze.',
    examples: ['2026-11-22T18:00:00Z'],
  },
  by: BY,
  note: WHY,
});

const ETAG = { ETag: 'Its version, in quotation marks.' };
const header = z.object({ 'If-Match': ifMatch });
const at = '2026-11-22T07:20:00.000Z';
const note = 'The agent is being replaced';

const notReopenable = named(
  'NotReopenable',
  'Why the incident is not reopened.',
  z.object({
    error: text(),
    state,
    allowed: z.array(text()),
    transitions: nextTransitions,
    reopened_as: maybe(
      meaning(incidentId, 'The incident that it was reopened as before, which is resolved or archived.'),
    ),
  }),
);

export const actPaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents/note': {
    post: {
      operationId: 'noteIncident',
      tags: ['incidents'],
      summary: 'Note something about an incident',
      description:
        'For the roles `operator` and `recovery`, in every state. The same note of the same person within ten minutes ' +
        'counts once.',
      requestParams: { header },
      requestBody: requestBody(noteBody, { id: EXAMPLE_INCIDENT.id, note, by: 'ada' }),
      responses: {
        200: response(
          'The incident after it.',
          incident,
          { ...EXAMPLE_INCIDENT, version: 3, note, notes: [{ at, by: 'ada', role: 'operator', note }], notes_count: 1 },
          ETAG,
        ),
        ...refusals(400, 404, 410, 412, 413, 415, 503),
      },
    },
  },
  '/api/v1/incidents/assign': {
    post: {
      operationId: 'assignIncident',
      tags: ['incidents'],
      summary: 'Say who works an incident',
      description:
        'For the roles `operator` and `recovery`, in every state. Who it is assigned to already changes nothing; a note is ' +
        'kept all the same.',
      requestParams: { header },
      requestBody: requestBody(assignBody, { id: EXAMPLE_INCIDENT.id, to: 'ada', by: 'grace' }),
      responses: {
        200: response(
          'The incident after it.',
          incident,
          { ...EXAMPLE_INCIDENT, version: 3, assignee: 'ada', assigned_at: at, assigned_by: 'grace' },
          ETAG,
        ),
        ...refusals(400, 404, 410, 412, 413, 415, 503),
      },
    },
  },
  '/api/v1/incidents/snooze': {
    post: {
      operationId: 'snoozeIncident',
      tags: ['incidents'],
      summary: 'Hide an incident from what needs attention until a time',
      description:
        'It is `acknowledged` until then and comes back by itself, also after a restart: as `open`, or as `contained` if it ' +
        'holds actions. A command and a further report that needs attention end the snooze. Its containment goes on.',
      requestParams: { header },
      requestBody: requestBody(snoozeBody, { id: EXAMPLE_INCIDENT.id, until: '2026-11-22T18:00:00Z', by: 'ada' }),
      responses: {
        200: response(
          'The incident after it.',
          incident,
          {
            ...EXAMPLE_INCIDENT,
            version: 3,
            state: 'acknowledged',
            acknowledged_at: at,
            acknowledged_by: 'ada',
            snoozed_until: '2026-11-22T18:00:00.000Z',
            snoozed_by: 'ada',
          },
          ETAG,
        ),
        ...refusals(400, 404, 409, 410, 412, 413, 415, 503),
      },
    },
  },
  '/api/v1/incidents/reopen': {
    post: {
      operationId: 'reopenIncident',
      tags: ['incidents'],
      summary: 'Take a resolved incident up again',
      description:
        'Opens another incident of the same class, source, description and evidence, at least as severe, under the rule in ' +
        'force, which may contain it at once. Each of both names the other. While that one is not resolved, reopening the ' +
        'same incident gives it again (200). A drill is not reopened.',
      requestParams: { header },
      requestBody: requestBody(commandBody, { id: EXAMPLE_INCIDENT.id, note, by: 'ada' }),
      responses: {
        200: response(
          'It was reopened before, as this incident.',
          incident,
          { ...EXAMPLE_INCIDENT, reopens: 'INC-20261120-1a2b3c4d5e6f' },
          { ...ETAG, Location: 'Where it is read.' },
        ),
        201: response(
          'The new incident.',
          incident,
          {
            ...EXAMPLE_INCIDENT,
            reopens: 'INC-20261120-1a2b3c4d5e6f',
            note,
            notes: [{ at, by: 'ada', role: 'operator', note }],
            notes_count: 1,
          },
          { ...ETAG, Location: 'Where it is read.' },
        ),
        ...refusals(400, 404, 410, 412, 413, 415, 503),
        409: response(
          'It is not resolved; or it was reopened before, as an incident that is resolved by now; or it is a drill.',
          notReopenable,
          {
            error: 'reopen is not possible: the incident is open',
            state: 'open',
            allowed: ['contain'],
            transitions: [],
          },
        ),
      },
    },
  },
};
