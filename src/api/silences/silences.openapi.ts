import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { ROLES } from '../../../machines/vocabulary.ts';
import { MOST_SILENCES, SILENCE_STATES, type ShownSilence } from '../../domain/silence.ts';
import { described, meaning, named } from '../openapi/described.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { count, type FieldsOf, incidentClass, maybe, severity, text, time } from '../openapi/values.ts';
import { endSilenceSchema, silenceSchema } from './requests.ts';

const silence = named(
  'Silence',
  'What is not notified and does not count as needing attention, from when until when, and why.',
  z.object({
    id: meaning(z.string().check(z.regex(/^SIL-\d{8}-[\da-f]{12}$/)), 'SIL-, the day in UTC, 12 hexadecimal digits.'),
    class: meaning(z.array(incidentClass), 'Of one of these classes; empty for any.'),
    source: meaning(z.array(text()), 'Of one of these sources; empty for any.'),
    severity: meaning(z.array(severity), 'Of one of these severities; empty for any.'),
    q: maybe(meaning(text(), 'With all these words in description, source or id, as in the list.')),
    from: time,
    until: time,
    reason: text(),
    by: maybe(meaning(text(), 'Who added it.')),
    role: maybe(z.enum(ROLES)),
    claimed: maybe(meaning(z.literal(true), 'There when nothing but the request says who that was.')),
    on_behalf_of: maybe(text()),
    added_at: time,
    state: meaning(z.enum(SILENCE_STATES), 'pending before its time, expired after it, ended when somebody ended it.'),
    expires_soon: meaning(
      z.boolean(),
      'Active, and in the last tenth of its span (a day at most) or in its last 15 minutes.',
    ),
    matches: meaning(count, 'How many incidents that would need attention without it match it now; 0 when it is over.'),
    ended_at: maybe(time),
    ended_by: maybe(text()),
    ended_reason: maybe(text()),
  } satisfies FieldsOf<ShownSilence>),
);

const body = described('AddSilence', 'What to silence, for how long, and why.', silenceSchema, {
  class: 'Incidents of one of these classes; left out or empty for any.',
  source: 'Incidents of one of these sources, in full.',
  severity: 'Incidents of one of these severities.',
  q: 'Incidents with all these words in description, source or id; `agent*` is the beginning of one.',
  from: { description: 'RFC 3339; now when it is left out.', override: { format: 'date-time' } },
  until: {
    description: 'RFC 3339, later than `from`, in the future, and within a year.',
    override: { format: 'date-time' },
  },
  reason: 'Why.',
  by: 'Who wants it.',
});

const endBody = described('EndSilence', 'Which silence to end.', endSilenceSchema, {
  id: 'Of the silence.',
  reason: 'Why it is ended.',
  by: 'Who ends it.',
});

const EXAMPLE = {
  id: 'SIL-20261122-18b8a401d3e8',
  class: ['prompt_injection'],
  source: ['tool-firewall'],
  severity: [],
  from: '2026-11-22T07:12:00.123Z',
  until: '2026-11-22T09:12:00.123Z',
  reason: 'the firewall is being updated',
  by: 'ada',
  role: 'operator',
  added_at: '2026-11-22T07:12:00.123Z',
  state: 'active',
  expires_soon: false,
  matches: 3,
} as const;

const full = named(
  'LimitReached',
  'There may be no more of them.',
  z.object({ error: text(), limit: meaning(count, 'How many there may be.') }),
);

export const silencePaths: ZodOpenApiPathsObject = {
  '/api/v1/silences': {
    get: {
      operationId: 'listSilences',
      tags: ['incidents'],
      summary: 'List the silences',
      description:
        'Pending and active ones, and the latest 32 of those that are over, the newest first. The clock decides how one ' +
        'stands.',
      security: [],
      responses: { 200: response('The silences.', z.array(silence), [EXAMPLE]), ...refusals(400) },
    },
    post: {
      operationId: 'addSilence',
      tags: ['incidents'],
      summary: 'Silence incidents for a time',
      description:
        'Incidents that match it, as they are now, are recorded and contained as always. Webhooks that notify people do ' +
        'not get them, and they do not count as needing attention. At least one of `class`, `source`, `severity` and `q` ' +
        'is needed.',
      requestBody: requestBody(body, {
        class: ['prompt_injection'],
        source: ['tool-firewall'],
        until: '2026-11-22T09:12:00.123Z',
        reason: 'the firewall is being updated',
        by: 'ada',
      }),
      responses: {
        201: response('It is on record.', silence, EXAMPLE),
        ...refusals(400, 413, 415, 503),
        409: response(`${MOST_SILENCES} silences are pending or active.`, full, {
          error: `${MOST_SILENCES} silences are pending or active, and there may be no more: end one first`,
          limit: MOST_SILENCES,
        }),
      },
    },
  },
  '/api/v1/silences/end': {
    post: {
      operationId: 'endSilence',
      tags: ['incidents'],
      summary: 'End a silence',
      description: 'One that is over stays as it is.',
      requestBody: requestBody(endBody, { id: EXAMPLE.id, reason: 'the update is done', by: 'ada' }),
      responses: {
        200: response('It is over.', silence, {
          ...EXAMPLE,
          state: 'ended',
          matches: 0,
          ended_at: '2026-11-22T08:00:00.000Z',
          ended_by: 'ada',
          ended_reason: 'the update is done',
        }),
        ...refusals(400, 404, 413, 415, 503),
      },
    },
  },
};
