import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { refusals, response } from '../openapi/responses.ts';
import type { Alike } from '../../projections/incident-list.ts';
import { describe, meaning } from '../openapi/described.ts';
import { count, type FieldsOf, maybe, text, time } from '../openapi/values.ts';
import { EXAMPLE_INCIDENT, EXAMPLE_REPORT } from '../openapi/examples.ts';
import { queryOf } from '../openapi/parameters.ts';
import { entry, incident } from './incident.openapi.ts';
import { idSchema } from '../request/fields.ts';
import { historySchema, listSchema, LONGEST_LIST } from './requests.ts';

const TIME = { type: 'string', format: 'date-time' };
const ID = { description: 'The identifier of the incident.', examples: [EXAMPLE_INCIDENT.id] };

export const FILTERS = {
  class: 'Only these classes.',
  state: 'Only these states.',
  severity: 'Only these severities.',
  source: 'Only reports from these sources, at most 16.',
  resolution: 'Only those that turned out to be one of these. A page may end early.',
  attention: {
    description:
      'Only those that need attention: open or contained, or acknowledged with containment that is overdue or broken or ' +
      'with a recovery to be done; without silenced and snoozed ones and drills.',
    override: { enum: ['true'] },
  },
  silenced: {
    description: 'Only those that an active silence matches, or only the others. A page may end early.',
    override: { enum: ['true', 'false'] },
  },
  q: {
    description:
      'Words that must all occur in id, source or description. Case and accents do not matter; `agent*` stands for any ' +
      'word that begins so. ' +
      'A page may end early.',
    examples: ['gateway agent*'],
  },
  since: { description: 'Created at this time or later.', override: TIME },
  until: { description: 'Created before this time.', override: TIME },
};

const list = queryOf(listSchema, {
  ...FILTERS,
  limit: {
    description: 'How many incidents a page holds at most. It may hold fewer: follow `Link`, do not count.',
    override: { type: 'integer', minimum: 1, maximum: LONGEST_LIST, default: LONGEST_LIST },
  },
  collapse: {
    description:
      '`source`: of incidents with the same severity, state, class and source only the newest, with the others counted in ' +
      '`alike`. The next page may go on with the same ones.',
    override: { enum: ['source'] },
  },
  cursor: 'From the `Link` header of the page before.',
});

const history = queryOf(historySchema, {
  id: ID,
  after: {
    description: 'The version after which the page begins.',
    override: { type: 'integer', minimum: 0, default: 0 },
  },
});

const ifNoneMatch = z.exactOptional(z.string());
describe(ifNoneMatch, { description: 'The version that the client knows.', examples: ['"2"'] });

const EXAMPLE_ENTRY = {
  timestamp: EXAMPLE_INCIDENT.created_at,
  event: 'incident.reported',
  data: {
    seq: 17,
    incident: EXAMPLE_INCIDENT.id,
    version: 1,
    state: 'contained',
    severity: 'high',
    report: EXAMPLE_REPORT,
    rule: { auto_contain: true, actions: ['freeze_agent', 'log_alert'], default_severity: 'high' },
  },
  prev_hash: '60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752',
  entry_hash: 'fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13',
  algorithm: 'hmac-sha256',
};

const listed = z.extend(incident, {
  alike: maybe(
    meaning(
      z.object({ count, since: time, until: time } satisfies FieldsOf<Alike>),
      'In a collapsed list: how many more are like it on this page, and when the first and the last of those were created.',
    ),
  ),
});

const withRunbook = z.extend(incident, {
  runbook: maybe(meaning(text(), 'What to do about it, by the policy in force: a URL or a text.')),
});

const TOTAL =
  'How many incidents the filters select on all pages, drills included. Absent with filters other than class, state and ' +
  'severity: `GET /api/v1/incidents/groups?limit=1` counts those.';

const NEXT = 'A `Link` header names the next page, if there is one (`rel="next"`).';

export const incidentPaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents': {
    get: {
      operationId: 'listIncidents',
      tags: ['incidents'],
      summary: 'List incidents',
      description: `Most severe first, then newest. ${NEXT} Later pages leave out what was reported since the first.`,
      security: [],
      requestParams: { query: list },
      responses: {
        200: response('The incidents.', z.array(listed), [EXAMPLE_INCIDENT], { 'X-Total-Count': TOTAL }),
        ...refusals(400, 410, 503),
      },
    },
  },
  '/api/v1/incidents/get': {
    get: {
      operationId: 'getIncident',
      tags: ['incidents'],
      summary: 'Read one incident',
      security: [],
      requestParams: { query: queryOf(idSchema, { id: ID }), header: z.object({ 'If-None-Match': ifNoneMatch }) },
      responses: {
        200: response('The incident.', withRunbook, EXAMPLE_INCIDENT, { ETag: 'Its version, in quotation marks.' }),
        304: { description: 'The incident is still at that version.' },
        ...refusals(400, 404, 410, 503),
      },
    },
  },
  '/api/v1/incidents/history': {
    get: {
      operationId: 'getIncidentHistory',
      tags: ['incidents'],
      summary: 'Read what the audit log says of an incident',
      description: `The lines of the log, oldest first; \`data.withheld\` names what is left out of one. Where earlier ones were archived, an \`incident.carried\` entry has the incident as it was then and says where they are (\`data.earlier\`). ${NEXT}`,
      security: [],
      requestParams: { query: history },
      responses: { 200: response('The entries.', z.array(entry), [EXAMPLE_ENTRY]), ...refusals(400, 404, 410, 503) },
    },
  },
};
