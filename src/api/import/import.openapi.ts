import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import type { Imported } from '../../incidents/recorder.ts';
import { described, meaning, named } from '../openapi/described.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { count, type FieldsOf } from '../openapi/values.ts';
import { importSchema } from './requests.ts';

const imported = named(
  'Imported',
  'How many incidents were taken over.',
  z.object({
    imported: count,
    skipped: meaning(count, 'Those that are on record are left as they are.'),
  } satisfies FieldsOf<Imported>),
);

const importBody = described('Import', 'Incidents of another recorder.', importSchema, {
  incidents: {
    description: 'As they stand in its `incidents.jsonl` or its audit log.',
    override: { type: 'array', items: { type: 'object' } },
  },
});

export const IMPORT_EXAMPLE = {
  incidents: [
    {
      id: 'INC-20260301-120000-0001',
      created_at: '2026-03-01T12:00:00Z',
      class: 'prompt_injection',
      severity: 'high',
      state: 'contained',
      source: 'tool-firewall',
      description: 'the prompt asks for the system prompt',
      containment_actions: ['freeze_agent', 'log_alert'],
      containment_results: [{ action: 'freeze_agent', success: true, completed_at: '2026-03-01T12:00:02Z' }],
      hash: '00000000000000000000000000000000',
    },
  ],
};

export const importPaths: ZodOpenApiPathsObject = {
  '/api/v1/import': {
    post: {
      operationId: 'importIncidents',
      tags: ['service'],
      summary: 'Take over incidents of another recorder',
      description:
        'Each gets an `incident.imported` entry, with its identifier, state and times. What it says of containment is not known here: its actions need a person, and nothing is sent by itself.',
      requestBody: requestBody(importBody, IMPORT_EXAMPLE),
      responses: {
        200: response('How many were taken over, and how many were on record.', imported, { imported: 1, skipped: 0 }),
        ...refusals(400, 413, 415, 503),
      },
    },
  },
};
