import * as z from 'zod/mini';
import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { CHART_FORMATS } from '../../statecharts/formats.ts';
import { MACHINES } from '../../statecharts/machines.ts';
import { named } from '../openapi/described.ts';
import { refusals, response } from '../openapi/responses.ts';
import { EXAMPLE_INCIDENT } from '../openapi/examples.ts';
import { transitions } from '../incidents/incident.openapi.ts';
import { queryOf } from '../openapi/parameters.ts';
import { anything, text } from '../openapi/values.ts';
import { idSchema } from '../request/fields.ts';
import { machineSchema, statechartSchema } from './requests.ts';
import { incidentMachine } from '../../../machines/incident.ts';
import { STATES } from '../../../machines/vocabulary.ts';

const machines = named(
  'Machines',
  'All statecharts.',
  z.array(
    z.object({
      name: text(),
      states: z.array(text()),
      events: z.array(text()),
      formats: z.array(z.enum(CHART_FORMATS)),
    }),
  ),
);

const machine = named('Machine', 'A statechart as XState takes it.', anything());

const ID = { description: 'The identifier of the incident.', examples: [EXAMPLE_INCIDENT.id] };
const SVG = { schema: z.string(), example: '<svg xmlns="http://www.w3.org/2000/svg"/>' };

const machinePath = (name: string): ZodOpenApiPathItemObject => ({
  get: {
    operationId: `getMachine_${name}`,
    tags: ['statecharts'],
    summary: `The statechart of ${name === 'incident' ? 'an incident' : 'a delivery'}`,
    security: [],
    requestParams: {
      query: queryOf(machineSchema, {
        format: { description: 'The format.', override: { default: 'json' } },
      }),
    },
    responses: {
      200: {
        description: 'The statechart in that format.',
        content: {
          'application/json': {
            schema: machine,
            example: { id: name, initial: Object.keys(MACHINES[name]!.states)[0] },
          },
          'image/svg+xml': SVG,
          'text/plain; charset=utf-8': { schema: z.string(), example: 'stateDiagram-v2\n' },
          'application/scxml+xml': {
            schema: z.string(),
            example: '<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0"/>',
          },
          'text/vnd.graphviz': { schema: z.string(), example: `digraph ${name} {}\n` },
        },
      },
      ...refusals(400),
    },
  },
});

export const statechartPaths: ZodOpenApiPathsObject = {
  '/api/v1/machines': {
    get: {
      operationId: 'listMachines',
      tags: ['statecharts'],
      summary: 'List the statecharts',
      security: [],
      responses: {
        200: response('The statecharts.', machines, [
          {
            name: 'incident',
            states: STATES,
            events: incidentMachine.events,
            formats: CHART_FORMATS,
          },
        ]),
        ...refusals(400),
      },
    },
  },
  ...Object.fromEntries(Object.keys(MACHINES).map((name) => [`/api/v1/machines/${name}`, machinePath(name)])),
  '/api/v1/incidents/transitions': {
    get: {
      operationId: 'getIncidentTransitions',
      tags: ['statecharts'],
      summary: 'Ask what each event would do to an incident now',
      security: [],
      requestParams: { query: queryOf(idSchema, { id: ID }) },
      responses: {
        200: response('Every event of its statechart.', transitions, {
          id: EXAMPLE_INCIDENT.id,
          state: 'contained',
          transitions: [
            { event: 'contain', allowed: false, target: null, reason: 'not possible while contained' },
            { event: 'acknowledge', allowed: true, target: 'acknowledged' },
          ],
        }),
        ...refusals(400, 404, 410, 503),
      },
    },
  },
  '/api/v1/incidents/statechart': {
    get: {
      operationId: 'getIncidentStatechart',
      tags: ['statecharts'],
      summary: 'Draw an incident in its statechart',
      description: 'The states that it is in, the transitions that it took, and those that are possible now.',
      security: [],
      requestParams: {
        query: queryOf(statechartSchema, {
          id: ID,
          version: {
            description: 'The version to show; without it, the latest.',
            override: { type: 'integer', minimum: 0 },
          },
        }),
      },
      responses: {
        200: { description: 'The drawing.', content: { 'image/svg+xml': SVG } },
        ...refusals(400, 404, 410, 503),
      },
    },
  },
};
