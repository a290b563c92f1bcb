import * as z from 'zod/mini';
import type { ZodOpenApiPathsObject } from 'zod-openapi';
import type { ArchivedSegment, ArchiveOutcome, StayingSegment } from '../../incidents/archivist.ts';
import { described, meaning, named } from '../openapi/described.ts';
import { refusals, requestBody, response } from '../openapi/responses.ts';
import { count, type FieldsOf, text } from '../openapi/values.ts';
import { archiveSchema } from './requests.ts';

const archived = named(
  'Archived',
  'What was moved to the archive; what stays, and why.',
  z.object({
    archived: z.array(
      z.object({
        path: text(),
        first_seq: count,
        last_seq: count,
        incidents: meaning(count, 'How many incidents left the record with it.'),
      } satisfies FieldsOf<ArchivedSegment>),
    ),
    staying: z.array(z.object({ path: text(), reason: text() } satisfies FieldsOf<StayingSegment>)),
    carried: meaning(count, 'How many unresolved incidents were carried over: they stay on record.'),
  } satisfies FieldsOf<ArchiveOutcome>),
);

const archiveBody = described('Archive', 'Which segments of the audit log to archive.', archiveSchema, {
  before: {
    description: 'Segments whose entries are all older than this time.',
    override: { type: 'string', format: 'date-time' },
  },
});

const EXAMPLE = {
  archived: [
    {
      path: '/var/lib/secure-ai/logs/archive/incident-recorder-audit.000000000001.jsonl',
      first_seq: 1,
      last_seq: 77_279,
      incidents: 23_197,
    },
  ],
  staying: [
    {
      path: '/var/lib/secure-ai/logs/incident-recorder-audit.000000077280.jsonl',
      reason: 'the release of freeze_agent by incident INC-20260815-f65f0e23ac41 is on its way',
    },
  ],
  carried: 2,
};

export const archivePaths: ZodOpenApiPathsObject = {
  '/api/v1/archive': {
    post: {
      operationId: 'archiveSegments',
      tags: ['service'],
      summary: 'Archive old segments of the audit log',
      description:
        'A segment is moved when all its entries are older than that. Its resolved incidents leave the record; one that is not resolved is carried over (`incident.carried`) and stays.',
      requestBody: requestBody(archiveBody, { before: '2026-11-20T00:00:00Z' }),
      responses: {
        200: response('What was moved; what stays, and why.', archived, EXAMPLE),
        ...refusals(400, 413, 415, 503),
      },
    },
  },
};
