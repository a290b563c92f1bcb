import * as z from 'zod/mini';
import { ACTIONS, BY_HAND, CLASSES } from '../../../machines/vocabulary.ts';
import type { PolicyDocument } from '../../policy/document.ts';
import type { Expectation, Policy } from '../../policy/policy.ts';
import { meaning, named } from '../openapi/described.ts';
import { action, count, type FieldsOf, hash, incidentClass, maybe, severity, text, time } from '../openapi/values.ts';
import { APPLIANCE_EVENTS } from '../../domain/appliance-alert.ts';
import { NOTIFIED_EVENTS } from '../../domain/entries.ts';
import { FORMATS, GROUPED_BY } from '../../domain/notice.ts';

/** What identifies a policy. */
export const policyFields = {
  version: z.literal(1),
  source: z.enum(['file', 'built-in']),
  digest: meaning(hash, 'The same for the same rules, targets and webhooks, whatever the layout of the file.'),
  loaded_at: time,
} satisfies Partial<FieldsOf<Policy>>;

const endpoint = z.object({ url: text(), action: text() });

const target = z.object({
  from: maybe(meaning(z.literal('environment'), 'The environment names it, and not the file.')),
  engage: maybe(endpoint),
  release: maybe(meaning(z.union([endpoint, z.literal(BY_HAND)]), 'manual: a person releases it by hand.')),
  broker: maybe(z.object({ requests: text(), results: text(), action: text() })),
  prove: maybe(z.boolean()),
  timeout: maybe(meaning(count, 'In milliseconds.')),
  confirm_every: maybe(meaning(count, 'In milliseconds.')),
  confirm: maybe(z.enum(['answer', 'callback'])),
  final: maybe(meaning(z.array(count), 'The statuses after which it is not tried again.')),
  done_when: maybe(meaning(z.array(count), 'The statuses, besides 2xx, that say that it is already carried out.')),
  drill: maybe(meaning(z.boolean(), 'Whether it takes part in drills.')),
});

export const policy = named(
  'Policy',
  'The policy in force, completed from the built-in table. The paths of tokens are left out. ' +
    'Without the token, so are those of targets and webhooks: `url` is an origin.',
  z.object({
    ...policyFields,
    path: maybe(text()),
    addresses: maybe(meaning(z.literal('origin'), 'There where the token would show more of the addresses.')),
    rules: z.object(
      Object.fromEntries(
        CLASSES.map((name) => [
          name,
          z.object({
            auto_contain: z.boolean(),
            actions: z.array(action),
            default_severity: severity,
            min_severity: maybe(severity),
            answer_after: maybe(meaning(count, 'In milliseconds.')),
            recovery: maybe(
              meaning(
                z.object({
                  acknowledge: maybe(z.literal(true)),
                  attest: maybe(z.literal(true)),
                  from_fleet: maybe(meaning(z.literal(true), 'Whether it may be done from the fleet.')),
                }),
                'What must be done before an incident of the class may be resolved.',
              ),
            ),
            repeat: maybe(z.object({ same: z.array(text()), within: meaning(count, 'In milliseconds.') })),
            runbook: maybe(meaning(text(), 'What to do about such an incident: a URL or a text.')),
          }),
        ]),
      ),
    ),
    targets: z.partialRecord(z.enum(ACTIONS), target),
    attention_after: meaning(count, 'In milliseconds.'),
    overdue_after: meaning(count, 'In milliseconds.'),
    burst: maybe(z.object({ reports: count, within: meaning(count, 'In milliseconds.') })),
    escalate: maybe(
      z.array(
        z.object({ class: incidentClass, reports: count, within: meaning(count, 'In milliseconds.'), to: severity }),
      ),
    ),
    report_bytes_per_day: maybe(count),
    expect: maybe(
      meaning(
        z.array(
          z.object({ source: text(), every: meaning(count, 'In milliseconds.') } satisfies FieldsOf<Expectation>),
        ),
        'The guards: the sources that must show a sign of life.',
      ),
    ),
    archive_after: maybe(meaning(count, 'In milliseconds.')),
    parts: meaning(z.array(text()), 'What it has, by name: a policy is compared by them with the one before.'),
    notify: z.array(
      z.object({
        url: text(),
        prove: maybe(z.boolean()),
        events: maybe(z.array(z.enum(NOTIFIED_EVENTS))),
        alerts: maybe(
          meaning(
            z.array(z.enum(APPLIANCE_EVENTS)),
            'A webhook of `alerting`: it receives these as the appliance’s alerts.',
          ),
        ),
        heartbeat: maybe(meaning(count, 'In milliseconds.')),
        format: maybe(meaning(z.enum(FORMATS), 'What it is sent; by default entries.')),
        severity: maybe(meaning(z.union([severity, z.array(severity)]), 'That and worse ones, or those in the list.')),
        class: maybe(z.array(incidentClass)),
        send_resolved: maybe(z.boolean()),
        drills: maybe(z.boolean()),
        console_url: maybe(text()),
        group_by: maybe(z.array(z.enum(GROUPED_BY))),
        group_wait: maybe(meaning(count, 'In milliseconds.')),
        group_interval: maybe(meaning(count, 'In milliseconds.')),
        repeat_interval: maybe(meaning(count, 'In milliseconds; 0 for never.')),
      }),
    ),
  } satisfies FieldsOf<PolicyDocument>),
);

/** Which access file is in force. */
export const accessNow = meaning(
  z.object({
    source: z.enum(['file', 'none']),
    path: maybe(text()),
    digest: maybe(text()),
    loaded_at: maybe(time),
    principals: maybe(meaning(count, 'How many it names.')),
    fleet: maybe(meaning(text(), 'The fleet whose anchors and commands it takes.')),
  }),
  'The access file in force. With none, whoever has the service token has every role.',
);
