import * as z from 'zod/mini';
import { ACTIONS, CLASSES } from '../../../machines/vocabulary.ts';
import { DELIVERY_STATUSES } from '../../../machines/delivery.ts';
import { LOG_STATES } from '../../audit/log.ts';
import type { WebhookStatus } from '../../containment/webhook-feed.ts';
import type { ArchivedSegment, ArchiveOutcome, StayingSegment } from '../../incidents/archivist.ts';
import { NOTIFIED_EVENTS } from '../../domain/entry-events.ts';
import type { PolicyDocument } from '../../policy/document.ts';
import type { Policy } from '../../policy/policy.ts';
import { CHART_FORMATS } from '../../statecharts/formats.ts';
import { meaning, named } from './described.ts';
import { action, anything, count, type FieldsOf, hash, maybe, severity, text, time } from './values.ts';

const policyFields = {
  version: z.literal(1),
  source: z.enum(['file', 'built-in']),
  digest: meaning(hash, 'The same for the same rules, targets and webhooks, however the file is laid out.'),
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
    containment: z.object({
      engaged: meaning(z.array(action), 'The actions in force.'),
      deliveries: meaning(
        z.partialRecord(z.enum(DELIVERY_STATUSES), count),
        'How many deliveries of theirs have each status.',
      ),
    }),
    notify: z.array(
      z.object({
        url: text(),
        status: z.enum(['ok', 'failing']),
        behind: meaning(count, 'Entries that it has not been told of yet.'),
        refused: meaning(count, 'Entries that it has refused since the start.'),
        last_error: maybe(text()),
      } satisfies FieldsOf<WebhookStatus>),
    ),
    policy: z.object({ ...policyFields, path: maybe(text()) }),
  }),
);

const endpoint = z.object({ url: text(), action: text() });

const target = z.object({
  engage: maybe(endpoint),
  release: maybe(endpoint),
  broker: maybe(z.object({ requests: text(), results: text(), action: text() })),
  timeout: maybe(meaning(count, 'In milliseconds.')),
  confirm_every: maybe(meaning(count, 'In milliseconds.')),
});

export const policy = named(
  'Policy',
  'The policy in force, completed from the built-in table. Where tokens are it does not say.',
  z.object({
    ...policyFields,
    path: maybe(text()),
    rules: z.object(
      Object.fromEntries(
        CLASSES.map((name) => [
          name,
          z.object({ auto_contain: z.boolean(), actions: z.array(action), default_severity: severity }),
        ]),
      ),
    ),
    targets: z.partialRecord(z.enum(ACTIONS), target),
    notify: z.array(z.object({ url: text(), events: maybe(z.array(z.enum(NOTIFIED_EVENTS))) })),
  } satisfies FieldsOf<PolicyDocument>),
);

export const machines = named(
  'Machines',
  'The statecharts that there are.',
  z.array(
    z.object({
      name: text(),
      states: z.array(text()),
      events: z.array(text()),
      formats: z.array(z.enum(CHART_FORMATS)),
    }),
  ),
);

export const machine = named('Machine', 'A statechart as XState takes it.', anything());

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
