import * as z from 'zod/mini';
import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { STATES } from '../../../machines/vocabulary.ts';
import { type Containment, GROUP_MEMBERS, type IncidentGroup } from '../../query/incident-groups.ts';
import { meaning, named } from '../openapi/described.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { queryOf } from '../openapi/parameters.ts';
import { refusals, response } from '../openapi/responses.ts';
import {
  count,
  type FieldsOf,
  incidentClass,
  incidentId,
  maybe,
  severity,
  state,
  text,
  time,
} from '../openapi/values.ts';
import { USUAL_GROUPS } from './groups-query.ts';
import { FILTERS, INCOMPLETE } from './reads.openapi.ts';
import { groupsSchema, LONGEST_LIST } from './requests.ts';

const query = queryOf(groupsSchema, {
  ...FILTERS,
  by: {
    description:
      'What the incidents of a group have in common: distinct members among ' +
      `${GROUP_MEMBERS.join(', ')}, separated by commas. Bursts are not split by time: narrow them by since and until.`,
    override: { type: 'array', items: { type: 'string' }, default: ['class,source'] },
  },
  limit: {
    description: 'How many groups a page holds at most.',
    override: { type: 'integer', minimum: 1, maximum: LONGEST_LIST, default: USUAL_GROUPS },
  },
  cursor: 'From the `Link` header of the page before.',
});

const containment = z.object({
  overdue: count,
  broken: count,
  delivering: count,
  confirmed: count,
} satisfies FieldsOf<Containment>);

const counted = {
  class: maybe(incidentClass),
  source: maybe(text()),
  state: maybe(state),
  assignee: maybe(meaning(z.nullable(text()), 'Null: nobody’s.')),
  count,
  first: meaning(time, 'When the first was created.'),
  last: meaning(time, 'When the last was created.'),
  severity: meaning(severity, 'The worst.'),
  states: meaning(
    z.object(Object.fromEntries(STATES.map((name) => [name, maybe(count)]))),
    'How many are in which state; without those of which there are none.',
  ),
};

const group = named(
  'Group',
  'Incidents that have in common what they are grouped by.',
  z.object({
    ...counted,
    newest: meaning(incidentId, 'The newest of them.'),
    description: meaning(text(), 'Of the newest; of one with more than 500 characters the beginning.'),
    assignees: maybe(meaning(z.record(z.string(), count), 'Of the unresolved: how many are whose.')),
    containment: maybe(
      meaning(containment, 'Of the unresolved: how far containment is; broken has failed, or was lost.'),
    ),
    looked_at: maybe(
      meaning(count, 'How many unresolved ones were looked at for assignees and containment, when there are more.'),
    ),
  } satisfies FieldsOf<IncidentGroup>),
);

const statistics = named('GroupCount', 'How many incidents have in common what is counted.', z.object(counted));

const COUNTED = {
  class: EXAMPLE_INCIDENT.class,
  source: EXAMPLE_INCIDENT.source,
  count: 300,
  first: '2026-11-22T07:02:11.004Z',
  last: EXAMPLE_INCIDENT.created_at,
  severity: 'high',
  states: { contained: 298, resolved: 2 },
};

const EXAMPLE = {
  ...COUNTED,
  newest: EXAMPLE_INCIDENT.id,
  description: EXAMPLE_INCIDENT.description,
  assignees: { ada: 12 },
  containment: { overdue: 0, broken: 0, delivering: 40, confirmed: 258 },
};

const HEADERS = {
  'X-Total-Count': 'How many incidents the filters select.',
  'X-Group-Count': 'How many groups they are.',
  'X-Complete':
    '`false` when there is more than is counted for one answer: then counts and totals are at least so high.',
};

const ORDER =
  'The group with the worst severity first, then the one with the newest incident. A `Link` header names the next page, ' +
  'if there is one (`rel="next"`); later pages leave out what was reported since the first.';

const pathOf = (
  operationId: string,
  summary: string,
  description: string,
  shape: z.ZodMiniType,
  example: unknown,
): ZodOpenApiPathItemObject => ({
  get: {
    operationId,
    tags: ['incidents'],
    summary,
    description,
    security: [],
    requestParams: { query },
    responses: {
      200: response('The groups.', z.array(shape), [example], HEADERS, INCOMPLETE),
      ...refusals(400, 403, 410, 503),
    },
  },
});

export const groupPaths: ZodOpenApiPathsObject = {
  '/api/v1/incidents/groups': pathOf('listGroups', 'List incidents in groups', ORDER, group, EXAMPLE),
  '/api/v1/stats/groups': pathOf(
    'getGroupStatistics',
    'Count incidents in groups',
    `As \`GET /api/v1/incidents/groups\`, counts only, and without drills. ${ORDER}`,
    statistics,
    COUNTED,
  ),
};
