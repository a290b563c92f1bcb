import * as z from 'zod/mini';
import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi';
import { DELIVERY_STATUSES } from '../../../machines/delivery.ts';
import { DIRECTIVES } from '../../../machines/vocabulary.ts';
import { LOG_STATES } from '../../audit/log.ts';
import type { ClockJump } from '../../domain/entries.ts';
import { VENDOR_FORMATS } from '../../domain/notice.ts';
import type { ResendStatus } from '../../containment/alert-resend.ts';
import type { WebhookStatus } from '../../containment/webhook-feed.ts';
import { meaning, named } from '../openapi/described.ts';
import { refusals, response } from '../openapi/responses.ts';
import { action, count, type FieldsOf, incidentId, maybe, text, time } from '../openapi/values.ts';
import { guard } from '../heartbeat/heartbeat.openapi.ts';
import { accessNow, policyFields } from '../policy/policy-shape.openapi.ts';

const health = named(
  'Health',
  'The health of the service.',
  z.object({
    status: meaning(z.enum(['ok', 'degraded']), 'degraded while reports and commands are refused.'),
    open_incidents: maybe(meaning(count, 'Missing while the log is being read at a start.')),
    total_incidents: maybe(meaning(count, 'Missing like `open_incidents`.')),
    needs_attention: maybe(
      meaning(count, 'How many incidents need attention, silenced ones left out. Missing like `open_incidents`.'),
    ),
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
      log_id: meaning(z.nullable(text()), 'The identity of the log: the hash of its first entry.'),
      findings: meaning(
        z.array(z.object({ finding: text(), detail: text(), found_at: time })),
        'What was found wrong with the log, until it is acknowledged.',
      ),
      anchor: maybe(
        meaning(
          z.object({
            seq: meaning(count, 'The last entry that the fleet has signed.'),
            at: meaning(time, 'When that was recorded.'),
            age_seconds: count,
          }),
          'The last anchor of the log; missing before the first one.',
        ),
      ),
    }),
    clock: maybe(
      meaning(
        z.object({
          jumps: z.array(
            z.object({
              seq: meaning(count, 'The entry that records it.'),
              at: time,
              by_ms: meaning(z.int(), 'Below 0 when the clock was set back.'),
              since: meaning(time, 'What it said before.'),
              after_seq: meaning(count, 'The times of the entries from here to `seq` are uncertain.'),
              found: z.enum(['running', 'start']),
            } satisfies FieldsOf<ClockJump>),
          ),
        }),
        'The latest jumps of the clock; missing when there were none.',
      ),
    ),
    containment: maybe(
      z.object({
        engaged: meaning(z.array(action), 'The actions in force.'),
        deliveries: meaning(
          z.partialRecord(z.enum(DELIVERY_STATUSES), count),
          'How many of their deliveries have each status.',
        ),
        overdue: meaning(
          z.array(
            z.object({
              action,
              directive: z.enum(DIRECTIVES),
              incident: meaning(incidentId, 'The one that has waited longest.'),
              asked_at: time,
              age_seconds: count,
              incidents: meaning(count, 'How many are overdue.'),
            }),
          ),
          'What was asked for and not confirmed within the `overdue_after` of the policy.',
        ),
      }),
    ),
    guards: meaning(z.array(guard), 'The sources that the policy expects to hear from.'),
    notify: z.array(
      z.object({
        url: text(),
        status: z.enum(['ok', 'failing']),
        behind: meaning(count, 'Entries that were not sent to it yet.'),
        refused: meaning(count, 'Entries that it refused for good since the start: they were skipped.'),
        parked: meaning(count, 'Entries that it does not take while it takes others; they are tried again for a day.'),
        skipped: meaning(count, 'Entries that are not sent to it any more: see /api/v1/webhooks/skipped.'),
        last_error: maybe(text()),
        format: maybe(meaning(z.enum(VENDOR_FORMATS), 'What it is sent; not there when that is entries.')),
        resend: maybe(
          meaning(
            z.object({
              alerts: meaning(count, 'How many alerts the last turn has sent.'),
              took_ms: count,
              late: meaning(z.boolean(), 'Whether a turn takes longer than a minute.'),
            } satisfies FieldsOf<ResendStatus>),
            'For Alertmanager, which is sent all unresolved incidents again once a minute.',
          ),
        ),
      } satisfies FieldsOf<WebhookStatus>),
    ),
    policy: z.object({
      ...policyFields,
      path: maybe(text()),
      targets_from_environment: maybe(
        meaning(z.array(action), 'The actions whose target the environment names, and not the file.'),
      ),
    }),
    access: accessNow,
  }),
);

const probe = named(
  'Probe',
  'Whether the service is alive, or ready.',
  z.object({ status: z.enum(['ok', 'degraded']), reasons: maybe(z.array(text())) }),
);

const REASONS = ["the audit log can't be written: ENOSPC"];
const RETRY = { 'Retry-After': 'After how many seconds to ask again.' };

const EXAMPLE = {
  status: 'ok',
  open_incidents: 1,
  total_incidents: 2,
  needs_attention: 1,
  warnings: [
    'no access file at /etc/secure-ai/policy/incident-access.yaml: whoever has the service token has every role, ' +
      'and is whoever they say',
  ],
  version: '0.1.0',
  started_at: '2026-11-22T07:00:00.000Z',
  audit: {
    writable: true,
    state: 'open',
    last_seq: 17,
    verified_seq: 17,
    segments: 1,
    bytes: 8127,
    algorithm: 'hmac-sha256',
    log_id: '5d0c1c2d9f0a4f7a1d9b6a9c6f1f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b',
    findings: [],
  },
  containment: { engaged: ['freeze_agent'], deliveries: { confirmed: 1 }, overdue: [] },
  guards: [{ source: 'runtime-attestor', every_seconds: 300, status: 'heard', heard_at: '2026-11-22T07:12:00.123Z' }],
  notify: [],
  policy: {
    version: 1,
    source: 'file',
    path: '/etc/secure-ai/policy/incident-containment.yaml',
    digest: '62620e39d2a2d4ee9f4d9bb1d7b6d7c61b9df6e7ac9ac2a9a3a4f7c01c1b5a58',
    loaded_at: '2026-11-22T07:00:00.000Z',
  },
  access: { source: 'none' },
};

const get = (operationId: string, summary: string, responses: object): ZodOpenApiPathItemObject => ({
  get: { operationId, tags: ['service'], summary, security: [], responses: { ...responses, ...refusals() } },
});

export const healthPaths: ZodOpenApiPathsObject = {
  '/health': get('getHealth', 'Read the health of the service', {
    200: response('It takes reports and commands.', health, EXAMPLE),
    503: response('It does not.', health, { ...EXAMPLE, status: 'degraded', reasons: REASONS }, RETRY),
  }),
  '/livez': get('getLiveness', 'Whether the process serves', {
    200: response('It does. When there is no response, a restart may help.', probe, { status: 'ok' }),
  }),
  '/readyz': get('getReadiness', 'Whether reports and commands are taken', {
    200: response('They are.', probe, { status: 'ok' }),
    503: response('They are not, and why.', probe, { status: 'degraded', reasons: REASONS }, RETRY),
  }),
};
