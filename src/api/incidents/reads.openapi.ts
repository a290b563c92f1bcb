import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import { refusals, response } from '../openapi/responses.ts';
import { DETAILS } from '../../domain/document.ts';
import type { Alike } from '../../query/collapsed-page.ts';
import { SORTS } from '../../query/list-query.ts';
import { describe, meaning } from '../openapi/described.ts';
import { count, type FieldsOf, maybe, text, time } from '../openapi/values.ts';
import { EXAMPLE_INCIDENT, EXAMPLE_REPORT } from '../openapi/examples.ts';
import { queryOf } from '../openapi/parameters.ts';
import { entry, incident } from './incident.openapi.ts';
import { idSchema } from '../request/fields.ts';
import { historySchema, listSchema, LONGEST_LIST, LONGEST_SIMILAR, similarSchema } from './requests.ts';

const TIME = { type: 'string', format: 'date-time' };
const ID = { description: 'The identifier of the incident.', examples: [EXAMPLE_INCIDENT.id] };

/** The filters of the list, the groups and bulk commands. */
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
      'Words that must all occur: in id, source, description, notes and names of people, or in evidence, where the reader ' +
      'may see that. Case and accents do not matter; `agent*` stands for any word that begins so. ' +
      'Terms, at most 8, that must all be true: `evidence.process.name:bash` (or `=`) for exactly this value at this path ' +
      'of keys, in any element of an array, compared as text whatever its type; a dot in a key is a dot, too; ' +
      '`source:`, `class:`, `id:`, `by:`, `assignee:` for exactly these. What has spaces is put in double quotes: ' +
      '`evidence.cmd:"rm -rf"`. A page may end early.',
    examples: ['gateway agent*', 'evidence.ip:203.0.113.7 source:airlock'],
  },
  updated_since: { description: 'Changed at this time or later.', override: TIME },
  assignee: 'Only those that one of these works, at most 16; `none` for nobody.',
  snoozed: {
    description: '`true`: only those that are snoozed; `false`: only others.',
    override: { enum: ['true', 'false'] },
  },
  containment: 'Only those whose containment is one of these. A page may end early.',
  since: { description: 'Created at this time or later.', override: TIME },
  until: { description: 'Created before this time.', override: TIME },
};

const list = queryOf(listSchema, {
  ...FILTERS,
  by: 'Only those on which one of these has acted: contained, acknowledged, resolved, noted, assigned, snoozed, or did something for the recovery. At most 16.',
  sort: {
    description:
      'The order: `severity` (the most severe first), `state` (the order of the chart), `created` and `updated` (the oldest ' +
      'first), `class`, `source`, `assignee` (by name; nobody last). With `-` before it the opposite. Where they are the ' +
      'same, the newest first. What changes its place while pages are read may be on none of them, or on two.',
    override: { enum: [...SORTS], default: 'severity' },
  },
  limit: {
    description: 'How many incidents a page holds at most. It may hold fewer: follow `Link`, do not count.',
    override: { type: 'integer', minimum: 1, maximum: LONGEST_LIST, default: LONGEST_LIST },
  },
  fields: {
    description: `\`summary\`: without ${DETAILS.map((name) => `\`${name}\``).join(', ')}. Such a page has half the bytes.`,
    override: { enum: ['summary'] },
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

const similar = queryOf(similarSchema, {
  id: ID,
  limit: {
    description: 'How many at most.',
    override: { type: 'integer', minimum: 1, maximum: LONGEST_SIMILAR, default: 20 },
  },
});

const similarIncident = z.object({
  incident,
  same: meaning(
    z.array(
      z.object({
        path: meaning(text(), 'The keys to the value, with dots between them.'),
        value: meaning(z.union([z.string(), z.number(), z.boolean(), z.null()]), 'The value.'),
      }),
    ),
    'What is in the evidence of both.',
  ),
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

const summarized = z.omit(
  listed,
  Object.fromEntries(DETAILS.map((name) => [name, true])) as Readonly<Record<(typeof DETAILS)[number], true>>,
);

const withRunbook = z.extend(incident, {
  runbook: maybe(meaning(text(), 'What to do about it, by the policy in force: a URL or a text.')),
});

const TOTAL =
  'How many incidents the filters select on all pages, drills included. Given with class, state and severity, together ' +
  'with source or without; with attention alone; with since and until alone; not where more than 100,000 of a source or a ' +
  'time would have to be counted. `GET /api/v1/incidents/groups?limit=1` counts the others.';

/** What a search has not looked at, as a header. */
export const INCOMPLETE = {
  'Search-Incomplete':
    'After a search that was not complete, what it did not look at: `withheld` (evidence that the reader may not see), ' +
    '`evidence` (of some incident, no more than the first 64 values of a report and 2,048 characters of them are searched), ' +
    '`notes` (of some incident, no more than the newest 20, and 16,384 characters of them).',
};

const NEXT = 'A `Link` header names the next page, if there is one (`rel="next"`).';

export const incidentPaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents': {
    get: {
      operationId: 'listIncidents',
      tags: ['incidents'],
      summary: 'List incidents',
      description: `Most severe first, then newest, unless \`sort\` says otherwise. ${NEXT} Later pages leave out what was reported since the first.`,
      security: [],
      requestParams: { query: list },
      responses: {
        200: response(
          'The incidents.',
          z.union([z.array(listed), z.array(summarized)]),
          [EXAMPLE_INCIDENT],
          {},
          { 'X-Total-Count': TOTAL, ...INCOMPLETE },
        ),
        ...refusals(400, 403, 410, 503),
      },
    },
  },
  '/api/v1/incidents/similar': {
    get: {
      operationId: 'listSimilarIncidents',
      tags: ['incidents'],
      summary: 'List incidents with the same values in their evidence',
      description:
        'The same values under the same keys: the most of them first, then the rarer ones, then the newest. Of each value the newest 257 incidents are looked at. It ends early when it is very long.',
      security: [],
      requestParams: { query: similar },
      responses: {
        200: response('The incidents.', z.array(similarIncident), [
          { incident: EXAMPLE_INCIDENT, same: [{ path: 'ip', value: '203.0.113.7' }] },
        ]),
        ...refusals(400, 403, 404, 410, 503),
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
