import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { CONTAINMENT_STATUSES, RECOVERY_STEPS, RESOLUTIONS, ROLES } from '../../../machines/vocabulary.ts';
import { meaning, named } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { queryOf } from '../openapi/parameters.ts';
import { refusals, response } from '../openapi/responses.ts';
import { action, count, incidentClass, incidentId, maybe, severity, state, text, time } from '../openapi/values.ts';
import { changesSchema } from './requests.ts';

const event = named(
  'Change',
  'One thing that was done, with what its entry says about it: `action`, `to`, `until`, and so on.',
  z.looseObject({
    seq: meaning(count, 'Its entry in the log.'),
    at: time,
    event: meaning(text(), 'The event of its entry.'),
    by: maybe(meaning(text(), 'Who did it.')),
    role: maybe(z.enum(ROLES)),
    note: maybe(meaning(text(), 'A note, a reason, or why it failed.')),
    state: maybe(meaning(state, 'The state of the incident after it.')),
    count: maybe(meaning(count, 'How many further reports this stands for.')),
  }),
);

const changed = named(
  'ChangedIncident',
  'What has changed of one incident, and what it is now.',
  z.object({
    id: incidentId,
    class: maybe(incidentClass),
    source: maybe(text()),
    severity: maybe(severity),
    state: meaning(state, 'Its state now.'),
    description: maybe(meaning(text(), 'Of a long one the beginning.')),
    created_at: maybe(time),
    updated_at: maybe(time),
    occurrences: maybe(count),
    containment_actions: maybe(z.array(action)),
    resolution: maybe(z.enum(RESOLUTIONS)),
    drill: maybe(z.literal(true)),
    assignee: maybe(text()),
    snoozed_until: maybe(time),
    reopens: maybe(incidentId),
    reopened_as: maybe(incidentId),
    seq: meaning(count, 'The entry of its latest change here.'),
    at: time,
    was: maybe(meaning(state, 'Its state before; not given for one that is new.')),
    containment_status: maybe(z.enum(CONTAINMENT_STATUSES)),
    recovery_missing: maybe(z.array(z.enum(RECOVERY_STEPS))),
    events: z.array(event),
  }),
);

const changes = named(
  'Changes',
  'What has changed behind one entry of the log, up to another.',
  z.object({
    after: count,
    through: count,
    changes: meaning(z.array(changed), 'The incidents that have changed, in the order of their latest change.'),
    others: meaning(z.array(event), 'What concerns the recorder itself: policies, silences, damage, guards, restarts.'),
    complete: meaning(z.boolean(), 'Whether that is the end of the log.'),
    next: maybe(meaning(count, 'The next page is after this entry.')),
    archived_through: maybe(meaning(count, 'The entries up to this one are archived.')),
  }),
);

const at = EXAMPLE_INCIDENT.created_at;

export const changesPaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents/changes': {
    get: {
      operationId: 'getChanges',
      tags: ['incidents'],
      summary: 'Read what has changed since an entry or a time',
      description:
        'For whoever takes over: new and further reports, changes of state, notes, early releases, what failed or is ' +
        'overdue, and what concerns the recorder itself; without deliveries that went well. It ends with the log. One of ' +
        '`after` and `since` is required.',
      security: [],
      requestParams: {
        query: queryOf(changesSchema, {
          after: {
            description: 'Everything behind the entry with this sequence number.',
            override: { type: 'integer' },
          },
          since: { description: 'Everything that was written since a time.' },
        }),
      },
      responses: {
        200: response('A page of it.', changes, {
          after: 16,
          through: 18,
          changes: [
            {
              id: EXAMPLE_INCIDENT.id,
              class: EXAMPLE_INCIDENT.class,
              source: EXAMPLE_INCIDENT.source,
              severity: EXAMPLE_INCIDENT.severity,
              state: 'acknowledged',
              description: EXAMPLE_INCIDENT.description,
              created_at: at,
              updated_at: at,
              occurrences: 1,
              seq: 18,
              at,
              events: [
                { seq: 17, at, event: 'incident.reported', severity: EXAMPLE_INCIDENT.severity, state: 'contained' },
                { seq: 18, at, event: 'incident.acknowledged', by: 'ada', role: 'operator', state: 'acknowledged' },
              ],
            },
          ],
          others: [],
          complete: true,
        }),
        ...refusals(400, 410, 503),
      },
    },
  },
};
