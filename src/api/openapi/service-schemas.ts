import * as z from 'zod/mini';
import { LOG_STATES } from '../../audit/log.ts';
import type { ArchivedSegment, ArchiveOutcome, StayingSegment } from '../../incidents/archivist.ts';
import type { Policy } from '../../policy/policy.ts';
import { meaning, named } from './described.ts';
import { count, type FieldsOf, hash, maybe, text, time } from './words.ts';

const policyFields = {
  version: z.literal(1),
  source: z.enum(['file', 'built-in']),
  digest: meaning(hash, 'The same for the same rules, however the file is laid out.'),
  loaded_at: time,
} satisfies Partial<FieldsOf<Policy>>;

export const health = named(
  'Health',
  'How the service is.',
  z.object({
    status: meaning(z.enum(['ok', 'degraded']), 'degraded while reports or commands are not taken.'),
    open_incidents: count,
    total_incidents: count,
    reasons: maybe(meaning(z.array(text()), 'Why it is degraded.')),
    warnings: meaning(z.array(text()), 'What an operator should know although nothing is broken.'),
    version: text(),
    started_at: time,
    audit: z.object({
      writable: z.boolean(),
      state: z.enum(LOG_STATES),
      last_seq: count,
      verified_seq: meaning(z.nullable(count), 'How far the log has been verified; null while it has not.'),
      segments: meaning(count, 'Files that make up the log.'),
      bytes: meaning(count, 'Size of the one that is being written.'),
      algorithm: z.enum(['hmac-sha256', 'sha256']),
    }),
    policy: z.object({ ...policyFields, path: maybe(text()) }),
  }),
);

export const probe = named(
  'Probe',
  'Whether it is alive, or ready.',
  z.object({ status: z.enum(['ok', 'degraded']), reasons: maybe(z.array(text())) }),
);

export const reloaded = named(
  'Reloaded',
  'The policy that is in force now.',
  z.object({ status: z.literal('reloaded'), policy: z.object(policyFields), warnings: z.array(text()) }),
);

export const archived = named(
  'Archived',
  'What was moved to the archive, and what stays and why.',
  z.object({
    archived: z.array(
      z.object({
        path: text(),
        first_seq: count,
        last_seq: count,
        incidents: meaning(count, 'How many incidents have left the record with it.'),
      } satisfies FieldsOf<ArchivedSegment>),
    ),
    staying: z.array(z.object({ path: text(), reason: text() } satisfies FieldsOf<StayingSegment>)),
  } satisfies FieldsOf<ArchiveOutcome>),
);
